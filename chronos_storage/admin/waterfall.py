"""Spans as a waterfall: nested by their parents, each a bar on a common axis of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..records import Trace, TraceNode
from ..spans import span_tree
from ..text import visible

#: The most levels that are set in; deeper ones stand under each other.
_DEEPEST = 12
#: The shortest bar, in per cent of the axis: it must be seen.
_SHORTEST = 0.4
_TICKS = 5


@dataclass(frozen=True)
class Bar:
    """A span in a waterfall.

    Attributes:
        x, width: in per cent of the axis.
        start: how long after the first span it started.
        duration: None while it is running.
        tokens: None where no model reported any.
        failed: whether its status says so; `error` may say why.
    """

    row: Any
    depth: int
    x: float
    width: float
    start: timedelta
    duration: timedelta | None
    tokens: int | None
    failed: bool
    error: str

    @property
    def level(self) -> int:
        """How far it is set in."""
        return min(self.depth, _DEEPEST)


@dataclass(frozen=True)
class Waterfall:
    """Bars, each after the one it is inside of, and the marks of the axis: what they say and where, in per cent."""

    bars: list[Bar]
    ticks: list[tuple[timedelta, float]]

    @property
    def models(self) -> bool:
        """Whether any span says which model it called."""
        return any(bar.row.model for bar in self.bars)

    @property
    def tokens(self) -> bool:
        """Whether any says how many tokens it took."""
        return any(bar.tokens is not None for bar in self.bars)

    @property
    def costs(self) -> bool:
        """Whether any says what it cost."""
        return any(bar.row.cost is not None for bar in self.bars)


def waterfall(rows: list[Any]) -> Waterfall:
    """The waterfall of spans, given in the order they started; what runs still runs to the latest time there is."""
    if not rows:
        return Waterfall([], [])
    begin = min(row.started_at for row in rows)
    end = max(row.ended_at or row.started_at for row in rows)
    whole = max(end - begin, timedelta(microseconds=1))
    by_id = {row.pk: row for row in rows}
    spans = (Trace(id=row.pk, parent_id=row.parent_id) for row in rows)
    bars = []
    stack: list[tuple[int, TraceNode]] = [(0, node) for node in reversed(span_tree(spans))]
    while stack:
        depth, node = stack.pop()
        bars.append(_bar(by_id[node.trace.id], depth, begin, end, whole))
        stack += [(depth + 1, child) for child in reversed(node.children)]
    ticks = [(whole * part / (_TICKS - 1), 100 * part / (_TICKS - 1)) for part in range(_TICKS)]
    return Waterfall(bars, ticks)


def _bar(row: Any, depth: int, begin: datetime, end: datetime, whole: timedelta) -> Bar:
    ended = row.ended_at or end
    width = max(100 * ((ended - row.started_at) / whole), _SHORTEST)
    x = min(100 * ((row.started_at - begin) / whole), 100 - _SHORTEST)
    return Bar(
        row=row,
        depth=depth,
        x=round(x, 3),
        width=round(min(width, 100 - x), 3),
        start=row.started_at - begin,
        duration=None if row.ended_at is None else row.ended_at - row.started_at,
        tokens=_tokens(row),
        failed=row.status == "error",
        error=visible(row.preview_error),
    )


def _tokens(row: Any) -> int | None:
    if row.total_tokens is not None:
        return int(row.total_tokens)
    said = [count for count in (row.prompt_tokens, row.completion_tokens) if count is not None]
    return sum(said) if said else None
