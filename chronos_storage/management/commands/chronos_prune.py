"""``chronos_prune``: removes what the rules of the settings keep no longer; to be run every hour, or day."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ... import queue, storages
from ...operations.pruned import Pruned
from ...operations.pruning import prune
from ...operations.retention import rules
from ..report import ReportCommand, add_confirmation, add_using


class Command(ReportCommand):
    help = (
        'Removes what is older than the rules of CHRONOS_STORAGE["RETENTION"] say, in small batches and from the'
        " oldest on. Without rules that is what the queue keeps no longer, and the files that no artifact has. What is"
        " under a legal hold stays, and is counted."
    )
    examples = (
        "chronos_prune --dry-run",
        "chronos_prune --no-input --json",
        "chronos_prune --using archive --no-input",
    )
    advice = "What was removed stays removed; run it again for the rest."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)
        add_confirmation(parser)
        parser.add_argument("--dry-run", action="store_true", help="count what would go, and remove nothing")

    def work(self, **options: Any) -> Pruned:
        storage, found, dry_run = storages[options["storage"]], rules(), options["dry_run"]
        if not dry_run and not all(rule.is_housekeeping for rule in found):
            consequence = f"This removes records of {storage!r} for good; --dry-run says how many."
            self.confirm(consequence, "prune", options["interactive"])
        report = prune(storage, queue, found, dry_run=dry_run, progress=self.show)
        for line in report.table():
            self.tell(line)
        return report
