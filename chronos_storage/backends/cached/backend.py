from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from io import BufferedReader
from typing import Any, TypeVar

from ...chains.permit import PurgePermit
from ...exceptions import ConfigurationError
from ...records import (
    Artifact,
    AuditLog,
    Blob,
    ChainHead,
    Checkpoint,
    Event,
    Fence,
    Health,
    MemoryRecord,
    Message,
    Record,
    Session,
    TokenUsage,
    Verdict,
)
from ..base import Backend, Condition, Patch, Query, SeriesHead
from ..handler import make
from . import content, ledger, states
from .cache import Cache
from .recent import ALL, Recent, memory_stamp, session_stamp

R = TypeVar("R", bound=Record)
T = TypeVar("T")


class CachedBackend(Backend):
    """Another backend's records, less of which are read from it again and again: see ``docs/cache.md``.

    What can't change is kept in a cache of Django's: the states of checkpoints, long runs of events and the bytes of
    small artifacts. Which of them there are is read from the backend every time, so that nothing is ever stale.
    Sessions and memories are kept only where `max_staleness` says how old they may be. A cache that is away makes calls
    slower, and fails none.

    Args:
        backend: the backend, or the dotted path of its class.
        options: the arguments of the class.
        cache: an alias of the host's ``CACHES``.
        max_staleness: how many seconds after a write `get_session` and `get_memory` may still give what was before, at
            most; None has them ask the backend.

    Raises:
        ConfigurationError: there is no such backend or cache.
    """

    def __init__(
        self,
        backend: Backend | str,
        options: Mapping[str, Any] | None = None,
        *,
        cache: str = "default",
        max_staleness: int | None = None,
    ) -> None:
        if max_staleness is not None and (type(max_staleness) is not int or max_staleness < 1):
            raise ConfigurationError(f"MAX_STALENESS must be None or a number of whole seconds, not {max_staleness!r}")
        self.backend = _made(backend, options or {})
        self.supports_transactions = self.backend.supports_transactions
        self.keeps = self.backend.keeps
        self._cache = Cache(cache)
        self._recent = None if max_staleness is None else Recent(self.backend, self._cache, max_staleness)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._cache.alias!r}: {self.backend!r}>"

    @property
    def using(self) -> str | None:
        return self.backend.using

    def _written(self, *names: str) -> None:
        if names and self._recent is not None:
            self._recent.written(*names)

    # Units of work

    def run(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        return self.backend.run(call, again)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self.backend.transaction(), nullcontext() if self._recent is None else self._recent.transaction():
            yield

    def after_commit(self, call: Callable[[], object]) -> None:
        self.backend.after_commit(call)

    def in_transaction(self) -> bool:
        return self.backend.in_transaction()

    def exclusively(self, record: type[Record], ids: Sequence[str], call: Callable[[], T], session_id: str = "") -> T:
        return self.backend.exclusively(record, ids, call, session_id)

    # Reading

    def select(self, query: Query[R]) -> list[R]:
        found: list[Any] = self._select(query)
        return found

    def _select(self, query: Query[Any]) -> list[Any]:
        select = self.backend.select
        if query.record is Checkpoint and query.whole:
            found = states.filled(select(replace(query, whole=False)), select, self._cache)
            # With one of them removed, the first of them may be another one by now.
            return select(query) if found is None else found
        if query.record is Event and ledger.is_long(query):
            return ledger.events(query, select, self._cache)
        return select(query) if self._recent is None else self._recent.select(query)

    def iterate(self, query: Query[R]) -> Iterator[R]:
        return self.backend.iterate(query)

    def count(self, query: Query[Any]) -> int:
        return self.backend.count(query)

    def token_usage(self, query: Query[Any]) -> TokenUsage:
        return self.backend.token_usage(query)

    def last_number(self, record: type[Record], owner: str) -> int:
        return self.backend.last_number(record, owner)

    def namespaces(self, session_id: str) -> Iterable[str]:
        return self.backend.namespaces(session_id)

    def content(self, artifact: Artifact, read: Callable[[], BufferedReader]) -> BufferedReader:
        return content.opened(artifact, partial(self.backend.content, artifact, read), self._cache)

    def scan(self, record: type[R], user_id: str | None, after: R | None) -> Iterator[R]:
        return self.backend.scan(record, user_id, after)

    # Writing

    def insert(self, session: Session, checkpoint: Checkpoint | None = None) -> None:
        self.backend.insert(session, checkpoint)
        self._written(session_stamp(session.id))

    def put(self, given: Sequence[R], fresh: Set[str] = frozenset(), fence: int | None = None) -> list[R]:
        stored = self.backend.put(given, fresh, fence)
        memories = (record for record in given if isinstance(record, MemoryRecord))
        # One of a known id may come from another agent.
        self._written(*(memory_stamp(each.agent_id) if each.id in fresh else ALL for each in memories))
        return stored

    def patch(self, record: type[R], id: str, patch: Patch, fence: int | None = None) -> R:
        patched = self.backend.patch(record, id, patch, fence)
        if record is Session:
            self._written(session_stamp(id))
        return patched

    def append(
        self, record: type[R], given: Sequence[R], expected_seq: int | None = None, fence: int | None = None
    ) -> tuple[list[R], list[R]]:
        appended = self.backend.append(record, given, expected_seq, fence)
        # Which moves the time of its session's last activity.
        self._written(*(session_stamp(each.session_id) for each in given if isinstance(each, Message)))
        return appended

    def save_checkpoint(
        self, given: Checkpoint, *, fresh: bool = False, fence: int | None = None
    ) -> tuple[Checkpoint, bool]:
        return self.backend.save_checkpoint(given, fresh=fresh, fence=fence)

    def delete(self, query: Query[Any], fence: int | None = None, *, deleted_too: bool = False) -> int:
        deleted = self.backend.delete(query, fence, deleted_too=deleted_too)
        if query.record is MemoryRecord:
            self._written(ALL)
        return deleted

    def change_blob(self, sha256: str, change: Callable[[Blob, Callable[[], bool]], T]) -> T:
        gone = False

        def noted(blob: Blob, is_used: Callable[[], bool]) -> T:
            nonlocal gone
            result = change(blob, is_used)
            gone = not blob.kept
            return result

        result = self.backend.change_blob(sha256, noted)
        if gone:
            self.after_commit(partial(self._cache.remove, [content.place_of(sha256)]))
        return result

    def truncate(self, session_id: str, after_id: str, fence: int | None = None) -> int:
        return self.backend.truncate(session_id, after_id, fence)

    def prune(
        self, session_id: str, keep_last: int, run_ids: Sequence[str] | None = None, fence: int | None = None
    ) -> int:
        return self.backend.prune(session_id, keep_last, run_ids, fence)

    def close_session(self, id: str, at: datetime, fence: int | None = None) -> bool:
        closed = self.backend.close_session(id, at, fence)
        self._written(session_stamp(id))
        return closed

    def open_session(self, id: str, at: datetime, fence: int | None = None) -> Session:
        session = self.backend.open_session(id, at, fence)
        self._written(session_stamp(id))
        return session

    def remove_session(self, id: str, fence: int | None = None, *, erasing: bool = False) -> AuditLog | None:
        kept = self._copies_of(id) if erasing else ()
        log = self.backend.remove_session(id, fence, erasing=erasing)
        self.after_commit(partial(self._cache.remove, kept))
        self._written(ALL)  # its memories too
        return log

    def hold(self, id: str, held: bool, at: datetime, log: AuditLog) -> tuple[Session, AuditLog]:
        stored = self.backend.hold(id, held, at, log)
        self._written(session_stamp(id))
        return stored

    def _copies_of(self, session_id: str) -> set[str]:
        """The keys under which something of a session's events and checkpoints may be kept."""
        of_session = Condition("session_id", "=", session_id)
        kept = set(ledger.places(session_id, self.backend.last_number(Event, session_id)))
        for namespace in self.backend.namespaces(session_id):
            where = (of_session, Condition("namespace", "=", namespace))
            found = self.backend.iterate(Query(record=Checkpoint, where=where, order=("seq_num",), whole=False))
            kept.update(filter(None, map(states.place_of, found)))
        return kept

    def acquire(self, session_id: str, holder: str, ttl: timedelta | None, force: bool, key: str) -> Fence:
        return self.backend.acquire(session_id, holder, ttl, force, key)

    def renew(self, session_id: str, token: int, ttl: timedelta | None) -> Fence:
        return self.backend.renew(session_id, token, ttl)

    def fence(self, session_id: str) -> Fence | None:
        return self.backend.fence(session_id)

    # The ledger

    def verify(self, record: type[Record], chain: str) -> Verdict:
        return self.backend.verify(record, chain)

    def chains(self, record: type[Record]) -> Iterator[ChainHead]:
        return self.backend.chains(record)

    def heads(self, record: type[Record], series: str | None = None) -> Iterator[SeriesHead]:
        return self.backend.heads(record, series)

    def set_base(self, record: type[Record], chain: str, base_seq: int, base_hash: str) -> None:
        self.backend.set_base(record, chain, base_seq, base_hash)
        self._written(ALL)

    @contextmanager
    def purging(self, reason: str) -> Iterator[PurgePermit]:
        with self.backend.purging(reason) as permit:
            yield permit
        if permit.emptied_events:
            self.after_commit(partial(ledger.forget, permit.emptied_events, self._cache))

    # Everything

    def load(self, records: Iterable[Record]) -> int:
        count = self.backend.load(records)
        self._written(ALL)
        return count

    def migrate(self) -> None:
        self.backend.migrate()

    def close(self) -> None:
        self.backend.close()

    @contextmanager
    def apart(self) -> Iterator[Backend]:
        seconds = None if self._recent is None else self._recent.seconds
        with self.backend.apart() as backend:
            yield CachedBackend(backend, cache=self._cache.alias, max_staleness=seconds)

    def health(self) -> Health:
        found = self.backend.health()
        return replace(found, backend=f"{type(self).__module__}.{type(self).__qualname__}")


def _made(backend: Backend | str, options: Mapping[str, Any]) -> Backend:
    if isinstance(backend, Backend):
        return backend
    made = make("CachedBackend", {"BACKEND": backend, "OPTIONS": options})
    if not isinstance(made, Backend):
        raise ConfigurationError(
            f'CachedBackend: its "BACKEND" {backend!r} made a {type(made).__name__}, no chronos_storage.Backend'
        )
    return made
