"""What all views of the API have in common. None of it depends on the project's defaults for DRF, but how users sign in
and how often they may ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from typing import Any, ClassVar

from django.db.models.query import QuerySet
from django.utils.cache import patch_cache_control, patch_vary_headers
from django.utils.functional import cached_property
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.settings import api_settings
from rest_framework.viewsets import GenericViewSet

from ..exceptions import NotFound
from ..ledger.mapping import Table
from . import problems
from .access import AccessRule, Verb, access_for
from .bodies import JSONParser, JSONRenderer, require_length
from .etags import add_etag, version_of, write_if_match
from .ids import address, read_address
from .pagination import KeysetPagination
from .query import names
from .schema import ApiSchema
from .scopes import check_scopes
from .store import served
from .throttling import Throttle, failures_counted

#: The orders of a list by number.
FORWARD: Mapping[str, tuple[str, ...]] = {"asc": ("seq_num",), "desc": ("-seq_num",)}
BACKWARD: Mapping[str, tuple[str, ...]] = {"desc": ("-seq_num",), "asc": ("seq_num",)}


_PAGE = ("cursor", "page_size", "count")
#: The actions that read so much that they have a rate of their own.
_LONG = ("export", "verify")


class Permission(BasePermission):
    """Asks the access rule, and scopes, whether this may be done to rows of the view's model at all."""

    def has_permission(self, request: Request, view: Any) -> bool:
        access: AccessRule = view.access
        if not access.signed_in:
            return False
        check_scopes(request.auth, view.needed())
        return all(access.may(verb, model) for verb, model in view.needed())


class ApiMixin(GenericAPIView[Any]):
    """Closed to who isn't signed in; JSON in and out; ids decoded; errors as problem details."""

    renderer_classes: Any = (JSONRenderer, BrowsableAPIRenderer)
    parser_classes: Any = (JSONParser,)
    permission_classes: Any = (Permission,)
    content_negotiation_class: Any = DefaultContentNegotiation
    metadata_class: Any = None
    versioning_class: Any = None
    pagination_class: Any = None
    filter_backends: Any = ()
    schema: Any = ApiSchema()
    http_method_names: Any = ("get", "post", "put", "patch", "delete", "head")
    #: The names of the parameters that a query may have.
    parameters: Any = ()
    #: The name of a record's field that its address ends with, and of its route, which the router gives.
    named_by = "id"
    basename: Any = None
    #: Whether the request creates what an earlier one with its key has created.
    replayed = False
    #: The version of the record that is answered, where records have versions.
    version = ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        require_length(request._request)  # first, as signing in may look for a token in the body
        super().initial(request, *args, **kwargs)
        for name in request.query_params.keys() - {api_settings.URL_FORMAT_OVERRIDE}:
            if any(fnmatchcase(name, known) for known in self.query_parameters()):
                continue
            raise ValidationError({name: f"is no parameter here; {self._parameters_there()}"})
        for name, segment in kwargs.items():
            decoded = read_address(segment)
            if decoded is None:
                raise NotFound(f"{segment!r} is no address of an id")
            self.kwargs[name] = decoded

    def perform_authentication(self, request: Request) -> None:
        with failures_counted(request, self):
            super().perform_authentication(request)

    def query_parameters(self) -> Iterable[str]:
        """The names of the parameters that the query may have, each perhaps with a * for whatever there is."""
        return self.parameters  # type: ignore[no-any-return]

    def _parameters_there(self) -> str:
        names = sorted(self.query_parameters())
        return f"there are {', '.join(names)}" if names else "there are none"

    def needed(self) -> list[tuple[Verb, Any]]:
        """What the user must be allowed to do, and with which models' rows."""
        return []

    @property
    def access(self) -> AccessRule:
        """The rule for the user of this request."""
        known: AccessRule | None = getattr(self.request, "_chronos_access", None)
        if known is None:
            known = self.request._chronos_access = access_for(self.request.user)  # type: ignore[attr-defined]
        return known

    @property
    def throttle_scope(self) -> str:
        return "chronos_read" if self.request.method in ("GET", "HEAD") else "chronos_write"

    @cached_property
    def throttle(self) -> Throttle:
        """What counts this request."""
        return Throttle()

    def get_throttles(self) -> list[Any]:
        return [self.throttle]

    def get_authenticate_header(self, request: Request) -> str:
        # Without one DRF would answer 403; session authentication has none.
        for authenticator in self.get_authenticators():
            if header := authenticator.authenticate_header(request):
                return header
        return "Session"

    def get_exception_handler(self) -> Callable[..., Response | None]:
        return problems.handle

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.replayed and response.status_code == 201:
            response["Idempotent-Replayed"] = "true"
        patch_cache_control(response, private=True, no_cache=True)
        patch_vary_headers(response, ("Accept", "Authorization", "Cookie"))
        if isinstance(response, Response) and response.accepted_renderer.format == "json":
            if response.exception:
                response.content_type = problems.MEDIA_TYPE
            elif self.version or request.method in ("GET", "HEAD"):
                response.add_post_render_callback(partial(add_etag, request._request, self.version))
        return response

    def validated(self, serializer: type[serializers.Serializer[Any]] | None = None, **options: Any) -> Any:
        """What the body says, checked by a serializer: the view's own unless another is named."""
        checked = (serializer or self.get_serializer_class())(
            data=self.body(), context=self.get_serializer_context(), **options
        )
        checked.is_valid(raise_exception=True)
        return checked.validated_data

    def body(self) -> Any:
        """The body as JSON.

        Raises:
            ParseError: there is none, or it is not JSON.
        """
        data = self.request.data  # which is empty without a body, too
        if not int(self.request.META.get("CONTENT_LENGTH") or 0):
            raise ParseError("a JSON body is needed: send at least {}")
        return data

    def answer(self, record: Any, status: int = 200) -> Response:
        """A response with one record, which if it was created says where it is."""
        response = Response(self.get_serializer(record).data, status=status)
        if status == 201:
            response["Location"] = self.address_of(record)
        return response

    def address_of(self, record: Any) -> str:
        """Where one record of the view's is."""
        match = self.request.resolver_match
        assert match is not None
        parts = {**self.kwargs, "id": getattr(record, self.named_by)}
        path = {name: address(id) for name, id in parts.items()}
        return reverse(f"{match.namespace}:{self.basename}-detail", kwargs=path, request=self.request)


class RecordViewSet(ApiMixin, GenericViewSet[Any]):
    """Records of one kind, read through the access rule's querysets and written through the facade.

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
        if (session_id := self.kwargs.get("session_id")) is not None:
            check_session(self.access, session_id)

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.table.model._default_manager.none()
        rows = self.access.rows(self.table.model)
        session_id = self.kwargs.get("session_id")
        return rows if session_id is None else rows.filter(session_id=session_id)

    def query_parameters(self) -> Iterable[str]:
        filters = getattr(self, "filterset_class", None)
        known = [*super().query_parameters(), *(filters.base_filters if filters else ())]
        if self.action == "list":
            return [*known, *_PAGE, "ids", "fields", *(["order"] if self.orders else [])]
        if self.action == "retrieve":
            return ["fields"]
        return [*(known if self.action in self.filtered else ()), *(_PAGE if self.action in self.paged else ())]

    @property
    def throttle_scope(self) -> str:
        return "chronos_export" if self.action in _LONG else super().throttle_scope

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        serializer = super().get_serializer(*args, **kwargs)
        wanted = self.request.query_params.get("fields")
        if wanted is not None and self.action in ("list", "retrieve"):
            of_each: Any = getattr(serializer, "child", serializer)
            keep_fields(of_each, wanted.split(","))
        return serializer

    def get_order(self) -> tuple[str, ...]:
        """The order of the list that is asked for."""
        if not self.orders:
            return self.order
        order = self.request.query_params.get("order", next(iter(self.orders)))
        if order not in self.orders:
            raise ValidationError({"order": f"must be {' or '.join(self.orders)}"})
        return self.orders[order]

    def row(self) -> QuerySet[Any]:
        """The one row that the address names."""
        return self.get_queryset().filter(**{self.table.id: self.kwargs["id"]})

    def record(self) -> Any:
        """The record that the address names."""
        for record in self.table.fetch(self.row()[:1]):
            return record
        raise NotFound(f"there is no {self.table.record.__name__.lower()} {self.kwargs['id']!r}")

    def answer(self, record: Any, status: int = 200) -> Response:
        if self.versioned:
            self.version = version_of(record)
        return super().answer(record, status)

    def write_if_match(self, write: Callable[[], Any]) -> Any:
        """What `write` returns, which changes or removes the row; see `etags.write_if_match`."""
        return write_if_match(self.request, self.table, self.row(), write)

    @property
    def storage(self) -> Any:
        """The facade."""
        return served()


class Listed(RecordViewSet):
    """Adds the list."""

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().filter_queryset(rows)
        ids = names(self.request, "ids")
        return rows if ids is None else rows.filter(**{f"{self.table.id}__in": ids})

    def list(self, request: Request, **kwargs: Any) -> Response:
        rows = self.filter_queryset(self.get_queryset())
        paginator = self.paginator
        assert isinstance(paginator, KeysetPagination)
        page = paginator.paginate_records(self.table, rows, self.get_order(), request)
        return paginator.get_paginated_response(self.get_serializer(page, many=True).data)


class Retrieved(RecordViewSet):
    """Adds one record by its id."""

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return self.answer(self.record())


def keep_fields(serializer: serializers.Serializer[Any], wanted: list[str]) -> None:
    """Leave out of what is answered all fields but these.

    Raises:
        ValidationError: one is none.
    """
    there = list(serializer.fields)
    for name in wanted:
        if name not in there:
            raise ValidationError({"fields": f"{name!r} is no field here; there are {', '.join(there)}"})
    for name in there:
        if name not in wanted:
            del serializer.fields[name]


def check_session(access: AccessRule, id: str) -> None:
    """Raise `NotFound` if the session isn't there for the user."""
    if not access.has_session(id):
        raise NotFound(f"there is no session {id!r}")
