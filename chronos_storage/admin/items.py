"""The items of a page of a timeline, as its template shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from ..failures import failed
from ..models import Message
from ..text import visible
from .addresses import address, anchor, timeline_address
from .columns import FOLDED, label
from .previews import Preview, large_fields, preview, previewed
from .timeline import FAILING, STREAMS, Found, Page
from .tool_calls import LENGTH as CALLS_LENGTH
from .tool_calls import ToolCall, paired

NAMES = {
    "message": _("message"),
    "event": _("event"),
    "span": _("span"),
    "checkpoint": _("checkpoint"),
    "audit": _("audit entry"),
}
#: What of a row its heading is made of.
_HEADINGS: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "message": lambda row: (row.role, row.name, row.model),
    "event": lambda row: (row.type, _schema(row), _erased(row)),
    "span": lambda row: (row.kind, row.name, row.model),
    "checkpoint": lambda row: (row.node_id, row.namespace, row.run_id, _schema(row)),
    "audit": lambda row: (row.actor, row.action, row.resource, _erased(row)),
}
#: The fields of which one, the first that holds something, is shown while an item is folded.
_SPEAKING = ("error", "content", "payload", "tool_calls", "output", "input", "detail", "state")


def _schema(row: Any) -> str:
    return f"{row.schema} {row.schema_version}" if row.schema else ""


def _erased(row: Any) -> str:
    return str(_("erased")) if row.erased else ""


@dataclass(frozen=True)
class Part:
    """A field that may be long.

    Attributes:
        address: where all of it is; None if its preview is all.
        folded: whether it is opened to be read, however short it is.
    """

    name: str
    label: Any
    preview: Preview
    address: str | None
    folded: bool


@dataclass(frozen=True)
class Item:
    """An entry of a timeline.

    Attributes:
        number: its number within its kind; None for spans, which have none.
        heading: what it is, in the row's own words.
        caller: the message with the tool call whose result this is, and where it is.
    """

    kind: str
    label: Any
    pk: Any
    anchor: str
    address: str
    timestamp: datetime
    number: int | None
    heading: list[str]
    parts: list[Part]
    error: bool = False
    running: bool = False
    duration: timedelta | None = None
    calls: list[ToolCall] = field(default_factory=list)
    caller: tuple[Any, str] | None = None

    @property
    def line(self) -> str:
        """What is said of it while it is folded."""
        by_name = {part.name: part.preview.line for part in self.parts}
        return next((by_name[name] for name in _SPEAKING if name in by_name), "")


def items_of(using: str, session_id: str, page: Page) -> list[Item]:
    """The items of a page: of each kind, the rows in one query, and no more of each value than is shown."""
    keys = defaultdict(list)
    for found in page.items:
        keys[found.kind].append(found.pk)
    rows = {kind: _rows(using, kind, wanted) for kind, wanted in keys.items()}
    messages = [rows["message"][pk] for pk in keys["message"]] if "message" in rows else []
    calls, callers = paired(Message.objects.using(using).filter(session_id=session_id), messages)
    return [
        _item(found, rows[found.kind][found.pk], calls, callers)
        for found in page.items
        if found.pk in rows[found.kind]  # deleted in between
    ]


def _rows(using: str, kind: str, keys: list[Any]) -> dict[Any, Any]:
    rows = STREAMS[kind].model._default_manager.using(using)
    found = previewed(rows.filter(pk__in=keys), lengths={"tool_calls": CALLS_LENGTH})
    if kind in FAILING:
        found = found.annotate(failed=failed(STREAMS[kind].model))
    return {row.pk: row for row in found}


def _item(found: Found, row: Any, calls: dict[Any, list[ToolCall]], callers: dict[Any, Any]) -> Item:
    is_message, is_span = found.kind == "message", found.kind == "span"
    parts = [_part(row, each.attname) for each in large_fields(type(row))]
    if is_message and calls.get(row.pk):
        parts = [part for part in parts if part.name != "tool_calls"]
    return Item(
        kind=found.kind,
        label=NAMES[found.kind],
        pk=row.pk,
        anchor=anchor(found.kind, row.pk),
        address=address(row, "change"),
        timestamp=row.started_at if is_span else row.created_at,
        number=None if is_span else row.seq_num,
        heading=[visible(word) for word in _HEADINGS[found.kind](row) if word],
        parts=[part for part in parts if not part.preview.empty],
        error=found.kind in FAILING and row.failed,
        running=is_span and row.ended_at is None,
        duration=row.ended_at - row.started_at if is_span and row.ended_at else None,
        calls=calls.get(row.pk, []) if is_message else [],
        caller=_caller(row, callers) if is_message else None,
    )


def _caller(row: Any, callers: dict[Any, Any]) -> tuple[Any, str] | None:
    caller = callers.get(row.pk)
    return None if caller is None else (caller, timeline_address(row.session_id, "message", caller.pk))


def _part(row: Any, name: str) -> Part:
    found = preview(row, name)
    return Part(name, label(name), found, None if found.complete else address(row, "content", name), name in FOLDED)
