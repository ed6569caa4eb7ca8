"""What agents remember."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from django.db.models import Q
from django.db.models.query import QuerySet
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import NotFound
from ..ledger.heads import refuse_stale
from ..ledger.kept import Rows
from ..ledger.mapping import MEMORY
from ..models import Session
from .etags import replaced
from .filters import MemoryFilter
from .idempotency import HEADER, id_from_key, repeated
from .schema import documented
from .serializers import MemoryBatchSerializer, MemorySerializer
from .store import transacted
from .views import check_sessions
from .viewsets import Listed, Retrieved

#: What an index of memory begins with.
NARROWING = ("agent_id", "user_id", "session_id")


class MemoryViewSet(Listed, Retrieved):
    """Memory that has not expired, most recently updated first.

    Staff who name neither an agent nor a user get it by id, the latest first.
    """

    table = MEMORY
    serializer_class: Any = MemorySerializer
    filterset_class = MemoryFilter
    versioned = True
    idempotent_actions: ClassVar[Any] = ("create",)
    fenced_actions = ("create", "batch", "partial_update", "destroy")
    verbs: ClassVar[Any] = {**Listed.verbs, "batch": "add"}

    def kept_rows(self) -> Rows:
        return (
            super()
            .kept_rows()
            .narrowed(
                "not expired", lambda rows, now: rows.filter(Q(expires_at=None) | Q(expires_at__gt=now)), records.now()
            )
        )

    def get_order(self) -> tuple[str, ...]:
        given = self.request.query_params
        # The indexes by time begin with the agent or the user.
        indexed = not self.access.staff or given.get("agent_id") or given.get("user_id")
        return ("-updated_at", "-id") if indexed else ("-id",)

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        given = self.request.query_params
        for name in ("key", "prefix"):
            if given.get(name) and not given.get("agent_id"):
                raise ValidationError({name: "is looked up among an agent's: give agent_id too"})
        if self.access.staff and given.get("kind") and not any(given.get(name) for name in NARROWING):
            raise ValidationError({"kind": f"is looked for among some only: give {' or '.join(NARROWING)} too"})
        return super().filter_queryset(rows)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Put a value under its key (agent_id, user_id, session_id, kind, key), over what was there."""
        fields = self.validated()
        record = self.owned({**fields, "id": id_from_key(self, fields.get("id", ""))})
        self.check_sessions_of([record])
        if HEADER in request.headers:
            for stored in self.table.fetch(self.get_queryset().filter(pk=record.id)):
                if self.writer_token is not None:
                    sessions = Session.objects.using(self.storage.alias).filter(pk=stored.session_id)
                    transacted(self.storage, partial(refuse_stale, sessions, self.writer_token))
                return self.answer(repeated(self, record, stored), 201)
        return self.answer(self.storage.put_memory(record, fence=self.writer_token), 201)

    @documented(request=MemoryBatchSerializer, responses={201: MemoryBatchSerializer})
    @action(["post"], detail=False)
    def batch(self, request: Request, **kwargs: Any) -> Response:
        """Put several values under their keys, all or none; of those with the same key the last is kept."""
        given = [self.owned(fields) for fields in self.validated(MemoryBatchSerializer)["records"]]
        self.check_sessions_of(given)
        put = partial(self.storage.put_memories, given, fence=self.writer_token)
        return self.answer_batch(MemoryBatchSerializer, "records", given, put)

    def owned(self, fields: dict[str, Any]) -> records.MemoryRecord:
        """The record that these fields describe, with its user."""
        return records.MemoryRecord(**fields if self.access.staff else {**fields, "user_id": self.access.user_id})

    def check_sessions_of(self, given: list[records.MemoryRecord]) -> None:
        """Raise `NotFound` if one of these records names a session that isn't there for the user; staff name any."""
        if not self.access.staff:
            check_sessions(self.access, *dict.fromkeys(record.session_id for record in given if record.session_id))

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change the value, or when it expires."""
        changes = self.validated(partial=True)
        put = partial(self.storage.put_memory, fence=self.writer_token)
        return self.answer(self.write_if_match(lambda: put(replaced(self.record(), changes)), reads=True))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Forget it."""
        if not self.write_if_match(lambda: self.storage.delete_memory(self.kwargs["id"], fence=self.writer_token)):
            raise NotFound
        return Response(status=204)
