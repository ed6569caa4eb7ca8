"""``chronos_copy``: what one store keeps, in another."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ...operations.copying import Copied, copy
from ...operations.places import place_of
from ..report import ReportCommand


class Command(ReportCommand):
    help = (
        "Copies all that a store keeps into another one of any backend: records with their ids, numbers, times and"
        " hashes, vector collections, and the queue. Each is an alias of the settings, or an address, whose tables are"
        " made where something is copied to. In the end it compares both, and verifies every chain. Run again, nothing"
        " doubles, and what is there already stays as it is."
    )
    examples = (
        "chronos_copy --from default --to archive",
        "chronos_copy --from sqlite:////data/agents.db --to postgres://agents@db/agents --json",
        "chronos_copy --from default --to qdrant://host:6333",
    )
    advice = "What is copied stays; the same command again goes on from there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        for option, what in (("from", "is read"), ("to", "is written to; nobody else should meanwhile")):
            parser.add_argument(
                f"--{option}", dest=f"{option}_", required=True, metavar="ALIAS|DSN", help=f"the store that {what}"
            )

    def work(self, **options: Any) -> Copied:
        source, target = place_of(options["from_"]), place_of(options["to_"], make=True)
        report = copy(source, target, progress=self.show)
        for each in report.different:
            self.tell(f"{each} is not as it is in the source")
        return report
