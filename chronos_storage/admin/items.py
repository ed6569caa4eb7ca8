"""The items of a page of a timeline, as its template shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _

from ..failures import failed
from ..models import Message
from ..text import visible
from .addresses import address, anchor
from .blocks import Block, artifact_block
from .columns import FOLDED, label
from .previews import Preview, large_fields, preview, previewed
from .speeches import Speech, speeches_of, tokens_of
from .spoken import spoken
from .timeline import FAILING, STREAMS, Found, Page

NAMES = {
    "message": _("message"),
    "event": _("event"),
    "span": _("span"),
    "checkpoint": _("checkpoint"),
    "audit": _("audit entry"),
    "artifact": _("artifact"),
}
#: What of a row its heading is made of.
_HEADINGS: dict[str, Callable[[Any], tuple[str, ...]]] = {
    "message": lambda row: (row.role, row.name, row.model),
    "event": lambda row: (row.type, _schema(row), _erased(row)),
    "span": lambda row: (row.kind, row.name, row.model),
    "checkpoint": lambda row: (row.node_id, row.namespace, row.run_id, _schema(row)),
    "audit": lambda row: (row.actor, row.action, row.resource, _erased(row)),
    "artifact": lambda row: (row.name, str(row.version), row.mime_type),
}
#: The fields of which one, the first that holds something, is shown while an item is folded.
_SPEAKING = ("error", "payload", "output", "input", "detail", "state", "metadata")


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
        number: its number within its kind; None for spans and artifacts, which have none.
        heading: what it is, in the row's own words.
        speech: what it says, if it is a message.
        file: the bytes, if it is an artifact.
        tokens: how many a model reported, altogether.
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
    speech: Speech | None = None
    file: Block | None = None
    tokens: int | None = None
    cost: Decimal | None = None
    is_model_call: bool = False

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
    rows = {kind: _rows(using, kind, wanted) for kind, wanted in keys.items() if kind != "message"}
    messages = Message.objects.using(using).filter(session_id=session_id)
    said = spoken(messages.filter(pk__in=keys["message"]).order_by("seq_num")) if keys["message"] else []
    rows["message"] = {message.row.pk: message.row for message in said}
    speeches = speeches_of(messages, said)
    return [
        _item(found, rows[found.kind][found.pk], speeches)
        for found in page.items
        if found.pk in rows[found.kind]  # deleted in between
    ]


def _rows(using: str, kind: str, keys: list[Any]) -> dict[Any, Any]:
    model = STREAMS[kind].model
    rows = previewed(model._default_manager.using(using).filter(pk__in=keys))
    return {row.pk: row for row in (rows.annotate(failed=failed(model)) if kind in FAILING else rows)}


def _item(found: Found, row: Any, speeches: dict[Any, Speech]) -> Item:
    is_span = found.kind == "span"
    speech = speeches[row.pk] if found.kind == "message" else None
    return Item(
        kind=found.kind,
        label=NAMES[found.kind],
        pk=row.pk,
        anchor=anchor(found.kind, row.pk),
        address=address(row, "change"),
        timestamp=row.started_at if is_span else row.created_at,
        number=getattr(row, "seq_num", None),
        heading=[visible(word) for word in _HEADINGS[found.kind](row) if word],
        parts=parts_of(row, without=speech.fields if speech else ()),
        error=found.kind in FAILING and row.failed,
        running=is_span and row.ended_at is None,
        duration=row.ended_at - row.started_at if is_span and row.ended_at else None,
        speech=speech,
        file=artifact_block(row) if found.kind == "artifact" else None,
        tokens=tokens_of(row) if is_span or speech else None,
        cost=row.cost if is_span else None,
        is_model_call=is_span and row.kind == "model_call",
    )


def parts_of(row: Any, without: Collection[str] = ()) -> list[Part]:
    """The fields of a row that may be long and hold something, but for these."""
    names = [each.attname for each in large_fields(type(row)) if each.attname not in without]
    parts = [_part(row, name) for name in names]
    return [part for part in parts if not part.preview.empty]


def _part(row: Any, name: str) -> Part:
    found = preview(row, name)
    return Part(name, label(name), found, None if found.complete else address(row, "content", name), name in FOLDED)
