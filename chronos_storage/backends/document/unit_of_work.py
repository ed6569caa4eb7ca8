"""Reads and writes that are one: done together, and only while all that was read is as it was."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ... import codec
from ...chains.hashing import ZERO
from ...records import Record, Session
from ...refusals import Reason, Refused
from .driver import Document, Driver, Entry, Key, Write
from .indexes import entries_of, key_of
from .serialization import decode, encode

R = TypeVar("R", bound=Record)


class Conflict(Exception):
    """Another writer was faster."""


@dataclass(slots=True)
class Head:
    """The last number given in one numbered series, and for a hash chain the hash it continues from.

    Attributes:
        count: how many records the series was given, less those that were deleted one by one.
        log_end: of checkpoints, the position at which the log of their items goes on, which is never given again.
        removed: how many of them were removed since the log was looked through for items that none uses.
    """

    seq_num: int = 0
    hash: str = ZERO
    count: int = 0
    log_end: int = 0
    removed: int = 0

    def body(self) -> str:
        """The text of its document."""
        of_log = [self.log_end, self.removed] if self.log_end else []
        return codec.dumps([self.seq_num, self.hash, self.count, *of_log])


_NEW_HEAD = Head().body()


@dataclass(slots=True)
class Base:
    """The last number that a purge removed from a hash chain, and its hash: where the chain now begins.

    It is no part of the head, so that a purge, which reads much, is not overtaken by all who append meanwhile.
    """

    seq_num: int = 0
    hash: str = ZERO


def base_key(kind: str, owner: str) -> Key:
    """The key of a chain's base."""
    return "base", kind, owner


def base_of(document: Document | None) -> Base:
    """The base that a document keeps; of a chain without any, its beginning."""
    return Base() if document is None else Base(*codec.loads(document.body))


def head_key(kind: str, owner: str, namespace: str = "") -> Key:
    """The key of a series' head."""
    return "head", kind, owner, namespace


def head_of(document: Document | None) -> Head:
    """The head that a document keeps; of a series without any, a new one."""
    return Head() if document is None else Head(*codec.loads(document.body))


def _head_entries(kind: str, owner: str, namespace: str) -> tuple[Entry, ...]:
    partition, sort = (("head", kind, owner), namespace) if kind == "checkpoint" else (("head", kind), owner)
    return (Entry(partition, sort),)


def guard_key(session_id: str) -> Key:
    """The key of a session's guard: there as long as the session is, and open until it is deleted.

    Whoever writes to what belongs to the session reads it, and whoever deletes the session changes it, so neither can
    overlook the other. The session itself would do, were it not for all who change its title meanwhile.
    """
    return "guard", session_id


@dataclass(slots=True)
class Guard:
    """What whoever writes to a session must know of it.

    Attributes:
        is_open: whether it takes more: it isn't soft-deleted.
        require_fence: whether only who has its fence may write.
        token: the last that it has given; 0 for none.
    """

    is_open: bool = True
    require_fence: bool = False
    token: int = 0

    def body(self) -> str:
        """The text of its document."""
        of_fence = [self.require_fence, self.token]
        return codec.dumps([self.is_open, *of_fence] if any(of_fence) else self.is_open)


def guard_of(document: Document) -> Guard:
    """The guard that a document keeps."""
    found = codec.loads(document.body)
    return Guard(*found) if isinstance(found, list) else Guard(found)


@dataclass(slots=True)
class UnitOfWork:
    """What is read and to be written, until `commit`."""

    driver: Driver
    _was: dict[Key, Document | None] = field(default_factory=dict)
    _now: dict[Key, Document | None] = field(default_factory=dict)
    _heads: dict[Key, Head] = field(default_factory=dict)
    #: What is kept of the state of the last checkpoint that is to be written, by the log that it uses.
    last: dict[Key, Any] = field(default_factory=dict)

    def fetch(self, keys: Iterable[Key]) -> None:
        """Read several documents at once, each the first time."""
        keys = [key for key in dict.fromkeys(keys) if key not in self._was]
        if keys:
            found = self.driver.read(keys)
            self._was |= {key: found.get(key) for key in keys}

    def document(self, key: Key) -> Document | None:
        """What is under a key, or will be."""
        self.fetch([key])
        return self._now[key] if key in self._now else self._was[key]

    def get(self, kind: type[R], *key: str) -> R | None:
        """The record under a key, or None."""
        document = self.document(key)
        return None if document is None else decode(kind, document.body)

    def put(self, record: Record, *, fresh: bool = False) -> None:
        """Write a record over what is under its key.

        Args:
            fresh: the id was made just now, so there is no need to look.
        """
        key = key_of(record)
        self.write(Document(key, encode(record), entries_of(record)), fresh=fresh)

    def write(self, document: Document, *, fresh: bool = False) -> None:
        """Write a document over what is under its key."""
        if fresh:
            self._was.setdefault(document.key, None)
        else:
            self.fetch([document.key])
        self._now[document.key] = document

    def remove(self, key: Key) -> None:
        """Remove what is under a key."""
        self.fetch([key])
        self._now[key] = None

    def remove_found(self, documents: Iterable[Document]) -> int:
        """Remove documents that a scan gave; returns how many."""
        found = list(documents)
        for document in found:
            self.found(document)
            self._now[document.key] = None
        return len(found)

    def found(self, document: Document) -> None:
        """Count a document that a scan gave among those that were read."""
        self._was.setdefault(document.key, document)

    def new_in(self, partition: Key) -> list[Document]:
        """The documents of a partition that are to be written."""
        return [
            document
            for document in self._now.values()
            if document is not None and any(entry.partition == partition for entry in document.entries)
        ]

    def head(self, kind: str, owner: str, namespace: str = "") -> Head:
        """A series' head, to be changed in place."""
        key = head_key(kind, owner, namespace)
        if key not in self._heads:
            self._heads[key] = head_of(self.document(key))
        return self._heads[key]

    def remove_head(self, kind: str, owner: str, namespace: str = "") -> None:
        """Remove a series' head: the series begins anew."""
        key = head_key(kind, owner, namespace)
        self.remove(key)
        self._heads.pop(key, None)

    def set_base(self, kind: str, owner: str, base: Base) -> None:
        """Say where a chain now begins."""
        self.write(Document(base_key(kind, owner), codec.dumps([base.seq_num, base.hash])))

    def require_open(self, session_id: str, *, deleted_too: bool = False) -> None:
        """See that a session takes more, until the commit.

        Raises:
            Refused: MISSING or, unless `deleted_too`, DELETED.
        """
        guard = self.guard(session_id)
        if guard is None:
            raise Refused(Reason.MISSING, Session, session_id)
        if not deleted_too and not guard.is_open:
            raise Refused(Reason.DELETED, Session, session_id)

    def require_all_open(self, session_ids: Iterable[str], *, deleted_too: bool = False) -> None:
        """`require_open` for several: the first that is missing by its id, then the first that is deleted, is named."""
        for missing_alone in (True, deleted_too):
            for session_id in sorted(session_ids):
                self.require_open(session_id, deleted_too=missing_alone)

    def require_fences(self, session_ids: Iterable[str], fence: int | None) -> None:
        """See that a writer may write to these sessions, until the commit.

        Args:
            fence: the writer's token, for which a session must be there; None for who has none.

        Raises:
            Refused: MISSING or STALE.
        """
        for session_id in sorted(session_ids):
            guard = self.guard(session_id)
            if guard is None:
                if fence is not None:
                    raise Refused(Reason.MISSING, Session, session_id)
            elif fence != guard.token and (fence is not None or guard.require_fence):
                raise Refused(Reason.STALE, Session, session_id, (fence, guard.token))

    def guard(self, session_id: str) -> Guard | None:
        """A session's guard; None if the session isn't there."""
        document = self.document(guard_key(session_id))
        return None if document is None else guard_of(document)

    def set_guard(self, session_id: str, **changes: Any) -> None:
        """Change a session's guard, or make it; it counts as changed in either case."""
        guard = replace(self.guard(session_id) or Guard(), **changes)
        self.write(Document(guard_key(session_id), guard.body()))

    def touch_guard(self, session_id: str) -> None:
        """Count a session's guard as changed, so that who deletes the session looks again at what belongs to it."""
        guard = self.document(guard_key(session_id))
        assert guard is not None
        self.write(replace(guard))

    def require_unchanged(self) -> None:
        """See that all that was read still is so.

        Raises:
            Conflict: it is not.
        """
        if not self.driver.commit([Write(key, was, was) for key, was in self._was.items()]):
            raise Conflict

    def commit(self) -> None:
        """Do it.

        Raises:
            Conflict: another writer was faster; nothing was written.
        """
        for key, head in self._heads.items():
            body, document = head.body(), self.document(key)
            if body != (_NEW_HEAD if document is None else document.body):
                _, kind, owner, namespace = key
                self._now[key] = Document(key, body, _head_entries(kind, owner, namespace))
        if self._now:
            writes = [Write(key, was, self._now.get(key, was)) for key, was in self._was.items()]
            if not self.driver.commit(writes):
                raise Conflict
