"""What agents remember."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import NotFound, StaleWriter
from ..ledger.mapping import MEMORY
from .etags import replaced
from .filters import MemoryFilter
from .found import Condition, Found
from .idempotency import HEADER, id_from_key, repeated
from .schema import documented
from .serializers import MemoryBatchSerializer, MemorySerializer
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

    def found(self) -> Found:
        return super().found().where(Condition("expires_at", "unless past", records.now()), kept=True)

    def get_order(self) -> tuple[str, ...]:
        given = self.request.query_params
        # The indexes by time begin with the agent or the user.
        indexed = not self.access.staff or given.get("agent_id") or given.get("user_id")
        return ("-updated_at", "-id") if indexed else ("-id",)

    def wanted(self) -> Found:
        given = self.request.query_params
        for name in ("key", "prefix"):
            if given.get(name) and not given.get("agent_id"):
                raise ValidationError({name: "is looked up among an agent's: give agent_id too"})
        if self.access.staff and given.get("kind") and not any(given.get(name) for name in NARROWING):
            raise ValidationError({"kind": f"is looked for among some only: give {' or '.join(NARROWING)} too"})
        return super().wanted()

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Put a value under its key (agent_id, user_id, session_id, kind, key), over what was there."""
        fields = self.validated()
        record = self.owned({**fields, "id": id_from_key(self, fields.get("id", ""))})
        self.check_sessions_of([record])
        if HEADER in request.headers:
            stored = self.found().where(Condition("id", "=", record.id)).one()
            if stored is not None:
                self.refuse_stale(stored.session_id)
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

    def refuse_stale(self, session_id: str) -> None:
        """Raise `StaleWriter` if the writer shows another token than the session's."""
        if self.writer_token is not None and session_id:
            fence = self.storage.get_fence(session_id)
            current = 0 if fence is None else fence.token
            if self.writer_token != current:
                raise StaleWriter(session_id, self.writer_token, current)

    def owned(self, fields: dict[str, Any]) -> records.MemoryRecord:
        """The record that these fields describe, with its user."""
        return records.MemoryRecord(**fields if self.access.staff else {**fields, "user_id": self.access.owner})

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
