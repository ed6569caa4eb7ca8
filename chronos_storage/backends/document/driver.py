"""The few primitives that a store of documents must have for `DocumentStorage` to keep the contract over it.

A document is a text under a key, with its entries in ordered indexes; all of it is written, and removed, as one. Three
primitives do the work: `read` by key, `scan` of an index from a place on, and `commit`: several conditional writes, all
or none. Every write says what it found there before, so a caller who was overtaken begins again; nothing is ever
locked while a caller thinks. There is deliberately no counter to take numbers from: a number taken apart from what it
is for leaves a gap when the write behind it fails, or when the id turns out to be stored already. A series' next
numbers are taken by writing its head, "if unchanged", in the same commit as what gets them.

The text is JSON and opaque to a driver, which must give it back to the letter: numbers and the order of keys count.
What is looked for is in the keys and entries alone.

How each kind of store can be a driver:

Memory
    Dictionaries and sorted lists under one lock.
Files
    A file a document, a folder an index, their names encoded. A commit holds a lock file, checks what it found, writes
    a journal of what will be, syncs it and renames it into place: from then on it is done, and whoever takes the lock
    after a crash applies the journal that is left. Readers check the journal's name before and after.
Redis
    A hash a document (text, version, entries), a sorted set of equal scores an index, read by `ZRANGEBYLEX`. A commit
    is one Lua script, or `WATCH` on its keys and `MULTI`; on a cluster, all keys under one hash tag.
MongoDB
    A MongoDB document a document, its entries in an array with a multikey index on partition and sort (simple binary
    collation). A commit of one write is a conditional update; of several, a transaction, so a replica set is needed (of
    one member will do), in which a mere condition is written too, for reads lock nothing.
DynamoDB
    An item a document and, because secondary indexes are only eventually consistent, an item an entry, all read
    consistently. A commit is one `TransactWriteItems` of conditional puts, deletes and checks, up to 100 items. A
    larger one writes its items first as pending, under the name of a commit record whose one conditional write is what
    makes them count; who meets a pending item looks at that record. A query that overlaps a transaction may see half
    of it, so there, too, items name their commit until it is known to be done. A text of more than 400 KB is split over
    several items. Keys and partitions are compared for equality only, so they are hashed, as they can be longer than
    2,048 bytes; of a place of more than 1,024 bytes the end is, and the few that begin alike are sorted when they are
    read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

#: Strings, none with a NUL, compared for equality only.
Key: TypeAlias = tuple[str, ...]


class Entry(NamedTuple):
    """A document's place in an index.

    Attributes:
        partition: the index and what it is of, such as the messages of one session.
        sort: the place in it, by code points, which is the order of UTF-8's bytes; unique within the partition.
    """

    partition: Key
    sort: str


@dataclass(slots=True, frozen=True)
class Document:
    """A text with its key and its places.

    Attributes:
        version: the driver's: another for every write to the key. The storage only hands it back.
    """

    key: Key
    body: str
    entries: tuple[Entry, ...] = ()
    version: int = 0


class Write(NamedTuple):
    """A part of a commit.

    Attributes:
        was: what was read under the key, None for nothing: the commit's condition is that it still is so.
        now: what is to be there, None for nothing. Where it is `was` itself, this is a mere condition.
    """

    key: Key
    was: Document | None
    now: Document | None


class Driver(ABC):
    """A store of documents. All of it may be called by several threads at once.

    A commit is seen by every reader from the moment that `commit` returns at the latest, and by a scan as a whole.
    """

    @abstractmethod
    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        """The documents that are there under these keys, each as of some moment since the call began."""

    @abstractmethod
    def scan(
        self, partition: Key, *, above: str | None = None, below: str | None = None, reverse: bool = False, limit: int
    ) -> list[tuple[str, Document]]:
        """The first `limit` documents of a partition, ascending or in reverse, each behind its place.

        Args:
            above: only what is behind this place.
            below: only what is before this place.
        """

    @abstractmethod
    def commit(self, writes: Sequence[Write]) -> bool:
        """Do all of these writes, no two to one key, if all their conditions hold, else none; returns whether they did.

        It may be false for other reasons too, when another attempt may succeed.
        """

    @abstractmethod
    def describe(self) -> str:
        """What the documents are kept in, with its version; raises what `read` raises where it can't be reached."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what documents are kept in; again, no change."""

    @abstractmethod
    def close(self) -> None:
        """Release connections; again, no change. The driver can still be used: it opens new ones."""
