"""Reads and writes that are one: done together, and only while all that was read is as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ... import codec
from ...chains.hashing import ZERO
from ...exceptions import LegalHold
from ...records import Record, Session
from ...refusals import Reason, Refused
from .driver import Document, Driver, Entry, Key, Write
from .indexes import entries_of, expiry_of, key_of
from .serialization import decode, encode

R = TypeVar("R", bound=Record)


#: So many keys of a commit are waited for, at most.
_CONTESTED = 16


class Conflict(Exception):
    """Another writer was faster.

    Attributes:
        keys: where: what was to be changed, and was there.
        was_recalled: whether it may as well be that something was out of date from the beginning.
    """

    def __init__(self, keys: Iterable[Key] = (), *, was_recalled: bool = False) -> None:
        super().__init__()
        self.keys: frozenset[Key] = frozenset(keys)
        self.was_recalled = was_recalled


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
    if kind in ("checkpoint", "artifact"):
        return (Entry(("head", kind, owner), namespace),)
    return (Entry(("head", kind), owner),)


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
        legal_hold: whether nothing of it may be removed.
    """

    is_open: bool = True
    require_fence: bool = False
    token: int = 0
    legal_hold: bool = False

    def body(self) -> str:
        """The text of its document."""
        of_fence = [self.require_fence, self.token]
        if self.legal_hold:
            return codec.dumps([self.is_open, *of_fence, True])
        return codec.dumps([self.is_open, *of_fence] if any(of_fence) else self.is_open)


def guard_of(document: Document) -> Guard:
    """The guard that a document keeps."""
    found = codec.loads(document.body)
    return Guard(*found) if isinstance(found, list) else Guard(found)


@dataclass(slots=True)
class UnitOfWork:
    """What is read and to be written, until `commit`.

    Attributes:
        must_ask: whether nothing is taken from memory, which was out of date before.
        at_last: what is to be done with it besides, in a unit of its own, as it changes what many do and may be called
            again.
        last: what is kept of the state of the last checkpoint that is to be written, by the log that it uses.
    """

    driver: Driver
    must_ask: bool = False
    _was: dict[Key, Document | None] = field(default_factory=dict)
    _now: dict[Key, Document | None] = field(default_factory=dict)
    _heads: dict[Key, Head] = field(default_factory=dict)
    last: dict[Key, Any] = field(default_factory=dict)
    at_last: Callable[[UnitOfWork], object] | None = None
    _recalled: bool = False

    def recall(self, keys: Sequence[Key], new: Iterable[Key]) -> bool:
        """Take documents as this process last knew them, if it knows them all, and others for new; asks nobody.

        What is not so the commit's conditions refuse, and the call is made again. Nothing is taken where something was
        read already, which would have to be read again.

        Returns:
            Whether it was done.
        """
        if self.must_ask or self._was:
            return False
        known = self.driver.recall(keys)
        if len(known) == len(keys):
            self._was |= {**known, **dict.fromkeys(new)}
            self._recalled = True
        return self._recalled

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
        self.write(Document(key, encode(record), entries_of(record), expires_at=expiry_of(record)), fresh=fresh)

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
        """Remove documents that a scan gave; returns how many. Their texts, which may be large, are not kept."""
        count = 0
        for document in documents:
            self.found(replace(document, body=""))
            self._now[document.key] = None
            count += 1
        return count

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

    def refuse_held(self, session_id: str) -> None:
        """See that what belongs to a session may be removed, until the commit.

        Raises:
            LegalHold: it is under one.
        """
        guard = self.guard(session_id)
        if guard is not None and guard.legal_hold:
            raise LegalHold(session_id)

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
            raise Conflict(was_recalled=self._recalled)

    def commit(self) -> bool:
        """Do it; whether there was anything to do.

        Raises:
            Conflict: another writer was faster; nothing was written.
        """
        writes = self._writes()
        if not self._now:
            return False
        last: list[Write] = []

        def at_last() -> list[Write]:
            work = UnitOfWork(self.driver, must_ask=True)
            assert self.at_last is not None
            self.at_last(work)
            last[:] = work._writes()
            return last

        if not (self.driver.commit_with(writes, at_last) if self.at_last else self.driver.commit(writes)):
            changed = [write for write in [*last, *writes] if write.was is not None and write.now is not write.was]
            # What many change is hardly what is removed.
            changed.sort(key=lambda write: (write.now is None, write.key))
            raise Conflict([write.key for write in changed[:_CONTESTED]], was_recalled=self._recalled)
        return True

    def _writes(self) -> list[Write]:
        for key, head in self._heads.items():
            body, document = head.body(), self.document(key)
            if body != (_NEW_HEAD if document is None else document.body):
                _, kind, owner, namespace = key
                self._now[key] = Document(key, body, _head_entries(kind, owner, namespace))
        return [Write(key, was, self._now.get(key, was)) for key, was in self._was.items()]
