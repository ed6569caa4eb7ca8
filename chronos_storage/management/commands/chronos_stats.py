"""``chronos_stats``: what a storage has, and how it grows."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ... import storages
from ...operations.stats import Stats, stats
from ...queues.handler import queue_handler
from ..report import ReportCommand, add_using


class Command(ReportCommand):
    help = (
        "Counts a storage's records, those of the last day and of the last week, and tells the bytes of its tables or"
        " files as far as it can, and how far behind the consumers of the queue are."
    )
    examples = ("chronos_stats", "chronos_stats --using archive --json")
    advice = "Nothing was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)

    def work(self, **options: Any) -> Stats:
        report = stats(storages[options["storage"]], queue_handler.only, progress=self.show)
        self.tell(f"{'':20}{'all':>14}{'last day':>12}{'last week':>12}")
        for kind, count in report.counts.items():
            self.tell(f"{kind:20}{count:14,}{report.day[kind]:12,}{report.week[kind]:12,}")
        for name, size in report.sizes.items():
            self.tell(f"{name:45}{size / 1e6:10,.1f} MB")
        for lag in report.lags or ():
            self.tell(
                f"topic {lag.topic!r}, consumer {lag.consumer!r}: {lag.unread:,} unread, seen {lag.seen_at:%F %T}"
            )
        return report
