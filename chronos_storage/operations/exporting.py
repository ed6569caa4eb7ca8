"""Writing what a store keeps, or what belongs to some of its sessions, into a file; see `exported`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from django.core.files import locks

from ..backends.base import SeriesHead
from ..backends.document.serialization import record_of
from ..chains.hashing import time_text
from ..exceptions import InvalidRecord
from ..facade import Storage
from ..queues.base import EventQueue
from ..records import KINDS, now
from ..vectors.base import VectorStore
from .chosen import Chosen
from .exported import VERSION, Notes, is_part, line_of, line_of_record
from .extracts import extracts
from .files import Writer, cut_to_whole, packing_of, read_lines
from .reading import Item, Reading

#: Lines that are written at once, at most.
_STEP = 100


@dataclass
class Exported:
    """What was exported.

    Attributes:
        counts: how many records of each kind.
        size: how many bytes of lines.
        snapshot: whether all was read as it was at one moment.
        continued: whether an export that was broken off was gone on with.
    """

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    size: int = 0
    snapshot: bool = False
    continued: bool = False
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types."""
        return {
            "name": self.name,
            "counts": dict(self.counts),
            "size": self.size,
            "snapshot": self.snapshot,
            "continued": self.continued,
        }

    def __str__(self) -> str:
        return f"Records: {self.counts.total():,} exported, {self.size / 1e6:,.1f} MB."


def export(
    storage: Storage,
    out: Path,
    chosen: Chosen | None = None,
    *,
    vector_stores: Iterable[VectorStore] = (),
    queues: Iterable[EventQueue] = (),
    progress: Callable[[Exported], object] | None = None,
) -> Exported:
    """Write a store's records into a file, packed as its name's ending says (``.gz``, ``.zst``).

    While it is written its name ends with ``.part``. After it was broken off, the same call goes on where it was.

    Args:
        out: the file, which must not be there yet.
        chosen: what is to be in it; everything unless told.
        vector_stores, queues: what a user is chosen from too, if that alone is what is chosen.
        progress: called after each record, or some, with the report as far as it is. What it raises breaks the export
            off.

    Raises:
        InvalidRecord: the file is there, or a part of it that another export has begun.
        NotFound: there is no such session.
        DamagedArtifact: the bytes of an artifact are missing, or are others.
    """
    if out.exists():
        raise InvalidRecord("out", f"{out} is there already: remove it, or give another name")
    part = out.with_name(f"{out.name}.part")
    with part.open("a+b") as file:
        if not locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
            raise InvalidRecord("out", f"{part} is being written by another process")
        writing = _Writing(storage, out, file, chosen or Chosen(), progress)
        try:
            writing.run(vector_stores, queues)
        finally:
            writing.notes.close()
        part.rename(out)
    return writing.report


class _Writing:
    """One export, from its beginning, or from where an earlier one was broken off."""

    def __init__(
        self,
        storage: Storage,
        out: Path,
        file: IO[bytes],
        chosen: Chosen,
        progress: Callable[[Exported], object] | None,
    ) -> None:
        self._storage = storage
        self._file = file
        self._chosen = chosen
        self._progress = progress
        self._packing = packing_of(out)
        self._name = out.name
        self.report = Exported(str(out))
        self._begin()

    def _begin(self) -> None:
        self.notes = Notes()
        self._reading = Reading(self._storage, self._chosen, self.notes)
        self._digest = hashlib.sha256()
        self._last: Any = None
        self._is_done = False
        self._lines = 0

    def run(self, vector_stores: Iterable[VectorStore], queues: Iterable[EventQueue]) -> None:
        """Write what is missing of the file."""
        self._take_up()
        if self._is_done:
            return
        self._writer = Writer(self._file, self._packing)
        with self._storage.backend.snapshot() as is_snapshot:
            self.report.snapshot = is_snapshot and not self.report.continued
            if self._last is None:
                self._write_header()
                self._write_items(self._reading.beginning())
            self._write_items(self._reading.lines(self._last))
            if self._chosen.user is not None and len(self._chosen.as_dict()) == 1:
                found = extracts(self._storage, self._chosen.user, self.notes, vector_stores, queues)
                self._write_extracts(found)
        self._write(line_of("manifest", self._manifest()))
        self._writer.close()

    # Going on with what was broken off

    def _take_up(self) -> None:
        """Read what stands in the file; where that is no more than its beginning, begin anew."""
        cut_to_whole(self._file, self._packing, is_part)
        for line in read_lines(self._file, self._name, self._packing):
            self._note(line)
        if self._last is None:
            self.notes.close()
            self._begin()
            self._file.truncate(0)
            self.report.counts.clear()
            self.report.size = 0
        self.report.continued = self._last is not None
        self._file.seek(0, 2)

    def _note(self, line: bytes) -> None:
        self._count(line)
        [(kind, value)] = json.loads(line).items()
        match kind:
            case "chronos":
                self._began_at = value["began_at"]
                if value["chosen"] != self._chosen.as_dict() or value["version"] != VERSION:
                    raise InvalidRecord(
                        "out",
                        f"{self._name}.part is a part of another export, of {value['chosen'] or 'everything'}:"
                        " remove it, or give another name",
                    )
            case "head":
                self.notes.set_head(value[0], SeriesHead(*value[1:]))
            case "manifest":
                self._is_done, self.report.snapshot = True, value["snapshot"]
            case "bytes":
                pass
            case "extract":
                self.notes.add("extract", hashlib.sha256(line).hexdigest())
                self.report.counts[kind] += 1
            case _:
                record: Any = record_of(KINDS[kind], value)
                self._reading.note(record)
                self.report.counts[kind] += 1
                if kind != "session":  # with which a file begins
                    self._last = record

    # Writing

    def _write(self, lines: bytes, count: int = 1) -> None:
        self._writer.write(lines)
        self._count(lines, count)

    def _count(self, lines: bytes, count: int = 1) -> None:
        self._digest.update(lines)
        self.report.size += len(lines)
        self._lines += count

    def _write_header(self) -> None:
        self._began_at = time_text(now())
        header = {"version": VERSION, "chosen": self._chosen.as_dict(), "began_at": self._began_at}
        self._write(line_of("chronos", header))

    def _write_items(self, items: Iterator[Item]) -> None:
        for kind, value in items:
            if kind == "bytes":
                self._write(line_of(kind, [value[0], base64.b64encode(value[1]).decode()]))
            elif kind == "head":
                self._write(line_of(kind, value))
            elif isinstance(value, list):
                for start in range(0, len(value), _STEP):
                    some = value[start : start + _STEP]
                    self._write_records(kind, "".join(some).encode(), len(some))
            else:
                self._write_records(kind, line_of_record(value), 1)

    def _write_extracts(self, found: Iterator[dict[str, Any]]) -> None:
        """Write what is no part of what can be imported, but for what is there already."""
        for value in found:
            line = line_of("extract", value)
            if self.notes.add("extract", hashlib.sha256(line).hexdigest()):
                self._write_records("extract", line, 1)

    def _write_records(self, kind: str, lines: bytes, count: int) -> None:
        self._write(lines, count)
        self.report.counts[kind] += count
        self._writer.may_cut()
        if self._progress is not None:
            self._progress(self.report)

    def _manifest(self) -> dict[str, Any]:
        return {
            "counts": dict(self.report.counts),
            "lines": self._lines,
            "sha256": self._digest.hexdigest(),
            "snapshot": self.report.snapshot,
            "began_at": self._began_at,
            "ended_at": time_text(now()),
        }
