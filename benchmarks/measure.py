"""Measuring two ways of doing the same work against each other, and showing what came out."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from statistics import median
from threading import Barrier
from typing import Any

#: Makes the next piece of work ready, which takes no time that counts, and returns what is to be timed.
Side = Callable[[], Callable[[], object]]

BARE = "bare driver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table.

    Attributes:
        ours, other: medians over all rounds, in `unit`.
        against: what the other one is.
        ratio: ours by the other's, the median over the rounds' own ratios.
        at_least, at_most: the bar for the ratio, if there is one.
        rounds: the seconds that ours and the other took in each, or what else was measured.
    """

    name: str
    unit: str
    ours: float
    other: float
    ratio: float
    against: str = BARE
    at_least: float | None = None
    at_most: float | None = None
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def bar(self) -> str:
        """The bar in words; empty if there is none."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None if there is none."""
        if self.at_least is not None:
            return self.ratio >= self.at_least
        return None if self.at_most is None else self.ratio <= self.at_most


def rate(
    name: str,
    count: int,
    ours: Side,
    other: Side,
    *,
    rounds: int,
    at_least: float | None = None,
    against: str = BARE,
) -> Figure:
    """How many a second, where each side does `count` at a time; a ratio of 1 is as fast as the other."""
    pairs = interleaved(ours, other, rounds)
    return Figure(
        name=name,
        unit="/s",
        ours=median(count / mine for mine, _ in pairs),
        other=median(count / theirs for _, theirs in pairs),
        ratio=median(theirs / mine for mine, theirs in pairs),
        against=against,
        at_least=at_least,
        rounds=pairs,
    )


def duration(
    name: str, count: int, ours: Side, other: Side, *, rounds: int, at_most: float | None = None, against: str = BARE
) -> Figure:
    """How many milliseconds one takes, where each side does `count` at a time; a ratio of 2 is twice as long."""
    pairs = interleaved(ours, other, rounds)
    return Figure(
        name=name,
        unit="ms",
        ours=median(1000 * mine / count for mine, _ in pairs),
        other=median(1000 * theirs / count for _, theirs in pairs),
        ratio=median(mine / theirs for mine, theirs in pairs),
        against=against,
        at_most=at_most,
        rounds=pairs,
    )


def interleaved(ours: Side, other: Side, rounds: int) -> list[tuple[float, float]]:
    """The seconds that each side took in each round, taking turns at going first; a round before them warms up."""
    pairs = []
    for number in range(rounds + 1):
        if number % 2:
            mine, theirs = timed(ours), timed(other)
        else:
            theirs, mine = timed(other), timed(ours)
        pairs.append((mine, theirs))
    return pairs[1:]


def timed(side: Side) -> float:
    """The seconds that the next piece of work took."""
    work = side()
    gc.collect()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def always(work: Callable[[], object], times: int = 1) -> Side:
    """The side that does the same each time, so often, and has nothing to make ready."""

    def repeated() -> None:
        for _ in range(times):
            work()

    return lambda: repeated


def fastest(sides: Iterable[Side]) -> Side:
    """The side that takes the least time for its work, tried out here and now."""
    return min(sides, key=lambda side: min(timed(side) for _ in range(4)))


class Crew:
    """Threads that all do something at once, again and again, and keep their connections in between."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pool = ThreadPoolExecutor(size)
        self._start = Barrier(size)

    def run(self, work: Callable[[int], object]) -> None:
        """Call `work` in each thread with a number of its own, from 0."""

        def begin(number: int) -> None:
            self._start.wait()  # so no thread is free for a second one
            work(number)

        for done in [self._pool.submit(begin, number) for number in range(self.size)]:
            done.result()

    def close(self, work: Callable[[int], object]) -> None:
        """Call `work` in each thread once more, as its last."""
        try:
            self.run(work)
        finally:
            self._pool.shutdown()


_COLUMNS = "{:<60} {:>13} {:>13}  {:<14} {:>6}  {:<13} {}"


def header() -> str:
    """The table's first line."""
    return _COLUMNS.format("", "ours", "the other", "which is", "ratio", "bar", "").rstrip()


def row(figure: Figure) -> str:
    """A figure as a line of the table."""
    return _COLUMNS.format(
        figure.name,
        f"{_number(figure.ours)} {figure.unit:<2}",
        f"{_number(figure.other)} {figure.unit:<2}",
        figure.against,
        f"{figure.ratio:.2f}",
        figure.bar,
        {True: "met", False: "NOT MET", None: ""}[figure.met],
    ).rstrip()


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def as_json(figure: Figure) -> dict[str, Any]:
    """A figure for keeping."""
    return {**asdict(figure), "met": figure.met}
