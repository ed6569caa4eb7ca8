"""``chronos_erase``: everything of a person, removed."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ... import storages
from ...operations.erased import Erased
from ...operations.erasing import erase
from ...operations.places import configured_vector_stores
from ...queues.handler import queue_handler
from ..report import ReportCommand, add_confirmation, add_using


class Command(ReportCommand):
    help = (
        "Removes everything of a person from a storage, the vector stores and the queue: their sessions with all that"
        " belongs to them, their memories, artifacts with the bytes that nobody else has, embeddings and queue entries."
        " Audit entries in chains that others share are emptied where they stand, and the chains still verify. Sessions"
        " under a legal hold are left and named. An audit entry says what went, without naming the person; so does the"
        " receipt, a file. Backups from before are not covered."
    )
    examples = (
        "chronos_erase --user 42 --dry-run",
        "chronos_erase --user 42 --receipt erased-42.json",
        "chronos_erase --user 42 --using archive --no-input --json",
    )
    advice = "What was removed is gone; the same command again goes on from there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)
        add_confirmation(parser)
        parser.add_argument("--user", metavar="ID", required=True, help="whose records")
        parser.add_argument("--receipt", metavar="FILE", type=Path, help="a new file for the report, as JSON")
        parser.add_argument("--dry-run", action="store_true", help="remove nothing, and say what would be")

    def work(self, **options: Any) -> Erased:
        user_id, dry_run = options["user"], options["dry_run"]
        if not dry_run:
            consequence = f"This removes everything of the user {user_id!r} for good."
            self.confirm(consequence, user_id, options["interactive"])
        report = erase(
            storages[options["storage"]],
            user_id,
            vector_stores=configured_vector_stores(),
            queues=[queue_handler.only],
            receipt=options["receipt"],
            dry_run=dry_run,
            progress=self.show,
        )
        for id in report.held:
            self.tell(f"Session {id!r} is under a legal hold and was left.")
        for remains in report.remains:
            self.tell(f"May be there still: {remains}.")
        return report
