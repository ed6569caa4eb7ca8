"""What a store of documents must do for `DocumentBackend` to work over it.

A document is a text under a key, with its entries in ordered indexes; all of it is written, and removed, as one. The
text is opaque to a driver, which must give it back to the letter. What is looked for is in the keys and entries alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeAlias

from ... import records
from ...exceptions import RetryTransaction

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
        expires_at: from then on nobody asks for it: a driver may remove it by itself, with its places, an hour later or
            at any time after, or never. None for what stays. It need not be given back.
    """

    key: Key
    body: str
    entries: Sequence[Entry] = ()
    version: int = 0
    expires_at: datetime | None = None


class Write(NamedTuple):
    """A part of a commit.

    Attributes:
        was: what was read under the key, None for nothing: the commit's condition is that it still is so.
        now: what is to be there, None for nothing. Where it is `was` itself, this is a mere condition.
    """

    key: Key
    was: Document | None
    now: Document | None


class Unavailable(RetryTransaction):
    """The store can't be asked now: it is away or busy, or the connection was lost."""


class Driver(ABC):
    """A store of documents. All of it may be called by several threads at once.

    A commit is seen by every reader from the moment that `commit` returns at the latest, and by a scan as a whole.

    Any method raises `Unavailable` where the store is away or busy, or a connection was lost, even if what was sent may
    have been done: the storage asks again, a few times, and finds what it has written. It raises `StoreFailure` where
    asking again is of no use. A driver itself makes no attempt more than once.
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

    def commit_with(self, writes: Sequence[Write], last: Callable[[], Sequence[Write]]) -> bool:
        """`commit` these writes and those that `last` returns, to other keys, which many may want to change.

        A driver that takes long for a commit asks for the latter at its end, and again where they came too late.
        """
        return self.commit([*writes, *last()])

    def recall(self, keys: Iterable[Key]) -> dict[Key, Document]:
        """What this process last knew of documents, where a driver remembers it; it may be out of date.

        Nobody is asked: that is what it is for. The conditions of the commit that follows refuse what is out of date,
        which is then not to be recalled again. A driver whose store is far away leaves it to `Recent`.
        """
        return {}

    def turn(self, keys: Set[Key], patience: float) -> AbstractContextManager[None]:
        """Wait one's turn at keys, among the processes that share the store; the block is the turn.

        Whoever's commit was false for keys that were there before takes a turn at them, and tries again within it; if
        that fails too, in another turn. The threads of a process come one after the other already, each with its turn
        at all its keys at once; this is for engines that are shared by processes, some of which are nearer than
        others and would always be faster. Those who wait should be served as they came, whatever keys they have in
        common: it is their turn once none who came earlier wants one of their keys. A commit of somebody who has no
        turn, at a key for which others wait, may be false: so he comes to wait too. Nothing but fairness may depend
        on it, and whoever is killed while he waits, or has his turn, holds up nobody for more than a few seconds.

        Args:
            keys: one at least; the first of many, where a commit has many.
            patience: seconds after which the block begins anyway.
        """
        return nullcontext()

    def now(self) -> datetime:
        """The time by which fences are held: the store's own, which all hosts share; or this host's, without one."""
        return records.now()

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
