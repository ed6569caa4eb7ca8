from __future__ import annotations

from django.contrib import admin

from ..models import AuditLog, Event, Head
from .base import ReadOnlyAdmin


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("event_id", "session_id", "seq_num", "type", "created_at")
    ordering = ("-id",)
    search_fields = ("event_id__exact", "session__id__exact")


@admin.register(AuditLog)
class AuditLogAdmin(ReadOnlyAdmin):
    list_display = ("id", "created_at", "actor", "action", "resource", "session_id", "agent_id", "user_id", "seq_num")
    list_filter = ("created_at",)
    ordering = ("-created_at",)
    search_fields = tuple(
        f"{name}__exact" for name in ("id", "session_id", "agent_id", "user_id", "actor", "action", "resource")
    )
    sortable_by = ("created_at",)


@admin.register(Head)
class HeadAdmin(ReadOnlyAdmin):
    list_display = ("owner", "kind", "namespace", "seq_num", "base_seq", "closed")
    ordering = ("-id",)
    search_fields = ("owner__exact",)
