"""``chronos_import``: conversations from files into sessions, messages and ledger events."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, reset_queries

from ... import storages
from ...exceptions import ChronosError, InvalidRecord
from ...importing import FORMATS
from ...importing.importer import Importer
from ...importing.lines import Line, read_lines
from ...records import Session
from ..terminal import Progress, one_line, stoppable

_AGAIN = "What is stored stays; the same command again goes on from there."


class Command(BaseCommand):
    help = (
        "Imports files of JSON lines, plain or gzip, one conversation a line. A broken line is reported, the rest goes"
        " in, and the exit status is then 1. Run again with the same files and options, nothing doubles."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="file of JSON lines, plain or gzip")
        parser.add_argument("--format", choices=sorted(FORMATS), default="openai-chat", help="default: %(default)s")
        parser.add_argument("--agent-id", default="", help="agent of the conversations that don't name one themselves")
        parser.add_argument("--user-id", default="", help="user of the conversations that don't name one themselves")
        parser.add_argument("--storage", default="default", metavar="ALIAS", help="where to; default: %(default)s")

    def handle(self, **options: Any) -> None:
        self.progress = Progress(self.stderr)
        self.conversations = self.messages = self.present = self.broken = 0
        owners = {"agent_id": options["agent_id"], "user_id": options["user_id"]}
        try:
            Session(**owners).cleaned()
            importer = Importer(storages[options["storage"]], FORMATS[options["format"]], **owners)
            sizes = {path: path.stat().st_size for path in options["files"]}
        except (ChronosError, OSError) as error:
            raise CommandError(str(error)) from error
        total, done = sum(sizes[path] for path in options["files"]), 0
        with stoppable(self.progress, _AGAIN):
            for path in options["files"]:
                self._import(importer, path, done, total)
                done += sizes[path]
        self.stdout.write(self._counts())
        if self.broken:
            raise CommandError("Not every line could be imported.")

    def _import(self, importer: Importer, path: Path, done: int, total: int) -> None:
        line: Line | None = None
        try:
            for line in read_lines(path):
                self._add(importer, line)
                reset_queries()  # which Django keeps under DEBUG
                share = min((done + line.position) / total, 1) if total else 0  # a pipe doesn't tell
                self.progress.show(f"{share:4.0%} of {total / 1e6:,.1f} MB. {self._counts()}")
        except (ChronosError, DatabaseError, OSError) as error:
            place = f"{path}:{line.number}" if line else path
            raise CommandError(f"{one_line(f'{place}: {error}')}\n{_AGAIN}") from error

    def _add(self, importer: Importer, line: Line) -> None:
        try:
            if line.problem:
                raise InvalidRecord("line", line.problem)
            imported = importer.add(line.text)
        except InvalidRecord as error:
            self.broken += 1
            self.progress.clear()
            self.stderr.write(one_line(f"{line.path}:{line.number}: {error}"), str)
        else:
            if imported.new:
                self.conversations += 1
                self.messages += imported.messages
            else:
                self.present += 1

    def _counts(self) -> str:
        return (
            f"Conversations: {self.conversations:,} imported, {self.present:,} already there, {self.broken:,} broken. "
            f"Messages: {self.messages:,}."
        )
