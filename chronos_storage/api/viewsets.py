"""What the views of records have in common: their rows, filters, orders, pages and versions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.db.models.query import QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.serializer_helpers import ReturnDict
from rest_framework.viewsets import GenericViewSet

from ..backends.base import Query
from ..exceptions import AlreadyExists, NotFound
from ..facade.arguments import identified, required
from ..ledger.mapping import Table
from ..records import Batch, Record
from .access import Verb
from .etags import replaced, version_of, write_if_match
from .filters import Filters
from .found import Condition, Found
from .idempotency import id_from_key, repeated, store_batch
from .pagination import KeysetPagination
from .problems import placed
from .query import names
from .serializers import BatchSerializer, written_fields
from .store import api_storage, exclusively
from .views import ApiMixin, check_sessions

#: The orders of a list by number.
FORWARD: Mapping[str, tuple[str, ...]] = {"asc": ("seq_num",), "desc": ("-seq_num",)}
BACKWARD: Mapping[str, tuple[str, ...]] = {"desc": ("-seq_num",), "asc": ("seq_num",)}

#: What chooses a page.
_PAGE = ("cursor", "page_size", "count")
#: The actions that read so much that they have a rate of their own.
_LONG = ("export", "verify")


class RecordViewSet(ApiMixin, GenericViewSet[Any]):
    """Records of one kind, read as the access rule finds them and written through the facade.

    Attributes:
        table: where the facade keeps them.
        verbs: what each action does to rows of the table, and therefore needs.
        order: the fields of a list's order, which are unique together.
        orders: where ``?order=`` chooses one, each by its name, the first unless it is given.
        versioned: whether an update can name the version of a record that it is of.
        filtered: the actions besides the list that take its filters.
        paged: the actions besides the list whose answer has pages.
    """

    table: ClassVar[Table[Any]]
    verbs: ClassVar[Mapping[str, Verb]] = {
        "list": "view",
        "retrieve": "view",
        "create": "add",
        "update": "change",
        "partial_update": "change",
        "destroy": "delete",
    }
    order: ClassVar[tuple[str, ...]] = ("-created_at", "-id")
    orders: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    versioned: ClassVar[bool] = False
    filtered: ClassVar[tuple[str, ...]] = ()
    paged: ClassVar[tuple[str, ...]] = ()

    pagination_class = KeysetPagination
    filter_backends: Any = (DjangoFilterBackend,)

    def needed(self) -> list[tuple[Verb, Any]]:
        # Without an action the method isn't allowed; that there is something is told to who may look.
        return [(self.verbs.get(self.action or "list", "view"), self.table.model)]

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not (self.action in ("list", "retrieve") and self.access.gives_with_session(self.table.model)):
            self.check_session()

    def check_session(self) -> None:
        """Raise `NotFound` if the session that the address names, if it does, isn't there for the user."""
        if (session_id := self.kwargs.get("session_id")) is not None:
            check_sessions(self.access, session_id)

    def get_queryset(self) -> QuerySet[Any]:
        # For the framework, which asks the model what its fields are; the records come from elsewhere.
        return self.table.model._default_manager.none()

    def found(self) -> Found:
        """The records that are there for the user, of the session that the address names, if it does."""
        return self.access.found(self.table, self.kwargs.get("session_id"))

    def wanted(self) -> Found:
        """Those of them that the query asks for."""
        filters: type[Filters] | None = getattr(self, "filterset_class", None)
        if filters is None:
            return self.found()
        if filters.asked(self.request.query_params):
            return self.found().where(*filters.conditions(self.request))
        return self.found().where(*filters.unasked(), kept=True)

    def query_parameters(self) -> Iterable[str]:
        filters = getattr(self, "filterset_class", None)
        known = [*super().query_parameters(), *(filters.base_filters if filters else ())]
        if self.action == "list":
            return [*known, *_PAGE, "ids", "fields", *(["order"] if self.orders else [])]
        if self.action == "retrieve":
            return ["fields"]
        return [*(known if self.action in self.filtered else ()), *(_PAGE if self.action in self.paged else ())]

    def sent_whole(self) -> bool:
        return self.action != "export"

    def compares(self) -> bool:
        return self.versioned and self.request.method in ("PATCH", "DELETE")

    @property
    def throttle_scope(self) -> str:
        return "chronos_export" if self.action in _LONG else super().throttle_scope

    def written(self, record: Any) -> Any:
        written = self.writer()(record)
        if self.request.accepted_renderer.format == "json":
            return written
        return ReturnDict(written, serializer=self.get_serializer(record))  # a page fills its forms by that

    def writer(self) -> Callable[[Any], dict[str, Any]]:
        """What makes JSON of a record, or of those of its fields that are asked for."""
        of_records: Any = self.get_serializer_class()
        write: Callable[[Any], dict[str, Any]] = of_records.write
        wanted = self.request.query_params.get("fields")
        if wanted is None:
            return write
        names, there = wanted.split(","), written_fields(of_records)
        for name in names:
            if name not in there:
                raise ValidationError({"fields": f"{name!r} is no field here; there are {', '.join(there)}"})
        return lambda record: {name: value for name, value in write(record).items() if name in names}

    def get_order(self) -> tuple[str, ...]:
        """The order of the list that is asked for."""
        if not self.orders:
            return self.order
        order = self.request.query_params.get("order", next(iter(self.orders)))
        if order not in self.orders:
            raise ValidationError({"order": f"must be {' or '.join(self.orders)}"})
        return self.orders[order]

    def row(self) -> Found:
        """The one record that the address names."""
        return self.found().where(Condition("id", "=", self.kwargs["id"]), kept=True)

    def record(self) -> Any:
        """The same, as it is stored."""
        record = self.row().one()
        if record is None:
            self.check_session()
            raise NotFound(f"there is no {self.table.record.__name__.lower()} {self.kwargs['id']!r}")
        return record

    def answer_batch(
        self,
        serializer: type[BatchSerializer],
        name: str,
        given: Sequence[Record],
        store: Callable[[], Batch[Any]],
    ) -> Response:
        """Have a batch stored, and answer what is stored then.

        Args:
            name: under which the records stand in bodies.
        """
        self.throttle.count(len(given) - 1)
        with placed(name, given):
            stored = store_batch(self, given, store)
        # What a key has written once is what its repeats have written.
        body = {name: stored, "new": [record.id for record in stored] if self.replayed else stored.new}
        return Response(serializer(body, context=self.get_serializer_context()).data, status=201)

    def answer(self, record: Any, status: int = 200) -> Response:
        if self.versioned:
            self.version = version_of(record)
        return super().answer(record, status)

    def write_if_match(self, write: Callable[[], Any], *, reads: bool = False) -> Any:
        """What `write` returns, which changes or removes the row; see `etags.write_if_match`."""
        return write_if_match(self.request, self.table.record, self.kwargs["id"], self.row(), write, reads=reads)

    @property
    def storage(self) -> Any:
        """The facade."""
        return api_storage()


class Listed(RecordViewSet):
    """Adds the list."""

    def list(self, request: Request, **kwargs: Any) -> Response:
        found = self.wanted()
        if (ids := names(request, "ids")) is not None:
            found = found.where(Condition("id", "in", ids))
        paginator = self.paginator
        assert isinstance(paginator, KeysetPagination)
        page = paginator.paginate_records(self.table, found, self.get_order(), request)
        if not page:
            self.check_session()
        write = self.writer()
        return paginator.get_paginated_response([write(record) for record in page])


class Retrieved(RecordViewSet):
    """Adds one record by its id."""

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return self.answer(self.record())


class Saved(Listed, Retrieved):
    """Adds what writes records that the facade saves over what was there."""

    versioned = True
    idempotent_actions: ClassVar[Any] = ("create",)

    def save(self, record: Any) -> Any:
        """Store the record through the facade."""
        raise NotImplementedError

    def remove(self, id: str) -> bool:
        """Delete the record through the facade."""
        raise NotImplementedError

    def create(self, request: Request, **kwargs: Any) -> Response:
        fields = self.validated()
        given = self.table.record(**{**fields, "id": id_from_key(self, fields.get("id", ""))})
        given = identified(given)
        try:
            return self.answer(exclusively(self.table.record, [given.id], lambda: self.insert(given)), 201)
        except AlreadyExists:
            found = self.found().where(Condition("id", "=", given.id)).one()
            return self.answer(repeated(self, given, found), 201)

    def insert(self, given: Any) -> Any:
        """Save what must not be there yet: what was keeps its created_at, and the transaction is rolled back."""
        there = f"{given.id!r} is stored already"
        if self.storage.backend.count(Query(record=self.table.record, where=required(id=given.id))):
            raise AlreadyExists(there)
        stored = self.save(given)
        if stored.created_at != stored.updated_at:
            raise AlreadyExists(there)
        return stored

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        changes = self.validated(partial=True)
        return self.answer(self.write_if_match(lambda: self.save(replaced(self.record(), changes)), reads=True))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        if not self.write_if_match(lambda: self.remove(self.kwargs["id"])):
            raise NotFound
        return Response(status=204)
