"""``chronos_verify``: whether the ledger is as it was appended."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, reset_queries

from ... import Storage, storages
from ...exceptions import ChronosError
from ...records import Verdict
from ..terminal import Progress, one_line, stoppable

_NOUNS = {"event": "events", "audit_log": "audit logs"}


class Command(BaseCommand):
    help = (
        "Checks the hash chains of events and audit logs. Of each that is not as it was appended, it names the first"
        " bad row, and the exit status is then 1."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--session", metavar="ID", help="check this session's two chains alone")
        parser.add_argument("--storage", default="default", metavar="ALIAS", help="default: %(default)s")

    def handle(self, **options: Any) -> None:
        progress = Progress(self.stderr)
        chains = rows = broken = 0
        try:
            storage = storages[options["storage"]]
            with stoppable(progress, "Nothing was changed."):
                for verdict in storage.verify_all() if options["session"] is None else _of(storage, options["session"]):
                    chains += 1
                    rows += verdict.checked
                    if not verdict.intact:
                        broken += 1
                        progress.clear()
                        name = one_line(f"{_NOUNS[verdict.kind]} of {verdict.chain!r}")
                        self.stdout.write(f"{name}: {verdict.problem}")
                    reset_queries()  # which Django keeps under DEBUG
                    progress.show(f"Chains: {chains:,} checked, {broken:,} broken. Rows: {rows:,}.")
        except (ChronosError, DatabaseError) as error:
            raise CommandError(one_line(str(error))) from error
        self.stdout.write(f"Chains: {chains:,} checked, {broken:,} broken. Rows: {rows:,}.")
        if broken:
            raise CommandError("The ledger is not as it was appended.")


def _of(storage: Storage, session_id: str) -> Iterator[Verdict]:
    """The verdicts of one session, which may be deleted, or be named by audit logs alone."""
    verdicts = [storage.verify_events(session_id), storage.verify_audit_logs(session_id)]
    empty = not any(verdict.last_seq or verdict.checked for verdict in verdicts)
    if empty and storage.get_session(session_id, include_deleted=True) is None:
        raise CommandError(one_line(f"There is no session {session_id!r}."))
    yield from verdicts
