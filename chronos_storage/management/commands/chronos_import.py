"""``chronos_import``: conversations from files and other systems into sessions, messages and ledger events."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError, reset_queries

from ... import Storage, storages
from ...exceptions import AlreadyExists, ChronosError, InvalidRecord
from ...importing import FORMATS, SYSTEMS, System
from ...importing.importer import Imported, Importer, put_once, store
from ...importing.lines import Line, read_lines
from ...importing.source import Source
from ...operations.importing import Loaded, load_export
from ...records import Session
from ..report import Report, ReportCommand, add_using
from ..terminal import one_line

_AGAIN = "What is stored stays; the same command again goes on from there."
#: What chronos_export writes, which is loaded as it is.
_CHRONOS = "chronos"


@dataclass
class _Totals:
    """How many conversations were imported, were there, were soft-deleted here, and could not be imported."""

    things: str
    conversations: int = 0
    messages: int = 0
    present: int = 0
    deleted: int = 0
    broken: int = 0

    @property
    def problem(self) -> str:
        return f"Not every {self.things} could be imported." if self.broken else ""

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "things"}

    def __str__(self) -> str:
        deleted = f" {self.deleted:,} deleted here," if self.deleted else ""
        return (
            f"Conversations: {self.conversations:,} imported, {self.present:,} already there,{deleted}"
            f" {self.broken:,} broken. Messages: {self.messages:,}."
        )


class Command(ReportCommand):
    help = (
        "Imports conversations: from files of JSON lines, plain or gzip, one a line (openai-chat), from the JSON that"
        " AgentX exports (agentx), or from the tables of an AgentOS or Ago in a database, where nothing is written"
        " (agentos, ago). A broken one is reported, the rest goes in, and the exit status is then 1. Or loads a file of"
        " chronos_export (chronos), whole or not at all. Run again with the same sources and options, nothing doubles."
        " What has been deleted here since stays deleted, and is reported."
    )
    examples = (
        "chronos_import conversations.jsonl.gz --agent-id support",
        "chronos_import sqlite:////data/agentos.db --format agentos --json",
        "chronos_import everything.jsonl.zst --format chronos --using archive",
    )
    advice = _AGAIN

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        add_using(parser)
        parser.add_argument("sources", metavar="SOURCE", nargs="+", help="file, or for agentos and ago a database URL")
        formats = sorted({*FORMATS, *SYSTEMS, _CHRONOS})
        parser.add_argument("--format", choices=formats, default="openai-chat", help="default: %(default)s")
        parser.add_argument("--agent-id", default="", help="agent of the conversations that don't name one themselves")
        parser.add_argument("--user-id", default="", help="user of the conversations that don't name one themselves")
        parser.add_argument(
            "--restore", action="store_true", help="of the format chronos: bring back sessions that are deleted here"
        )

    def work(self, **options: Any) -> Report:
        storage = storages[options["storage"]]
        owners = {"agent_id": options["agent_id"], "user_id": options["user_id"]}
        if options["format"] == _CHRONOS:
            return self._load(storage, options["sources"], any(owners.values()), options["restore"])
        if options["restore"]:
            raise InvalidRecord("restore", f"is for the format {_CHRONOS} alone")
        Session(**owners).cleaned()
        self.totals = _Totals("conversation" if options["format"] in SYSTEMS else "line")
        if options["format"] in SYSTEMS:
            self._import_systems(SYSTEMS[options["format"]], storage, options["sources"], owners)
        else:
            self._import_files(Importer(storage, FORMATS[options["format"]], **owners), options["sources"])
        return self.totals

    def _load(self, storage: Storage, names: list[str], has_owners: bool, restore: bool) -> Loaded:
        if len(names) > 1 or has_owners:
            raise InvalidRecord(
                "sources", f"of the format {_CHRONOS} are one file, whose records name their own owners"
            )
        report = load_export(storage, Path(names[0]), restore=restore, progress=self.show)
        for id in () if restore else report.deleted:
            self.tell(f"session {id!r} is deleted here; --restore brings it back")
        return report

    def _import_files(self, importer: Importer, names: list[str]) -> None:
        sizes = {path: path.stat().st_size for path in map(Path, names)}
        total, done = sum(sizes[Path(name)] for name in names), 0
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
                self.progress.show(f"{share:4.0%} of {total / 1e6:,.1f} MB. {self.totals}")
        except (ChronosError, DatabaseError, OSError) as error:
            place = f"{path}:{line.number}" if line else path
            raise CommandError(f"{one_line(f'{place}: {error}')}\n{_AGAIN}") from error

    def _add(self, importer: Importer, line: Line) -> None:
        with self._reporting(f"{line.path}:{line.number}"):
            if line.problem:
                raise InvalidRecord("line", line.problem)
            self._note(importer.add(line.text), f"{line.path}:{line.number}")

    def _import_systems(self, system: System, storage: Storage, names: list[str], owners: dict[str, str]) -> None:
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
            self.progress.show(f"{min(number / total, 1) if total else 1:4.0%} of {total:,}. {self.totals}")

    @contextmanager
    def _reporting(self, place: str) -> Iterator[None]:
        """Around one conversation: what is wrong with it is reported, and the rest goes on."""
        try:
            yield
        except (InvalidRecord, AlreadyExists) as error:
            self.totals.broken += 1
            self._say(place, str(error))

    def _note(self, imported: Imported, place: str) -> None:
        if imported.new:
            self.totals.conversations += 1
            self.totals.messages += imported.messages
        elif imported.deleted:
            self.totals.deleted += 1
            self._say(place, f"its session {imported.session_id!r} is deleted here; restore_session() brings it back")
        else:
            self.totals.present += 1

    def _say(self, place: str, what: str) -> None:
        self.progress.clear()
        self.stderr.write(one_line(f"{place}: {what}"), str)
