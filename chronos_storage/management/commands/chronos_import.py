"""``chronos_import``: conversations from files and other systems into sessions, messages and ledger events."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, reset_queries

from ... import Storage, storages
from ...exceptions import AlreadyExists, ChronosError, InvalidRecord
from ...importing import FORMATS, SYSTEMS, System
from ...importing.importer import Imported, Importer, put_once, store
from ...importing.lines import Line, read_lines
from ...importing.source import Source
from ...records import Session
from ..terminal import Progress, one_line, stoppable

_AGAIN = "What is stored stays; the same command again goes on from there."


class Command(BaseCommand):
    help = (
        "Imports conversations: from files of JSON lines, plain or gzip, one a line (openai-chat), from the JSON that"
        " AgentX exports (agentx), or from the tables of an AgentOS or Ago in a database, where nothing is written"
        " (agentos, ago). A broken one is reported, the rest goes in, and the exit status is then 1. Run again with the"
        " same sources and options, nothing doubles. What has been deleted here since stays deleted, and is reported."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("sources", metavar="SOURCE", nargs="+", help="file, or for agentos and ago a database URL")
        formats = sorted(FORMATS | SYSTEMS)
        parser.add_argument("--format", choices=formats, default="openai-chat", help="default: %(default)s")
        parser.add_argument("--agent-id", default="", help="agent of the conversations that don't name one themselves")
        parser.add_argument("--user-id", default="", help="user of the conversations that don't name one themselves")
        parser.add_argument("--storage", default="default", metavar="ALIAS", help="where to; default: %(default)s")

    def handle(self, **options: Any) -> None:
        self.progress: Progress = Progress(self.stderr)
        self.conversations = self.messages = self.present = self.deleted = self.broken = 0
        owners = {"agent_id": options["agent_id"], "user_id": options["user_id"]}
        try:
            Session(**owners).cleaned()
            storage = storages[options["storage"]]
            if options["format"] in SYSTEMS:
                self._import_systems(SYSTEMS[options["format"]], storage, options["sources"], owners)
            else:
                self._import_files(Importer(storage, FORMATS[options["format"]], **owners), options["sources"])
        except (ChronosError, OSError) as error:
            raise CommandError(one_line(str(error))) from error
        self.stdout.write(self._counts())
        if self.broken:
            what = "conversation" if options["format"] in SYSTEMS else "line"
            raise CommandError(f"Not every {what} could be imported.")

    def _import_files(self, importer: Importer, names: list[str]) -> None:
        sizes = {path: path.stat().st_size for path in map(Path, names)}
        total, done = sum(sizes[Path(name)] for name in names), 0
        with stoppable(self.progress, _AGAIN):
            for path in map(Path, names):
                self._import(importer, path, done, total)
                done += sizes[path]

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
        with self._reporting(f"{line.path}:{line.number}"):
            if line.problem:
                raise InvalidRecord("line", line.problem)
            self._note(importer.add(line.text), f"{line.path}:{line.number}")

    def _import_systems(self, system: System, storage: Storage, names: list[str], owners: dict[str, str]) -> None:
        with stoppable(self.progress, _AGAIN):
            for name in names:
                with system(name) as source:
                    try:
                        self._copy(source, storage, owners)
                    except (ChronosError, DatabaseError) as error:
                        raise CommandError(f"{one_line(str(error))}\n{_AGAIN}") from error

    def _copy(self, source: Source, storage: Storage, owners: dict[str, str]) -> None:
        for place, record in source.others():
            with self._reporting(place):
                put_once(storage, record())
            self.progress.show(f"Containers and images: {place}.")
        total = source.count()
        for number, conversation in enumerate(source.conversations(), 1):
            with self._reporting(conversation.place):
                session = conversation.session()
                session.agent_id = session.agent_id or owners["agent_id"]
                session.user_id = session.user_id or owners["user_id"]
                imported = store(storage, session, conversation.messages, deleted=conversation.deleted)
                self._note(imported, conversation.place)
            reset_queries()  # which Django keeps under DEBUG
            self.progress.show(f"{min(number / total, 1) if total else 1:4.0%} of {total:,}. {self._counts()}")

    @contextmanager
    def _reporting(self, place: str) -> Iterator[None]:
        """Around one conversation: what is wrong with it is reported, and the rest goes on."""
        try:
            yield
        except (InvalidRecord, AlreadyExists) as error:
            self.broken += 1
            self._say(place, str(error))

    def _note(self, imported: Imported, place: str) -> None:
        if imported.new:
            self.conversations += 1
            self.messages += imported.messages
        elif imported.deleted:
            self.deleted += 1
            self._say(place, f"its session {imported.session_id!r} is deleted here; restore_session() brings it back")
        else:
            self.present += 1

    def _say(self, place: str, what: str) -> None:
        self.progress.clear()
        self.stderr.write(one_line(f"{place}: {what}"), str)

    def _counts(self) -> str:
        deleted = f" {self.deleted:,} deleted here," if self.deleted else ""
        return (
            f"Conversations: {self.conversations:,} imported, {self.present:,} already there,{deleted}"
            f" {self.broken:,} broken. Messages: {self.messages:,}."
        )
