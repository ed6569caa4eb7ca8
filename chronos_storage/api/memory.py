"""What agents remember."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Q
from django.db.models.query import QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..exceptions import NotFound
from ..ledger.mapping import MEMORY
from .etags import replaced
from .filters import MemoryFilter
from .idempotency import HEADER, id_from_key, repeated
from .serializers import MemorySerializer
from .viewsets import Listed, Retrieved


class MemoryViewSet(Listed, Retrieved):
    """Memory that has not expired, most recently updated first.

    Staff who name neither an agent nor a user get it by id, the latest first.
    """

    table = MEMORY
    serializer_class: Any = MemorySerializer
    filterset_class = MemoryFilter
    versioned = True
    idempotent_actions: ClassVar[Any] = ("create",)

    def get_queryset(self) -> QuerySet[Any]:
        return super().get_queryset().filter(Q(expires_at=None) | Q(expires_at__gt=records.now()))

    def get_order(self) -> tuple[str, ...]:
        given = self.request.query_params
        # The indexes by time begin with the agent or the user.
        indexed = not self.access.staff or given.get("agent_id") or given.get("user_id")
        return ("-updated_at", "-id") if indexed else ("-id",)

    def filter_queryset(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        given = self.request.query_params
        if given.get("key") and not given.get("agent_id"):
            raise ValidationError({"key": "is looked up among an agent's: give agent_id too"})
        return super().filter_queryset(rows)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Put a value under its key (agent_id, user_id, session_id, kind, key), over what was there."""
        fields = self.validated()
        if not self.access.staff:
            fields["user_id"] = self.access.user_id
        record = records.MemoryRecord(**{**fields, "id": id_from_key(self, fields.get("id", ""))})
        if not self.access.may_name(record.session_id):
            raise NotFound(f"there is no session {record.session_id!r}")
        if HEADER in request.headers:
            for stored in self.table.fetch(self.get_queryset().filter(pk=record.id)):
                return self.answer(repeated(self, record, stored), 201)
        return self.answer(self.storage.put_memory(record), 201)

    def partial_update(self, request: Request, **kwargs: Any) -> Response:
        """Change the value, or when it expires."""
        changes = self.validated(partial=True)
        stored = self.write_if_match(lambda: self.storage.put_memory(replaced(self.record(), changes)), reads=True)
        return self.answer(stored)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Forget it."""
        if not self.write_if_match(lambda: self.storage.delete_memory(self.kwargs["id"])):
            raise NotFound
        return Response(status=204)
