"""What the tests of every group share: short ways to write, read and compare records, and to do things at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from functools import cache, partial
from typing import Any, Protocol, TypeVar

import pytest

from ...backends.document import MemoryBackend
from ...facade import Storage
from ...records import (
    KINDS,
    Artifact,
    AuditLog,
    Checkpoint,
    Event,
    MemoryRecord,
    Message,
    Record,
    Session,
    Trace,
)
from ..writers import write
from .samples import at

T = TypeVar("T")

#: How many threads write at once, and how many seconds a test waits for what ought to happen soon.
THREADS, PATIENCE = 8, 60
#: The kinds in an order in which each finds the session "s" that it needs, or finds none, as sessions do.
SESSIONS_FIRST = sorted(KINDS, key=lambda kind: kind != "session")


def open_session(storage: Storage, id: str = "s", **fields: Any) -> Session:
    """A new session of that id."""
    return storage.create_session(Session(id=id, **fields))


def prepared(storage: Storage, kind: str, session_id: str = "s") -> Storage:
    """The store, in which the session is there that records of this kind stand in."""
    if kind != "session" and storage.get_session(session_id) is None:
        open_session(storage, session_id)
    return storage


def say(storage: Storage, *ids: str, session_id: str = "s") -> list[Message]:
    """Messages of these ids, added to a session."""
    return storage.add_messages([Message(id=id, session_id=session_id, role="user", content=id) for id in ids])


def read(storage: Storage, record: Any) -> Any:
    """What the store has under the id (or, of memory, the natural key) of this record; None if nothing."""
    match record:
        case Message() | Event() | Checkpoint():
            return getattr(storage, f"get_{type(record).__name__.lower()}")(record.id, session_id=record.session_id)
        case MemoryRecord():
            return storage.get_memory(
                record.agent_id, record.key, kind=record.kind, user_id=record.user_id, session_id=record.session_id
            )
        case Artifact():
            scope = {"session_id": record.session_id, "user_id": record.user_id}
            return storage.get_artifact(record.name, **scope, version=record.version or None)
        case AuditLog():
            return next((log for log in storage.list_audit_logs(limit=None) if log.id == record.id), None)
        case _:
            return getattr(storage, f"get_{type(record).__name__.lower()}")(record.id)


def column(records: Iterable[Any], name: str) -> list[Any]:
    """One field of each record."""
    return [getattr(record, name) for record in records]


def exactly(value: Any) -> str:
    """JSON text in which everything counts: the order of keys, 1 or 1.0 or true, the sign of zero."""
    return json.dumps(value)


def alike(value: Any) -> str:
    """JSON text in which everything but the order of keys counts."""
    return json.dumps(value, sort_keys=True)


def everything(storage: Storage) -> dict[str, list[Any]]:
    """All that is stored, by kind."""
    return {kind: list(storage.scan(kind)) for kind in KINDS}


def populate(storage: Storage, session_id: str = "s", user_id: str = "user") -> list[Record]:
    """A session with some of everything that belongs to one; gives all records as they are stored."""
    *records, one, other = deepcopy(_belongings(session_id, user_id))
    storage.load(records)
    return [*records, write(storage, one), write(storage, other)]


@cache
def _belongings(session_id: str, user_id: str) -> list[Record]:
    """What is loaded, as that takes less time than to write one after the other, and two artifacts to be written."""
    source = Storage(MemoryBackend())
    owned = {"session_id": session_id, "user_id": user_id}
    given = [
        Session(id=session_id, agent_id="agent", user_id=user_id, metadata={"of": user_id}),
        *[Message(id=f"m{number}", session_id=session_id, role="user", content=f"{number}") for number in (1, 2, 3)],
        *[MemoryRecord(**owned, agent_id="agent", kind="long_term", key=key, value=key) for key in ("k1", "k2")],
        *[
            AuditLog(**owned, agent_id="agent", actor="a", action=action, detail={"n": 1.0})
            for action in ("do", "undo")
        ],
        *[Trace(id=f"{session_id} t{number}", session_id=session_id, started_at=at(number)) for number in (1, 2)],
        *[Event(id=f"e{number}", session_id=session_id, type="t", payload={"n": number}) for number in (1, 2, 3)],
        *[
            Checkpoint(id=f"{namespace}c{number}", session_id=session_id, namespace=namespace, state={"n": number})
            for namespace in ("", "sub")
            for number in (1, 2)
        ],
    ]
    for record in given:
        write(source, record)
    records = [record for kind in everything(source).values() for record in kind]
    return [*records, *[Artifact(**owned, id=f"{session_id} a{number}", name="name") for number in (1, 2)]]


def cases(found: Iterable[T]) -> list[T]:
    """What a test goes through one by one. There must be some: a loop over nothing shows nothing."""
    listed = list(found)
    assert listed, "nothing to go through"
    return listed


@contextmanager
def case(*what: object) -> Generator[None]:
    """A failure within says which of a loop's cases it was."""
    try:
        yield
    except BaseException as error:  # pytest's own too
        error.add_note(f"in the case {what!a:.500}")
        raise


class Unasked:
    """For tests of what is refused before anything is asked of whoever keeps the records."""

    @pytest.fixture
    def storage_unasked(self, storage: Storage) -> Iterator[Storage]:
        """A store with a session "s", in which nothing has changed at the end."""
        open_session(storage)
        before = everything(storage)
        yield storage
        assert everything(storage) == before


class _Closeable(Protocol):
    def close(self) -> None: ...


def together(store: _Closeable, *jobs: Callable[[], T]) -> list[T]:
    """Run all jobs at once, each in a thread of its own; what they returned, in their order."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        start.wait()
        try:
            return job()
        finally:
            store.close()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return [running.result() for running in [pool.submit(run, job) for job in jobs]]


def writers(job: Callable[[int], T], count: int = THREADS) -> list[Callable[[], T]]:
    """`job` so many times over, each with a number of its own."""
    return [partial(job, number) for number in range(count)]


def needs_transactions(storage: Storage) -> None:
    """Skip the test on a backend without transactions."""
    if not storage.supports_transactions:
        pytest.skip("this backend has no transactions")


class Abandoned(Exception):
    """What a test raises to make a transaction fail."""


@contextmanager
def failing(transaction: AbstractContextManager[T]) -> Generator[T]:
    """The transaction, with a failure at its end."""
    with pytest.raises(Abandoned), transaction as given:  # noqa: PT012  (the failure is meant to come last)
        yield given
        raise Abandoned
