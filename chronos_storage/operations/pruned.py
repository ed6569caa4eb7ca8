"""What a run of `pruning` comes to, and how large its batches are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from .retention import Rule

T = TypeVar("T")

#: Seconds that a batch should take, about half of what others may have to wait.
_SECONDS = 0.08
#: How large the first batch is, and the largest, and the smallest that is worth a transaction: what was measured may be
#: how long this one waited for others.
_FIRST, _MOST, _LEAST = 100, 2000, 50


@dataclass
class Line:
    """What a rule came to.

    Attributes:
        rule: it.
        records: how many went, or would go; None where that can't be told before.
        held: how many stay as their session is under a legal hold.
    """

    rule: Rule
    records: int | None = 0
    held: int = 0

    def add(self, count: int, *, held: bool = False) -> None:
        """Count some more."""
        if held:
            self.held += count
        else:
            self.records = (self.records or 0) + count


@dataclass
class Pruned:
    """What a run came to.

    Attributes:
        lines: what each rule came to, as far as it has come.
        dry_run: whether nothing was removed.
    """

    lines: list[Line] = field(default_factory=list)
    dry_run: bool = False
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types."""
        rules = [
            {"rule": place, "type": line.rule.type, "records": line.records, "held": line.held}
            for place, line in enumerate(self.lines)
        ]
        return {"dry_run": self.dry_run, "rules": rules}

    def table(self) -> list[str]:
        """The same as lines of text, under a heading."""
        rows = [("rule", "type", "would go" if self.dry_run else "removed", "held")]
        for place, line in enumerate(self.lines):
            records = "not counted" if line.records is None else f"{line.records:,}"
            rows.append((f"{place}", line.rule.type, records, f"{line.held:,}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [
            f"{place:>{widths[0]}}  {kind:<{widths[1]}}  {records:>{widths[2]}}  {held:>{widths[3]}}"
            for place, kind, records, held in rows
        ]

    def __str__(self) -> str:
        records, held = sum(line.records or 0 for line in self.lines), sum(line.held for line in self.lines)
        said = "would be removed" if self.dry_run else "removed"
        return f"Records: {records:,} {said}, {held:,} left under legal holds."


class Pace:
    """How large a batch may be: what was measured says."""

    size = _FIRST

    def timed(self, call: Callable[[], T]) -> T:
        """Make the call that removes a batch."""
        start = time.monotonic()
        result = call()
        took = time.monotonic() - start
        if took > _SECONDS:
            self.size = max(min(self.size, _LEAST), self.size // 2)
        elif took < _SECONDS / 4:
            self.size = min(_MOST, self.size * 2)
        return result

    def parts(self, values: Iterable[T]) -> Iterator[list[T]]:
        """The values, as many at a time as a batch may be by then."""
        rest = iter(values)
        while part := list(islice(rest, self.size)):
            yield part
