"""Spans as a waterfall: nested by their parents, each a bar on a common axis of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext as _

from ..records import Trace, TraceNode
from ..spans import span_tree
from ..templatetags.chronos_storage import grouped
from ..text import visible
from .previews import Preview, preview

#: A span that has not ended after so long is warned of: whoever was to end it may be gone.
LONG_OPEN = timedelta(minutes=15)
#: The most levels that are set in; deeper ones stand under each other.
_DEEPEST = 12
#: The shortest bar, in per cent of the axis: it must be seen.
_SHORTEST = 0.4
#: How much longer than all that is known an axis may become by what has not ended.
_STRETCH = 20
_TICKS = 5


@dataclass(frozen=True)
class Bar:
    """A span in a waterfall.

    Attributes:
        x, width: in per cent of the axis; what goes on beyond it is cut off at its ends.
        start: how long after the session's first span it started.
        duration: how long it took, or has taken until now.
        open: whether it has not ended; `overdue` where that was to be expected long ago.
        inside: whether it has spans inside of it that are shown.
        elsewhere: whether its place is on another page: it is shown for what is inside of it.
        usage: the tokens that a model reported; empty where none did.
        failed: whether its status says so; `error` may say why.
    """

    row: Any
    depth: int
    x: float
    width: float
    start: timedelta
    duration: timedelta
    open: bool
    overdue: bool
    inside: bool
    elsewhere: bool
    usage: str
    failed: bool
    error: str
    attributes: Preview

    @property
    def level(self) -> int:
        """How far it is set in."""
        return min(self.depth, _DEEPEST)


@dataclass(frozen=True)
class Waterfall:
    """Bars, each after the one it is inside of, and the marks of the axis: what they say and where, in per cent.

    Attributes:
        cut: whether what has not ended goes on beyond the axis.
    """

    bars: list[Bar]
    ticks: list[tuple[timedelta, float]]
    cut: bool = False


@dataclass(frozen=True)
class _Axis:
    """From when to when bars are drawn, when the session's first span started, and what time it is."""

    begin: datetime
    end: datetime
    first: datetime
    now: datetime

    def place(self, timestamp: datetime) -> float:
        """Where a moment is, in per cent; those before and after are at the ends."""
        return min(max(100 * ((timestamp - self.begin) / (self.end - self.begin)), 0.0), 100.0)


def waterfall(rows: list[Any], above: list[Any], first: datetime, now: datetime) -> Waterfall:
    """The waterfall of a page of spans, on the axis of what is on the page.

    What has not ended is drawn until now, unless hardly anything else could be seen then.

    Args:
        rows: the page's, in the order they started.
        above: those of other pages that they are inside of.
        first: when the session's first span started, from which times count.
    """
    if not rows:
        return Waterfall([], [])
    begin = min(row.started_at for row in rows)
    known = max(max(row.ended_at or row.started_at, row.started_at) for row in rows)
    until = max(known, now) if any(row.ended_at is None for row in rows) else known
    cut = known > begin and until - begin > _STRETCH * (known - begin)
    end = max(known if cut else until, begin + timedelta(microseconds=1))
    axis = _Axis(begin, end, first, now)
    by_id = {row.pk: row for row in (*above, *rows)}
    elsewhere = {row.pk for row in above}
    bars = []
    spans = (Trace(id=row.pk, parent_id=row.parent_id) for row in by_id.values())
    stack: list[tuple[int, TraceNode]] = [(0, node) for node in reversed(span_tree(spans))]
    while stack:
        depth, node = stack.pop()
        id = node.trace.id
        bars.append(_bar(by_id[id], depth, axis, inside=bool(node.children), elsewhere=id in elsewhere))
        stack += [(depth + 1, child) for child in reversed(node.children)]
    steps = [part / (_TICKS - 1) for part in range(_TICKS)]
    ticks = [(begin - first + (end - begin) * step, 100 * step) for step in steps]
    return Waterfall(bars, ticks, cut)


def _bar(row: Any, depth: int, axis: _Axis, *, inside: bool, elsewhere: bool) -> Bar:
    ended = row.ended_at or max(axis.now, row.started_at)
    x = min(axis.place(row.started_at), 100 - _SHORTEST)
    width = max(axis.place(ended) - x, _SHORTEST)
    return Bar(
        row=row,
        depth=depth,
        x=round(x, 3),
        width=round(width, 3),
        start=row.started_at - axis.first,
        duration=ended - row.started_at,
        open=row.ended_at is None,
        overdue=row.ended_at is None and ended - row.started_at > LONG_OPEN,
        inside=inside,
        elsewhere=elsewhere,
        usage=", ".join(_usage(row)),
        failed=row.status == "error",
        error=visible(row.preview_error),
        attributes=preview(row, "attributes"),
    )


def _usage(row: Any) -> list[str]:
    counts = {
        _("%(count)s prompt tokens"): row.prompt_tokens,
        _("%(count)s completion tokens"): row.completion_tokens,
        _("%(count)s read from the cache"): row.cache_read_tokens,
        _("%(count)s written to the cache"): row.cache_creation_tokens,
    }
    if row.prompt_tokens is None and row.completion_tokens is None:
        counts = {_("%(count)s tokens"): row.total_tokens} | counts
    return [text % {"count": grouped(count)} for text, count in counts.items() if count is not None]
