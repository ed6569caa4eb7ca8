"""Threads, their checkpoints and the store's items in the admin, to look at."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count
from django.db.models.query import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy as _

from ...admin import session_page
from ...admin.access import may
from ...admin.addresses import address, session_address
from ...admin.base import ReadOnlyAdmin
from ...text import name as shown
from ...text import visible
from .looking import state_text, writes_text
from .models import GraphCheckpoint, Namespace, StoredItem, Thread

#: Characters of a state that its page shows; all of it is behind a link.
_LONGEST = 20_000


@admin.register(Thread)
class ThreadAdmin(ReadOnlyAdmin):
    """Threads, each with its namespaces."""

    list_display = ("session_id", "thread_id", "deleted")
    lookups: tuple[str, ...] = ("session_id",)
    ordering: ClassVar[Any] = ("-session",)
    search_fields = ("session__id__exact",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["session_link", *(self._column(name) for name in ("thread_id", "deleted")), "namespaces"]

    @admin.display(description=_("session"))
    def session_link(self, row: Thread) -> Any:
        """The session, as a link."""
        return format_html('<a href="{}">{}</a>', session_address(row.session_id), shown(row.session_id))

    @admin.display(description=_("namespaces"))
    def namespaces(self, row: Thread) -> Any:
        """Of each how many checkpoints it has, as a link to them."""
        found = Namespace.objects.using(self.alias).filter(thread=row.pk).annotate(count=Count("checkpoints"))
        listed = reverse("admin:chronos_langgraph_graphcheckpoint_changelist")
        return format_html_join(
            mark_safe("<br>"),
            '<a href="{}?{}">{}: {}</a>',
            ((listed, urlencode({"namespace_id": each.pk}), str(each), each.count) for each in found.order_by("key")),
        )


@admin.register(GraphCheckpoint)
class GraphCheckpointAdmin(ReadOnlyAdmin):
    """Checkpoints, each with its state and the writes after it."""

    list_display = ("checkpoint_id", "thread", "place", "source", "step", "created_at")
    lookups: tuple[str, ...] = ("namespace_id", "checkpoint_id")
    ordering: ClassVar[Any] = ("-id",)
    list_select_related: ClassVar[Any] = ("namespace__thread",)
    search_fields = ("checkpoint_id__exact",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("namespace__thread")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        columns = (self._column(name) for name in ("checkpoint_id", "parent_id", "run_id", "metadata", "created_at"))
        return ["thread", "place", *columns, "state", "writes"]

    def session_of(self, row: Any) -> str:
        return str(row.namespace.thread_id)

    @admin.display(description=_("thread"))
    def thread(self, row: GraphCheckpoint) -> Any:
        """The thread, as a link."""
        return format_html('<a href="{}">{}</a>', address(row.namespace.thread, "change"), str(row.namespace.thread))

    @admin.display(description=_("namespace"))
    def place(self, row: GraphCheckpoint) -> str:
        """The namespace's name."""
        return str(row.namespace)

    @admin.display(description=_("source"))
    def source(self, row: GraphCheckpoint) -> str:
        """Where it comes from, as LangGraph says."""
        return shown(str(row.metadata.get("source", "")))

    @admin.display(description=_("step"))
    def step(self, row: GraphCheckpoint) -> str:
        """Which step of the graph it is after."""
        return shown(str(row.metadata.get("step", "")))

    @admin.display(description=_("state"))
    def state(self, row: GraphCheckpoint) -> Any:
        """The values of the channels."""
        return _block(state_text(self.alias, row))

    @admin.display(description=_("pending writes"))
    def writes(self, row: GraphCheckpoint) -> Any:
        """What tasks wrote after it."""
        return _block(writes_text(self.alias, row))


@admin.register(StoredItem)
class StoredItemAdmin(ReadOnlyAdmin):
    """The items of the store."""

    list_display = ("namespace", "key", "updated_at", "expires_at")
    lookups: tuple[str, ...] = ("place",)
    ordering: ClassVar[Any] = ("place",)
    search_fields = ("place__exact",)


def _block(text: str) -> Any:
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return format_html('<pre class="chronos-text">{}</pre>', visible(cut))


def _tabs(request: HttpRequest, using: str, session_id: str) -> Iterable[tuple[str, Any, str]]:
    if may(request, "view", Thread) and Thread.objects.using(using).filter(pk=session_id).exists():
        yield "langgraph", "LangGraph", address(Thread(session_id=session_id), "change")


session_page.further_tabs.append(_tabs)
