"""``chronos_restore``: a backup in the place of what a store keeps."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ... import storages
from ...operations.restoring import Restored, replaces, restore
from ..report import ReportCommand, add_confirmation, add_using


class Command(ReportCommand):
    help = (
        "Puts a backup of chronos_backup in the place of what a storage keeps, which is put aside: an SQLite file gets"
        " another name, of a server's database a backup is written beside FILE first. An export goes into an empty"
        " store alone. Then every hash chain is verified; the exit status is 1 if one is broken. End all other"
        " processes that use the store before."
    )
    examples = (
        "chronos_restore /srv/backups/chronos-default-20260131T031500.000000Z.sqlite3",
        "chronos_restore chronos-archive-20260131T031500.000000Z.pgdump --using archive --no-input --json",
    )
    advice = "Look at what the store keeps before it is used."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)
        add_confirmation(parser)
        parser.add_argument("file", metavar="FILE", type=Path, help="the backup")

    def work(self, **options: Any) -> Restored:
        storage = storages[options["storage"]]
        if replace := replaces(storage, options["file"]):
            self.confirm(f"This replaces all that {storage!r} keeps.", options["storage"], options["interactive"])
        return restore(storage, options["file"], replace=replace, progress=self.show)
