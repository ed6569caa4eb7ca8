"""Audit logs."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..models.mapping import AUDIT_LOGS
from .filters import AuditLogFilter
from .idempotency import id_from_key
from .serializers import AuditLogSerializer
from .views import Listed, Retrieved


class AuditLogViewSet(Listed, Retrieved):
    """Audit entries, newest first. Staff may append them; nobody may change or remove one."""

    table = AUDIT_LOGS
    serializer_class: Any = AuditLogSerializer
    filterset_class = AuditLogFilter
    keyed: ClassVar[Any] = ("create",)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Append an entry to its session's chain, or without a session to its agent's."""
        fields = self.validated()
        log = records.AuditLog(**{**fields, "id": id_from_key(self, fields.get("id", ""))})
        return self.answer(self.storage.append_audit_log(log), 201)
