"""Audit logs."""

from __future__ import annotations

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from .. import records
from ..facade.audit_logs import ORDER
from ..ledger.mapping import AUDIT_LOGS
from .answers import AuditExportSerializer
from .export import export_audit_logs
from .filters import AuditLogFilter
from .idempotency import id_from_key
from .schema import documented
from .serializers import AuditLogSerializer
from .viewsets import Listed, Retrieved


class AuditLogViewSet(Listed, Retrieved):
    """Audit entries, newest first. Staff may append them; nobody may change or remove one."""

    table = AUDIT_LOGS
    serializer_class: Any = AuditLogSerializer
    filterset_class = AuditLogFilter
    idempotent_actions: ClassVar[Any] = ("create",)
    fenced_actions = idempotent_actions
    filtered = ("export",)
    order: ClassVar[tuple[str, ...]] = ORDER

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Append an entry to its session's chain, or without a session to its agent's."""
        fields = self.validated()
        log = records.AuditLog(**{**fields, "id": id_from_key(self, fields.get("id", ""))})
        return self.answer(self.storage.append_audit_log(log, fence=self.writer_token), 201)

    @documented(filters=True, responses=AuditExportSerializer)
    @action(["get"], detail=False, pagination_class=None, url_name="export")
    def export(self, request: Request, **kwargs: Any) -> HttpResponseBase:
        """All entries that the filters leave, newest first, streamed; what is appended meanwhile is not in it."""
        return export_audit_logs(request, self.access, self.wanted(), self.order)
