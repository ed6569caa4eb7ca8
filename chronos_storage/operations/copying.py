"""Copying what one place keeps into another, whatever the backends: records, vectors and the queue."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

from ..exceptions import InvalidRecord
from ..facade import Storage
from ..queues.base import EventQueue
from ..records import Embedding, QueueEntry
from ..vectors.base import Metric, VectorStore
from .chosen import Chosen
from .exported import ORDER, Notes, line_of_record
from .importing import Loaded, Loader
from .places import Place
from .reading import Reading

#: Embeddings of a page, which may be large, and differences that are told by name.
_PAGE, _TOLD = 100, 20


@dataclass
class Copied:
    """What was copied, and found the same in both places then.

    Attributes:
        loaded: the records.
        compared: how many of each kind are in the target as they were in the source, or newer.
        different: the first of what is not, each as it can be told.
        differences: how many these are.
        embeddings: how many of each collection.
        entries: how many of each topic of the queue.
        without_vectors: the collections that the target has no place for.
    """

    loaded: Loaded = field(default_factory=Loaded)
    compared: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)
    differences: int = 0
    embeddings: dict[str, int] = field(default_factory=dict)
    entries: dict[str, int] = field(default_factory=dict)
    without_vectors: list[str] = field(default_factory=list)

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        if self.loaded.problem:
            return self.loaded.problem
        if self.differences:
            return f"{self.differences:,} records are not as they are in the source, {self.different[0]} is one."
        if self.without_vectors:
            names = ", ".join(map(repr, self.without_vectors))
            return f"The target keeps no vectors: copy these collections into a vector store, {names}."
        return ""

    def note_difference(self, what: str) -> None:
        """Note what is not in the target as it was in the source."""
        self.differences += 1
        if len(self.different) < _TOLD:
            self.different.append(what)

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types."""
        loaded = self.loaded.as_dict()
        return {name: loaded[name] for name in ("counts", "new", "deleted", "chains", "broken")} | {
            "compared": dict(self.compared),
            "differences": self.differences,
            "different": self.different,
            "embeddings": self.embeddings,
            "entries": self.entries,
            "without_vectors": self.without_vectors,
        }

    def __str__(self) -> str:
        entries = f" Queue: {sum(self.entries.values()):,} entries." if self.entries else ""
        vectors = f" Embeddings: {sum(self.embeddings.values()):,} copied." if self.embeddings else ""
        return (
            f"Records: {self.loaded.counts.total():,} copied, {self.loaded.new:,} of them new,"
            f" {self.compared.total():,} found the same, {self.differences:,} different."
            f" Chains: {self.loaded.chains:,} verified, {len(self.loaded.broken):,} broken.{vectors}{entries}"
        )


def copy(source: Place, target: Place, *, progress: Callable[[Copied], object] | None = None) -> Copied:
    """Copy all that a place keeps: ids, numbers, times and hashes stay as they are.

    What the target has already stays as it is, also where it has changed there since; embeddings become the source's.
    Broken off, it is called again. Then the target is gone through, and everything compared by its digest.

    Args:
        source, target: as `place_of` gives them; nobody else writes to the target meanwhile.
        progress: called after each record with the report as far as it is. What it raises breaks the copying off.

    Raises:
        InvalidRecord: both are the same place, or one has no records and the other has; or a chain goes on in the
            target in another way.
        AlreadyExists: a record of the same id says something else in the target.
        StoreFailure: one of them can't be reached, or its tables are not up to date.
    """
    if source.is_same(target):
        raise InvalidRecord("to", f"is the same place as from, {source.name}")
    source.prepare(make=False)
    target.prepare(make=True)
    report = Copied()

    def show(*of_records: Loaded) -> None:
        if progress is not None:
            progress(report)

    if source.storage is not None and target.storage is not None:
        with closing(_Copying(source.storage, target.storage, report, show)) as copying:
            copying.run()
        _copy_queue(source.queue(), target.queue(), report, show)
    if (vectors := source.vectors()) is not None:
        _copy_vectors(vectors, target, report, show)
    elif source.storage is None or target.storage is None:
        raise InvalidRecord("from", f"{source.name} has nothing that {target.name} can keep")
    return report


class _Copying:
    """The records."""

    def __init__(self, source: Storage, target: Storage, report: Copied, show: Callable[..., None]) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._show = show
        self._notes = Notes()
        self._loader = Loader(target, False, show)
        report.loaded = self._loader.report

    def close(self) -> None:
        self._loader.close()
        self._notes.close()

    def run(self) -> None:
        reading = Reading(self._source, Chosen(), self._notes)
        with self._source.backend.snapshot():
            for items in (reading.beginning(), reading.rest()):
                for kind, value in items:
                    self._take(kind, value)
        self._loader.finish()
        for kind in ORDER:
            for record in self._target.scan(kind):
                self._compare(kind, record)
        for kind, key in self._notes.digests():
            self._note_difference(kind, key)

    def _take(self, kind: str, value: Any) -> None:
        size = 0
        if kind in ORDER:
            line = line_of_record(value)
            size = len(line)
            self._notes.set_digest(kind, _key(value), _digest(line))
        self._loader.take(kind, value, size)

    def _compare(self, kind: str, record: Any) -> None:
        key = _key(record)
        given = self._notes.take_digest(kind, key)
        if given is None:
            return  # it is not from the source
        if given == _digest(line_of_record(record)) or self._loader.is_newer(record):
            self._report.compared[kind] += 1
        else:
            self._note_difference(kind, key)
        self._show()

    def _note_difference(self, kind: str, key: str) -> None:
        session_id, _, id = key.rpartition("\0")
        self._report.note_difference(f"{kind} {id!r}" + (f" of the session {session_id!r}" if session_id else ""))


def _key(record: Any) -> str:
    """What tells a record from others of its kind."""
    return f"{getattr(record, 'session_id', '')}\0{record.id}"


def _digest(line: bytes) -> bytes:
    return hashlib.sha256(line).digest()


def _copy_queue(source: EventQueue | None, target: EventQueue | None, report: Copied, show: Callable[[], None]) -> None:
    """Copy the topics with their entries and consumers; what the target has removed already is not put back."""
    if source is None or target is None:
        return
    for topic in source.topics():
        report.entries[topic] = 0
        after = None
        while True:
            part = source.kept(topic, after)
            target.load(part)
            if not part.entries:
                break
            base, stored = _stored_until(target, topic, after, part.entries[-1].cursor)
            for entry in part.entries:
                if entry.cursor <= base or _is_same_entry(stored.get(entry.cursor), entry):
                    report.entries[topic] += 1
                else:
                    report.note_difference(f"entry {entry.cursor} of the topic {topic!r}")
            show()
            after = part.entries[-1].cursor


def _stored_until(queue: EventQueue, topic: str, after: str | None, last: str) -> tuple[str, dict[str, QueueEntry]]:
    """Up to where retention has removed entries of a topic, and those between two cursors."""
    found: dict[str, QueueEntry] = {}
    while True:
        part = queue.kept(topic, after)
        found |= {entry.cursor: entry for entry in part.entries}
        if not part.entries or (after := part.entries[-1].cursor) >= last:
            return part.base, found


def _is_same_entry(stored: QueueEntry | None, given: QueueEntry) -> bool:
    """Whether an entry is stored as it was given: one without a key gets a key in some queues."""
    return stored is not None and QueueEntry.of(stored, "entry") == QueueEntry.of(given, "entry")


def _copy_vectors(source: VectorStore, place: Place, report: Copied, show: Callable[[], None]) -> None:
    collections = source.list_collections()
    target = place.vectors(make=True) if collections else None
    if target is None:
        report.without_vectors += [each.name for each in collections]
        return
    for each in collections:
        target.create_collection(each.name, each.dimension, metric=cast("Metric", each.metric))
        report.embeddings[each.name] = 0
        after = None
        while page := source.list(each.name, after=after, limit=_PAGE):
            there = _found(target, each.name, page)
            if changed := [one for one in page if not _is_same(there.get(one.id), one)]:
                target.upsert(each.name, changed)
                there |= _found(target, each.name, changed)
            for one in page:
                if _is_same(there.get(one.id), one):
                    report.embeddings[each.name] += 1
                else:
                    report.note_difference(f"embedding {one.id!r} of the collection {each.name!r}")
            show()
            after = page[-1]


def _found(store: VectorStore, collection: str, wanted: list[Embedding]) -> dict[str, Embedding]:
    return {each.id: each for each in store.get_many(collection, [one.id for one in wanted])}


def _is_same(stored: Embedding | None, given: Embedding) -> bool:
    """Whether an embedding is stored as it was given: an engine may keep the unit vector, and its length."""
    if stored is None or stored == given:
        return stored is not None
    return replace(stored, vector=given.vector) == given and all(map(_is_close, stored.vector, given.vector))


_is_close = partial(math.isclose, rel_tol=1e-5, abs_tol=1e-6)
