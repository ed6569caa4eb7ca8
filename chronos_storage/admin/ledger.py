from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..facade.audit_logs import ORDER
from ..ledger.mapping import AUDIT_LOGS
from ..ledger.pages import iterate
from ..models import AuditLog, Event, Head
from ..models.append_only import LedgerModel
from .access import note_export
from .base import ReadOnlyAdmin
from .export import FORMATS, export
from .verdicts import ChainForm, finding


class _LedgerAdmin(ReadOnlyAdmin):
    @admin.display(description=gettext_lazy("erased"))
    def is_erased(self, row: LedgerModel) -> str:
        """Says so where an erasure has emptied it; else nothing."""
        return _("yes") if row.erased else ""


@admin.register(Event)
class EventAdmin(_LedgerAdmin):
    list_display = ("event_id", "session_id", "seq_num", "type", "payload", "is_erased", "created_at")
    lookups = ("session_id", "event_id")
    narrowed: ClassVar[Any] = {"session__agent_id": ()}
    timestamp = "created_at"
    ordering = ("-id",)
    search_fields = ("event_id__exact", "session__id__exact")


@admin.register(AuditLog)
class AuditLogAdmin(_LedgerAdmin):
    list_display = (
        "created_at",
        "actor",
        "action",
        "resource",
        "session_id",
        "agent_id",
        "user_id",
        "seq_num",
        "is_erased",
        "id",
    )
    lookups = ("actor", "action", "resource", "agent_id", "user_id", "session_id")
    timestamp = "created_at"
    ordering = ("-created_at",)
    search_fields = tuple(
        f"{name}__exact" for name in ("id", "session_id", "agent_id", "user_id", "actor", "action", "resource")
    )
    sortable_by = ("created_at",)
    change_list_template = "admin/chronos_storage/auditlog/change_list.html"

    def get_urls(self) -> list[URLPattern]:
        return [
            self.page("export/<str:format>/", "export", self.export_view),
            self.page("verdict/", "verdict", self.verdict_view),
            *super().get_urls(),
        ]

    def export_view(self, request: HttpRequest, format: str) -> HttpResponseBase:  # noqa: A002
        """What the list would show on all its pages, as a file."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if format not in FORMATS:
            raise Http404(_("There is no such format."))
        found: Any = self.get_changelist_instance(request)
        # Before the rows are read, of which the newest then tells of the export.
        note_export(request, self.storage, "audit_log", format=format, query=request.GET.urlencode())
        return export(request, iterate(AUDIT_LOGS, found.rows, *ORDER), format)

    def verdict_view(self, request: HttpRequest) -> HttpResponse:
        """Whether the audit entries of a session, or of an agent, are as they were appended."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = ChainForm(request.GET or None)
        found = None
        if form.is_valid():
            session_id, agent_id = form.cleaned_data["session_id"], form.cleaned_data["agent_id"]
            verdict = self.storage.verify_audit_logs(session_id or None, agent_id=agent_id)
            found = finding(self.storage.alias, verdict)
        return self.render(request, "auditlog/verdict.html", _("Chain verdict"), form=form, finding=found)


@admin.register(Head)
class HeadAdmin(ReadOnlyAdmin):
    list_display = ("series", "kind", "namespace", "seq_num", "base_seq", "closed")
    lookups = ("series",)
    ordering = ("-id",)
    search_fields = ("series__exact",)
