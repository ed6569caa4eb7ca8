"""What a store has, how much room it takes, how fast it grows, and how far behind its queue's consumers are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..backends.base import Condition, Query
from ..chains.hashing import time_text
from ..exceptions import NotSupported
from ..facade import Storage
from ..queues.base import SILENCE, EventQueue, Lag
from ..records import KINDS, Record, Trace, now
from .sizes import sizes

_DAY, _WEEK = timedelta(days=1), timedelta(days=7)


@dataclass
class Stats:
    """What a store is like now.

    Attributes:
        counts: how many records of each kind there are, soft-deleted sessions and expired memory among them.
        day: how many of these were made in the last 24 hours.
        week: and in the last seven days.
        sizes: bytes, by table or file; empty where the store can't tell.
        lags: how far behind each consumer of the queue is; None where nobody can tell.
    """

    counts: dict[str, int] = field(default_factory=dict)
    day: dict[str, int] = field(default_factory=dict)
    week: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    lags: list[Lag] | None = None
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types; `live` says whether a consumer still holds entries back."""
        living = now() - SILENCE
        lags = [
            {
                "topic": lag.topic,
                "consumer": lag.consumer,
                "unread": lag.unread,
                "seen_at": time_text(lag.seen_at),
                "live": lag.seen_at >= living,
            }
            for lag in self.lags or ()
        ]
        return {
            "counts": self.counts,
            "created_last_day": self.day,
            "created_last_week": self.week,
            "sizes": self.sizes,
            "lags": None if self.lags is None else lags,
        }

    def __str__(self) -> str:
        size = f", {sum(self.sizes.values()) / 1e6:,.1f} MB" if self.sizes else ""
        return f"Records: {sum(self.counts.values()):,}, {sum(self.day.values()):,} of the last day{size}."


def stats(
    storage: Storage, queue: EventQueue | None = None, *, progress: Callable[[Stats], object] | None = None
) -> Stats:
    """Count what a store has.

    A database counts itself; of other stores every record is read, which takes as long as an export.

    Args:
        queue: whose consumers are looked at too.
        progress: called after each kind, and on stores that are read through now and then, with what is known so far.
    """
    report = Stats()

    def show() -> None:
        if progress is not None:
            progress(report)

    at = now()
    count = _ask if storage.backend.using is not None else _read
    for kind, record in KINDS.items():
        count(storage, kind, record, at, report, show)
        show()
    report.sizes = sizes(storage)
    if queue is not None:
        try:
            report.lags = queue.lags()
        except NotSupported:
            report.lags = None
    return report


def _time_of(record: type[Record]) -> str:
    return "started_at" if record is Trace else "created_at"


def _ask(
    storage: Storage, kind: str, record: type[Record], at: datetime, report: Stats, show: Callable[[], None]
) -> None:
    def count(*where: Condition) -> int:
        query: Query[Any] = Query(record=record, where=where)
        return storage.backend.run(lambda: storage.backend.count(query))

    report.counts[kind] = count()
    for counts, age in ((report.day, _DAY), (report.week, _WEEK)):
        counts[kind] = count(Condition(_time_of(record), ">=", at - age))


def _read(
    storage: Storage, kind: str, record: type[Record], at: datetime, report: Stats, show: Callable[[], None]
) -> None:
    name = _time_of(record)
    report.counts[kind] = report.day[kind] = report.week[kind] = 0
    for number, each in enumerate(storage.scan(kind), 1):
        age = at - (getattr(each, name) or at)
        report.counts[kind] = number
        report.day[kind] += age <= _DAY
        report.week[kind] += age <= _WEEK
        if not number % 1000:
            show()
