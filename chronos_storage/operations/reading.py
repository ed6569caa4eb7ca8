"""Going through what is chosen of a store, in the order in which it stands in the file that an export is."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from ..backends.base import Line
from ..chains.numbering import audit_chain
from ..facade import Storage
from .chosen import NUMBERED, Chosen, Selection
from .exported import KIND_OF, ORDER, PIECE, Notes

#: What a line of a series begins with, and the number and the text with which it ends.
_series, _number, _text = itemgetter(0), itemgetter(-2), itemgetter(-1)
#: The kind of a line, and what it says: a record, of a head its line's value, of bytes their SHA-256 and a piece.
Item = tuple[str, Any]


class Reading:
    """What is chosen of a store.

    Args:
        notes: is told what was read, and says up to which numbers the series go.
    """

    def __init__(self, storage: Storage, chosen: Chosen, notes: Notes) -> None:
        self._storage = storage
        self._notes = notes
        self._selection = Selection(storage, chosen, notes)
        self._seen, self._is_there = "", False

    def beginning(self) -> Iterator[Item]:
        """The sessions, and the numbers up to which their series go from now on."""
        for session in self._selection.sessions():
            self.note(session)
            yield "session", session
        for kind, record in NUMBERED.items():
            for series in self._selection.series(kind):
                for head in self._storage.backend.heads(record, series):
                    self._notes.set_head(kind, head)
                    yield "head", [kind, *head]

    def rest(self, last: Any = None) -> Iterator[Item]:
        """The other records, from the one after the last that was read on, and the bytes of artifacts before these."""
        for kind, after in _kinds(last):
            yield from self._records(kind, after)

    def lines(self, last: Any = None) -> Iterator[Item]:
        """The same; but of records that the backend gives as lines some at a time, as the list of these."""
        for kind, after in _kinds(last):
            if (pages := self._selection.lines(kind, after)) is None:
                yield from self._records(kind, after)
                continue
            for page in pages:
                if lines := list(self._wanted(kind, page)):
                    yield kind, lines

    def _records(self, kind: str, after: Any) -> Iterator[Item]:
        for record in self._selection.records(kind, after):
            last = self._last_number(kind, *_series_of(kind, record))
            if last is not None and record.seq_num > last:
                continue
            if kind == "artifact" and not self._notes.has("bytes", record.sha256):
                yield from self._bytes(record)
            self.note(record)
            yield kind, record

    def note(self, record: Any) -> None:
        """Note a record that was read."""
        match KIND_OF[type(record)]:
            case "session":
                self._notes.add("session", record.id)
                for what in ("container", "image"):
                    if name := getattr(record, f"{what}_id"):
                        self._notes.add(what, name)
            case "artifact":
                self._notes.add("bytes", record.sha256)

    def _wanted(self, kind: str, page: list[Line]) -> Iterator[str]:
        if kind not in NUMBERED:
            yield from map(_text, page)
            return
        for series, found in groupby(page, _series):
            some, last = list(found), self._last_number(kind, series) or 0
            wanted = some if _number(some[-1]) <= last else [line for line in some if _number(line) <= last]
            yield from map(_text, wanted)

    def _last_number(self, kind: str, series: str, namespace: str = "") -> int | None:
        """The last number that a series had at the beginning; None where records have no numbers."""
        if kind not in NUMBERED:
            return None
        if kind != "audit_log" and not self._has_session(series):
            return 0
        return self._notes.head(kind, series, namespace).seq_num

    def _has_session(self, id: str) -> bool:
        if id != self._seen:
            self._seen, self._is_there = id, self._notes.has("session", id)
        return self._is_there

    def _bytes(self, artifact: Any) -> Iterator[Item]:
        with self._storage.open_artifact(artifact.id) as file:
            while piece := file.read(PIECE):
                yield "bytes", (artifact.sha256, piece)


def _kinds(last: Any) -> Iterator[tuple[str, Any]]:
    """The kinds that are still to be read, the first of them after this record."""
    first, *others = ORDER[1:] if last is None else ORDER[ORDER.index(KIND_OF[type(last)]) :]
    yield first, last
    yield from ((kind, None) for kind in others)


def _series_of(kind: str, record: Any) -> tuple[str, ...]:
    """The series of a record, and its namespace where it has one."""
    if kind == "audit_log":
        return (audit_chain(record.session_id, record.agent_id),)
    return (record.session_id, record.namespace) if kind == "checkpoint" else (getattr(record, "session_id", ""),)
