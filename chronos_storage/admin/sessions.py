from __future__ import annotations

import re
from io import BufferedReader, BytesIO
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models.query import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from ..downloads import download
from ..failures import failed
from ..ledger.mapping import SESSIONS
from ..models import Checkpoint, Message, Session, Trace
from ..records import SPAN_STATUSES
from ..templatetags.chronos_storage import clock, duration
from ..text import name as shown
from . import markdown
from .base import EditableAdmin, ReadOnlyAdmin
from .blocks import file_of
from .columns import as_text, label
from .performance import DURATION
from .previews import preview
from .session_list import SessionList
from .session_pages import SessionPages
from .speeches import speeches_of
from .spoken import spoken
from .states import state_text

#: The names of tools in the beginning of a message's calls.
_NAMES = re.compile(r'"name": ?"([^"\\]+)"')


@admin.register(Session)
class SessionAdmin(SessionPages, SessionList, EditableAdmin):
    """Deleting hides a session, as the facade's soft delete does; a deleted one can be looked at and restored."""

    table = SESSIONS
    changeable = ("title", "status", "metadata", "require_fence")
    lookups = ("user_id", "agent_id", "container_id", "image_id")
    ordering = ("-last_activity_at",)
    search_fields = tuple(f"{name}__exact" for name in ("id", "agent_id", "user_id", "container_id", "image_id"))
    sortable_by = ("last_activity_at",)
    change_list_template = "admin/chronos_storage/session/change_list.html"
    change_form_template = "admin/chronos_storage/session/change_form.html"
    delete_confirmation_template = "admin/chronos_storage/session/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/chronos_storage/session/delete_selected.html"
    actions = ("restore_selected",)

    def get_urls(self) -> list[URLPattern]:
        return [*self.session_urls(), *super().get_urls()]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_there(obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return _is_there(obj) and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Nothing else goes with them; Django would collect all that belongs to them.
        names = [shown(session.preview_title or session.pk) for session in objs]
        return names, {self.opts.verbose_name_plural: len(names)}, set(), []

    def session_of(self, row: Any) -> str:
        return str(row.pk)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [*super().get_fields(request, obj), "fence"]

    @admin.display(description=_("fence"))
    def fence(self, session: Any) -> str:
        """Who writes to the session."""
        fence = self.storage.get_fence(session.pk) if session.fence_token else None
        if fence is None:
            return "-"
        expires_at = fence.expires_at and clock(fence.expires_at)
        text = _("token %(token)d, %(holder)s, until %(time)s") if expires_at else _("token %(token)d, %(holder)s")
        return text % {"token": fence.token, "holder": shown(fence.holder), "time": expires_at}

    def write(self, id: str, changes: dict[str, Any]) -> None:
        self.storage.patch_session(id, fence=self.token(id), **changes)

    def remove(self, id: str) -> None:
        self.storage.delete_session(id, fence=self.token(id))


def _is_there(session: Session | None) -> bool:
    return session is None or session.deleted_at is None


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin):
    list_display = ("message_id", "session_id", "seq_num", "role", "name", "says", "created_at")
    list_previews = ("content", "tool_calls")
    lookups = ("session_id", "message_id")
    narrowed: ClassVar[Any] = {"role": (), "name": (), "failed": ("True",)}
    timestamp = "created_at"
    ordering = ("-id",)
    search_fields = ("message_id__exact", "session__id__exact")

    change_form_template = "admin/chronos_storage/message.html"

    def get_urls(self) -> list[URLPattern]:
        medium = self.page("<path:object_id>/medium/<int:number>/", "medium", self.medium_view)
        return [medium, *super().get_urls()]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request).alias(failed=failed(Message))
        return rows

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        if (row := context.get("original")) is not None:
            rows = self.get_queryset(request).filter(session_id=row.session_id)
            said = spoken(rows.filter(pk=row.pk), markdown.LENGTH)
            context["speeches"] = speeches_of(rows, said).values()
        return super().render_change_form(request, context, *args, **kwargs)

    def medium_view(self, request: HttpRequest, object_id: str, number: int) -> HttpResponseBase:
        """A picture, a sound or a file of a message's content: an image to show, or a file to keep."""
        row = self.found(request, object_id)
        self.note_look(request, row, "medium")
        [message] = spoken(self.get_queryset(request).filter(pk=row.pk))
        if (made := file_of(message, number)) is None:
            raise Http404(_now("There is no such file."))
        artifact, data = made
        return download(request, artifact, lambda: BufferedReader(BytesIO(data)))

    @admin.display(description=label("content"))
    def says(self, row: Any) -> Any:
        """What it says, or which tools it calls."""
        content = preview(row, "content")
        if not content.empty:
            return as_text(content.line)
        return as_text(", ".join(f"{name}(…)" for name in _NAMES.findall(row.preview_tool_calls)))


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("checkpoint_id", "session_id", "namespace", "seq_num", "run_id", "node_id", "created_at")
    lookups = ("session_id", "checkpoint_id")
    ordering = ("-id",)
    search_fields = ("checkpoint_id__exact", "session__id__exact")

    def whole_text(self, row: Any, field: Any) -> str:
        return state_text(row) if field.attname == "state" else super().whole_text(row, field)


@admin.register(Trace)
class TraceAdmin(ReadOnlyAdmin):
    ranked = ("duration",)
    list_display = ("name", "kind", "status", "duration", "model", "cost", "started_at", "session_id", "id")
    lookups = ("session_id", "trace_id")
    narrowed: ClassVar[Any] = {"kind": (), "name": (), "status": SPAN_STATUSES, "model": ()}
    timestamp = "started_at"
    ordering = ("-started_at",)
    sortable_by = ("started_at",)
    search_fields = ("id__exact", "session_id__exact", "trace_id__exact")

    @property
    def rankings(self) -> dict[str, Any]:
        """The longest of those that have ended."""
        return {"duration": DURATION}

    @admin.display(description=_("duration"), ordering="duration")
    def duration(self, row: Any) -> Any:
        """From its start to its end."""
        return _("open") if row.ended_at is None else duration(row.ended_at - row.started_at)
