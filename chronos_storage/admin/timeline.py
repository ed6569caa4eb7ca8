"""One order for all that a session holds: by time, and where numbers say otherwise, by the numbers.

Each kind is a stream with an order of its own, its numbers, which no clock changes. A timeline takes, again and again,
the earliest of the streams' first items. So a place in it is a place in each stream, a page is found by keys alone,
and nothing is missing or repeated between two pages.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Max, Q, Window
from django.db.models.query import QuerySet

from ..chains.numbering import audit_chain
from ..failures import failed
from ..keyset import After, from_json, to_json
from ..models import Artifact, AuditLog, Checkpoint, Event, Message, Trace
from .previews import column_of

PAGE = 100

#: By kind, the values of the order's columns of the item that a page begins after.
Place = dict[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Stream:
    """All of a session's items of one kind.

    Attributes:
        order: the columns of its order, which is total.
        time: the column of the time.
    """

    kind: str
    model: type[models.Model]
    order: tuple[str, ...]
    time: str

    def rows(self, using: str, session_id: str) -> QuerySet[Any]:
        """The session's rows, in no order."""
        rows = self.model._default_manager.using(using)
        if self.model is AuditLog:
            return rows.filter(chain=audit_chain(session_id, None))
        rows = rows.filter(session_id=session_id)
        if self.model is Checkpoint:
            # Each namespace has numbers of its own. The latest time so far never goes back where the numbers go on.
            latest = Window(Max("created_at"), partition_by=F("namespace"), order_by=F("seq_num").asc())
            rows = rows.annotate(timestamp=latest)
        return rows

    def row(self, using: str, session_id: str, pk: Any) -> QuerySet[Any]:
        """The row of this primary key."""
        rows = self.rows(using, session_id)
        if self.model is Checkpoint:
            # Chosen outside the window, which has to see the rows before it; no moment is null.
            return rows.filter(Q(pk=pk) | Q(timestamp=None))
        return rows.filter(pk=pk)

    def place(self, values: Any) -> tuple[Any, ...]:
        """The values of the order's columns, as they come from an address."""
        # The window's timestamp is no column of the model's.
        columns = [
            models.DateTimeField() if name == "timestamp" else column_of(self.model, name) for name in self.order
        ]
        return from_json(columns, values)


#: Where times are the same, what was said comes before what was done about it.
STREAMS = {
    stream.kind: stream
    for stream in (
        Stream("message", Message, ("seq_num",), "created_at"),
        Stream("event", Event, ("seq_num",), "created_at"),
        Stream("span", Trace, ("started_at", "id"), "started_at"),
        Stream("checkpoint", Checkpoint, ("timestamp", "namespace", "seq_num"), "timestamp"),
        Stream("audit", AuditLog, ("seq_num",), "created_at"),
        Stream("artifact", Artifact, ("created_at", "id"), "created_at"),
    )
}


#: The kinds of which some are failures.
FAILING = ("message", "event", "span")


@dataclass(frozen=True)
class Found:
    """Where an item stands."""

    kind: str
    pk: Any
    timestamp: datetime
    place: tuple[Any, ...]


@dataclass(frozen=True)
class Page:
    """A part of a timeline.

    Attributes:
        start: where it begins, and the one before it ends; empty if this is the first.
        following: where the next one begins; None if this is the last.
    """

    items: list[Found]
    start: Place
    following: Place | None

    def place(self, count: int) -> Place:
        """The place behind so many of its items."""
        return {**self.start, **{item.kind: item.place for item in self.items[:count]}}


class Timeline:
    """A session's items of some kinds, in their order.

    Args:
        errors: whether of these only the failures.
    """

    def __init__(self, using: str, session_id: str, kinds: Collection[str], *, errors: bool = False) -> None:
        self._using = using
        self._session_id = session_id
        self._errors = errors
        known = FAILING if errors else STREAMS
        self._streams = [stream for kind, stream in STREAMS.items() if kind in kinds and kind in known]

    def page(self, start: Place) -> Page:
        """The items after a place."""
        items = list(heapq.merge(*self._heads(start), key=lambda item: item.timestamp))
        shown = items[:PAGE]
        return Page(shown, start, Page(shown, start, None).place(PAGE) if len(items) > PAGE else None)

    def page_before(self, end: Place | None) -> Page:
        """The items up to a place, or to the very end."""
        newest = self._newest(end)
        # The later of two streams comes first, where times are the same, as it comes last otherwise.
        merged = heapq.merge(*newest[::-1], key=lambda item: item.timestamp, reverse=True)
        taken = Counter(item.kind for item in islice(merged, PAGE))
        shown, start = [], {}
        for stream, items in zip(self._streams, newest, strict=True):
            count = taken[stream.kind]
            shown.append(items[:count][::-1])
            if count < len(items):
                start[stream.kind] = items[count].place
        return Page(list(heapq.merge(*shown, key=lambda item: item.timestamp)), start, end)

    def next(self, start: Place) -> Found | None:
        """The first item after a place; None if there is none."""
        heads = [item for items in self._heads(start, 1) for item in items]
        return min(heads, key=lambda item: item.timestamp, default=None)

    def previous(self, end: Place) -> Found | None:
        """The last item up to a place; None if there is none."""
        newest = [item for items in reversed(self._newest(end, 1)) for item in items]
        return max(newest, key=lambda item: item.timestamp, default=None)

    def around(self, kind: str, pk: Any) -> Page | None:
        """The page that begins with the item of this kind and primary key, or with the message before it where the page
        then has both; None if it is not there.
        """
        stream = next((stream for stream in self._streams if stream.kind == kind), None)
        if stream is None:
            return None
        try:
            found = self._first(stream, stream.row(self._using, self._session_id, pk))
        except (ValueError, ValidationError):
            return None
        if found is None:
            return None
        said = STREAMS["message"]
        if said in self._streams and stream is not said:
            before = self._ordered(said, descending=True).filter(created_at__lte=found.timestamp)
            if message := self._first(said, before):
                page = self._beginning(said, message)
                if found in page.items:
                    return page
        return self._beginning(stream, found)

    def _beginning(self, stream: Stream, found: Found) -> Page:
        """The page that begins with an item."""
        start: Place = {}
        earlier = "lte"
        for each in self._streams:
            rows = self._ordered(each, descending=True)
            if each is stream:
                rows = rows.filter(After(each.order, found.place, "lt"))
                earlier = "lt"  # where times are the same, the streams' order decides
            else:
                rows = rows.filter(**{f"{each.time}__{earlier}": found.timestamp})
            if before := self._first(each, rows):
                start[each.kind] = before.place
        return self.page(start)

    def _heads(self, start: Place, count: int | None = None) -> list[list[Found]]:
        """Of each stream, the first items after a place, one more than a page has."""
        heads = []
        for stream in self._streams:
            rows = self._ordered(stream)
            if stream.kind in start:
                rows = rows.filter(After(stream.order, start[stream.kind], "gt"))
            heads.append(self._found(stream, rows, count))
        return heads

    def _newest(self, end: Place | None, count: int | None = None) -> list[list[Found]]:
        """Of each stream, the last items up to a place, the last first, one more than a page has."""
        return [
            self._found(stream, _up_to(stream, self._ordered(stream, descending=True), end), count)
            for stream in self._streams
        ]

    def _ordered(self, stream: Stream, *, descending: bool = False) -> QuerySet[Any]:
        rows = stream.rows(self._using, self._session_id)
        if self._errors:
            rows = rows.filter(failed(stream.model))
        return rows.order_by(*(f"-{name}" if descending else name for name in stream.order))

    def _found(self, stream: Stream, rows: QuerySet[Any], count: int | None = None) -> list[Found]:
        return [
            Found(stream.kind, row["pk"], row[stream.time], tuple(row[name] for name in stream.order))
            for row in rows.values("pk", *dict.fromkeys((stream.time, *stream.order)))[: count or PAGE + 1]
        ]

    def _first(self, stream: Stream, rows: QuerySet[Any]) -> Found | None:
        return next(iter(self._found(stream, rows, 1)), None)


def _up_to(stream: Stream, rows: QuerySet[Any], end: Place | None) -> QuerySet[Any]:
    if end is None:
        return rows
    # A place that says nothing of a stream is before its first item.
    return rows.filter(After(stream.order, end[stream.kind], "lte")) if stream.kind in end else rows.none()


def as_text(place: Mapping[str, Iterable[Any]]) -> str:
    """A place as it stands in an address."""
    return json.dumps({kind: to_json(values) for kind, values in place.items()}, separators=(",", ":"))


def from_text(text: str) -> Place:
    """The place that `as_text` wrote; the beginning, if it is none."""
    try:
        given = json.loads(text)
        return {kind: STREAMS[kind].place(values) for kind, values in given.items()}
    except (ValueError, KeyError, AttributeError, RecursionError):
        return {}
