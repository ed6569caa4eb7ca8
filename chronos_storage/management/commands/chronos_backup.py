"""``chronos_backup``: all that a store keeps, in one file."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ... import storages
from ...operations.backing_up import BackedUp, backup
from ..report import ReportCommand, add_using


class Command(ReportCommand):
    help = (
        "Writes a backup into a folder, named by the storage and the time, while others write: a checked copy of"
        " an SQLite file, or a dump by pg_dump, mariadb-dump or mysqldump where one is installed that fits the server,"
        " and else an export. chronos_restore puts it back."
    )
    examples = ("chronos_backup /srv/backups", "chronos_backup /srv/backups --keep-days 30 --using archive --json")
    advice = "Nothing of it is left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)
        parser.add_argument("folder", metavar="DIR", type=Path, help="where the file goes; made if it is not there")
        parser.add_argument(
            "--keep-days",
            type=int,
            metavar="N",
            help="then remove this storage's backups that are older, by their names",
        )

    def work(self, **options: Any) -> BackedUp:
        alias = options["storage"]
        report = backup(
            storages[alias], options["folder"], name=alias, keep_days=options["keep_days"], progress=self.show
        )
        for lack in report.lacks:
            self.tell(lack)
        return report
