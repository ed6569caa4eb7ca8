"""``chronos_state check``: whether today's code reads all versions of the data that a storage has."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ... import storages
from ...operations.state_versions import StateVersions, check_versions
from ..report import ReportCommand, add_using


class Command(ReportCommand):
    help = (
        "Looks at the schema and version of every event, memory and checkpoint, and lists those that no upcaster leads"
        " to the newest version, each with an example; the exit status is then 1."
    )
    examples = ("chronos_state check", "chronos_state check --using archive --json")
    advice = "Nothing was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("action", choices=["check"], help="what is done")
        add_using(parser)

    def work(self, **options: Any) -> StateVersions:
        report = check_versions(storages[options["storage"]], progress=self.show)
        for version in report.unreached:
            self.tell(str(version))
        return report
