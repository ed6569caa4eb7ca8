"""What a store of documents must do for `DocumentBackend` to work over it.

A document is a text under a key, with its entries in ordered indexes; all of it is written, and removed, as one. The
text is opaque to a driver, which must give it back to the letter. What is looked for is in the keys and entries alone.
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
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        limit: int,
        size: int,
    ) -> list[tuple[str, Document]]:
        """The first documents of a partition, ascending or in reverse, each after its place.

        Args:
            above: only what is after this place.
            below: only what is before this place.
            limit: how many, at most.
            size: characters of their bodies up to which there are more: the one with which they have as many is the
                last. So a page of large documents doesn't fill the memory.
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


def up_to_size(found: Iterable[tuple[str, Document]], size: int) -> list[tuple[str, Document]]:
    """Of what a scan finds, as much as it gives: up to the document with which the bodies have `size` characters."""
    given = []
    for place, document in found:
        given.append((place, document))
        size -= len(document.body)
        if size <= 0:
            break
    return given
