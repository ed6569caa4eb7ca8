"""How fields are shown: by translated names, strings as text that stays in its place, long values folded."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.contrib import admin
from django.db import models
from django.template.loader import render_to_string
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..fields import IdField
from ..templatetags.chronos_storage import clock
from ..text import visible
from .addresses import address, session_address
from .previews import large_fields, preview

#: The fields that say again, in another's words, what others say: they are opened to be read, however short they are.
FOLDED = frozenset({"raw"})
#: What a field is called, where that is known to translators.
_LABELS = {
    "action": _("action"),
    "actor": _("actor"),
    "agent_id": _("agent"),
    "attributes": _("attributes"),
    "author": _("author"),
    "base_hash": _("hash before the first"),
    "base_seq": _("number before the first"),
    "cache_creation_tokens": _("tokens written to the cache"),
    "cache_read_tokens": _("tokens read from the cache"),
    "chain": _("chain"),
    "checkpoint_id": _("checkpoint"),
    "closed": _("closed"),
    "collection": _("collection"),
    "completion_tokens": _("completion tokens"),
    "config": _("configuration"),
    "container_id": _("container"),
    "content": _("content"),
    "cost": _("cost"),
    "created_at": _("created"),
    "deleted_at": _("deleted"),
    "description": _("description"),
    "detail": _("detail"),
    "dimension": _("dimension"),
    "ef_construction": _("candidates while building"),
    "ef_search": _("candidates while searching"),
    "embedding_id": _("embedding"),
    "ended_at": _("ended"),
    "error": _("error"),
    "event": _("event"),
    "event_id": _("event"),
    "events": _("events"),
    "expires_at": _("expires"),
    "failed": _("failed"),
    "format": _("format"),
    "hash": _("hash"),
    "id": _("id"),
    "image_id": _("image"),
    "input": _("input"),
    "key": _("key"),
    "kind": _("kind"),
    "last_activity_at": _("last activity"),
    "links": _("links"),
    "log_end": _("end of the log"),
    "m": _("links per node"),
    "mcp_servers": _("MCP servers"),
    "message_id": _("message"),
    "metadata": _("metadata"),
    "metric": _("metric"),
    "mime_type": _("media type"),
    "model": _("model"),
    "name": _("name"),
    "namespace": _("namespace"),
    "node_id": _("node"),
    "output": _("output"),
    "owner": _("owner"),
    "parent_id": _("parent"),
    "parent_image_id": _("parent image"),
    "payload": _("payload"),
    "prompt_tokens": _("prompt tokens"),
    "raw": _("as its framework has it"),
    "removed": _("removed since the log was looked through"),
    "resource": _("resource"),
    "role": _("role"),
    "run_id": _("run"),
    "schema": _("schema"),
    "schema_version": _("version of the schema"),
    "seen_at": _("heard of"),
    "seq_num": _("number"),
    "series": _("series"),
    "session": _("session"),
    "session__agent_id": _("agent"),
    "session_id": _("session"),
    "sha256": _("SHA-256"),
    "size": _("bytes"),
    "started_at": _("started"),
    "state": _("state"),
    "state_size": _("characters of its state that are kept elsewhere"),
    "status": _("status"),
    "system_prompt": _("system prompt"),
    "title": _("title"),
    "tool_call_id": _("tool call"),
    "tool_calls": _("tool calls"),
    "topic": _("topic"),
    "total_tokens": _("total tokens"),
    "trace_id": _("run"),
    "type": _("type"),
    "updated_at": _("updated"),
    "user_id": _("user"),
    "value": _("value"),
    "version": _("version"),
}

Column = Callable[[Any], Any]


def label(name: str) -> Any:
    """What a field is called, translated; one that nothing is known of by its name."""
    return _LABELS.get(name) or name.replace("_", " ")


@cache
def column(model: Any, name: str, *, brief: bool = False) -> Column:
    """What shows a field on the page of its row, or `brief`, in a list."""
    value = _shown(model, name, brief)

    def show(row: Any) -> Any:
        found = value(row)
        if isinstance(found, datetime):
            return clock(found)
        return found if brief else _on_page(found)

    show.__name__ = name
    described: Column = admin.display(description=label(name), ordering=name)(show)
    return described


def _shown(model: type[models.Model], name: str, brief: bool) -> Column:
    if name in {field.attname for field in large_fields(model)}:
        return lambda row: as_text(preview(row, name).line) if brief else _folded(row, name)
    if name in ("session", "session_id"):
        return lambda row: _session(row.session_id)
    if isinstance(model._meta.get_field(name), IdField):
        return lambda row: as_text(getattr(row, name))
    return lambda row: getattr(row, name)


def _on_page(value: Any) -> Any:
    """What the page of a row has for a value; lists do this by themselves."""
    if value is None or value == "":
        return "–"
    return localize(value) if isinstance(value, Decimal) else value  # whose own text may have an exponent


def as_text(value: str) -> Any:
    """A string that neither changes the direction of what stands around it nor hides anything."""
    return format_html('<bdi class="chronos-text">{}</bdi>', visible(value)) if value else None


def _session(session_id: str) -> Any:
    if not session_id:
        return None
    return format_html('<a href="{}">{}</a>', session_address(session_id), as_text(session_id))


def _folded(row: Any, name: str) -> Any:
    found = preview(row, name)
    if found.empty:
        return None
    return render_to_string(
        "admin/chronos_storage/folded.html",
        {
            "preview": found,
            "address": None if found.complete else address(row, "content", name),
            "folded": name in FOLDED,
        },
    )
