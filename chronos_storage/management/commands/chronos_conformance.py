"""``chronos_conformance``: whether a configured storage keeps the contract."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from ... import storages
from ...exceptions import NotSupported
from ...extras import require
from ..report import ReportCommand, add_using


class Command(ReportCommand):
    help = (
        "Runs the tests of what a storage promises over one that the settings name: over a test database, which is made"
        " and removed, or in its store, apart from what that holds. The exit status is 1 if it does not keep it all."
    )
    examples = ("chronos_conformance", "chronos_conformance --using archive --json")
    advice = "What the tests wrote was removed."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)

    def work(self, **options: Any) -> Any:
        require("chronos_conformance", "pytest")
        from ...testing.report import Report, run

        def show(report: Report, count: int) -> None:
            done = report.total
            self.progress.show(f"Tests: {done.total():,} of {count:,}, {done['failed']:,} failed.")

        storage = storages[options["storage"]]
        self.tell(f"{storages.where(options['storage'])}: {storage!r}")
        try:
            report = run(storage, show)
        except NotSupported as error:
            raise CommandError(
                "This backend can't have a store apart from its own (Backend.apart): have a test class of yours be a"
                " StorageConformance instead, as the page on backends shows."
            ) from error
        self._tell(report, options["verbosity"])
        return report

    def _tell(self, report: Any, verbosity: int) -> None:
        for name, text in report.failures:
            for line in text.splitlines() if verbosity > 1 else [f"{name}: {_last(text)}"]:
                self.tell(line)
        for group, ended in sorted(report.groups.items()):
            counts = ", ".join(f"{ended[how]} {how}" for how in ("passed", "failed", "skipped") if ended[how])
            self.tell(f"{group:24} {counts}")
        for why in report.lacks:
            self.tell(f"Skipped: {why}")


def _last(text: str) -> str:
    """What a failure's text says went wrong."""
    errors = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return errors[0] if errors else text.strip().splitlines()[-1]
