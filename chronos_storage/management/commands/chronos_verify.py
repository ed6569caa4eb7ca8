"""``chronos_verify``: whether the ledger is as it was appended."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from ... import storages
from ...operations.verifying import Verified, verify
from ...records import Verdict
from ..report import ReportCommand, add_using

_NOUNS = {"event": "events", "audit_log": "audit logs"}


class Command(ReportCommand):
    help = (
        "Checks the hash chains of events and audit logs. Of each that is not as it was appended, it names the first"
        " bad row, and the exit status is then 1."
    )
    examples = (
        "chronos_verify --all --jobs 4",
        "chronos_verify --session 01968e2a --json",
        "chronos_verify --using archive",
    )
    advice = "Nothing was changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--all", action="store_true", help="check every chain, as it does unless told")
        which.add_argument("--session", metavar="ID", help="check this session's two chains alone")
        parser.add_argument(
            "--jobs", type=int, default=1, metavar="N", help="check so many at once; default: %(default)s"
        )

    def work(self, **options: Any) -> Verified:
        return verify(storages[options["storage"]], options["session"], jobs=options["jobs"], progress=self._checked)

    def _checked(self, report: Verified, verdict: Verdict) -> None:
        if not verdict.intact:
            self.tell(f"{_NOUNS[verdict.kind]} of {verdict.chain!r}: {verdict.problem}")
        self.show(report)
