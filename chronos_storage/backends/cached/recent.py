"""Sessions and memories as they were a while ago, where the host says how long a while may be."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import local
from typing import Any, TypeVar

from django.db import connections

from ...compat.connections import in_transaction
from ...ids import new_id
from ...records import MemoryRecord, Record, Session, now
from ..base import Backend, Condition, Query
from ..document.serialization import decode, encode
from .cache import Cache, key

R = TypeVar("R", bound=Record)

#: What stamps everything of a store.
ALL = "all"


def session_stamp(id: str) -> str:
    """The name of what stamps a session."""
    return f"session {id}"


def memory_stamp(agent_id: str) -> str:
    """The name of what stamps an agent's memories."""
    return f"memory {agent_id}"


class Recent:
    """The last answers to look-ups of one session, or of one memory by its key.

    An answer is kept under the stamps that were there before the store was asked; whoever has written replaces the
    stamp of what was written, and so all answers from before are worth nothing. Only between a commit and that, or
    where it fails, an old answer is given, until its time is over.

    Args:
        seconds: how long an answer is kept.
    """

    def __init__(self, backend: Backend, cache: Cache, seconds: int) -> None:
        self._backend = backend
        self._cache = cache
        self.seconds = seconds
        self._transactions = local()

    def select(self, query: Query[Any]) -> list[Any]:
        """What the store, or the cache, has."""
        stamps = _stamps(query)
        if not stamps or self._in_transaction():
            return self._backend.select(query)
        names = [self._key("stamp", name) for name in stamps]
        place = self._key(query.record.__name__, *_asked(query))
        texts = self._cache.get([*names, place])
        stamp = " ".join(texts.get(name, "") for name in names)
        kept_stamp, _, body = texts.get(place, "\n").partition("\n")
        if body and kept_stamp == stamp and (record := _decoded(query, body)) is not None:
            return [record] if query.deleted or not isinstance(record, Session) or record.deleted_at is None else []
        asked = time.monotonic()
        found = self._backend.select(query)
        # It may be as old as the question, however long the answer took.
        left = self.seconds - int(time.monotonic() - asked + 0.9)
        if found and left > 0:
            self._cache.set({place: f"{stamp}\n{encode(found[0])}"}, left)
        return found

    def written(self, *names: str) -> None:
        """What is stamped under these names is another once the store has what was written."""
        stamps = {self._key("stamp", name): new_id() for name in dict.fromkeys(names)}
        # They outlive what they stamp.
        self._backend.after_commit(lambda: self._cache.set(stamps, 2 * self.seconds))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Around a transaction of this thread, which sees what it has written: nothing is kept of it."""
        self._transactions.depth = self._depth + 1
        try:
            yield
        finally:
            self._transactions.depth = self._depth - 1

    @property
    def _depth(self) -> int:
        return getattr(self._transactions, "depth", 0)

    def _key(self, *parts: Any) -> str:
        return key("recent", repr(self._backend), self._tenant(), *parts)

    def _tenant(self) -> str:
        """Whose records the connection gives just now, where a database has those of several (django-tenants)."""
        using = self._backend.using
        return "" if using is None else str(getattr(connections[using], "schema_name", ""))

    def _in_transaction(self) -> bool:
        using = self._backend.using
        return in_transaction(connections[using]) if using is not None else self._depth > 0


def _stamps(query: Query[Any]) -> tuple[str, ...]:
    """What stamps the answer to a query; none where it is not kept."""
    same = {condition.field: condition.value for condition in query.where if condition.operator == "="}
    if query.limit == 1 and not query.offset and query.after is None:
        if query.record is Session and same.keys() == {"id"}:
            return ALL, session_stamp(same["id"])
        if query.record is MemoryRecord and same.keys() >= {"agent_id", "key"}:
            return ALL, memory_stamp(same["agent_id"])
    return ()


def _asked(query: Query[Any]) -> Iterable[Condition]:
    """The conditions, but for the time, which is another one with each call."""
    return (condition for condition in query.where if condition.operator != "unless past")


def _decoded(query: Query[R], body: str) -> R | None:
    try:
        record: Any = decode(query.record, body)
    except (ValueError, TypeError, KeyError):  # what somebody else has put there
        return None
    expires = getattr(record, "expires_at", None)
    return record if expires is None or expires > now() else None
