"""The ledger: appending and reading events, and reading messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from typing import Any

from chronos_storage.ledger.mapping import EVENTS, MESSAGES, Table
from chronos_storage.records import Event, Session

from . import samples
from .databases import Bare, Chain, Database, Row, Vendor, row
from .measure import Crew, Figure, Side, always, duration, rate

_THREADS = 16
_TASKS = 200
_BATCH = 500
_RECENT = 20


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds = 4 if quick else 20
    with vendor.database() as database:
        yield _append_event(vendor, database, rounds)
        yield from _append_by_threads(vendor, database, rounds // 2)
        yield _append_events(vendor, database, rounds)
        yield from _read(vendor, database, 500 if quick else 5000, rounds)


def _session(database: Database, name: str) -> str:
    """A new session with an event in its ledger."""
    database.storage.create_session(Session(id=name))
    database.storage.append_event(samples.events(name, 1)[0])
    return name


def _append_event(vendor: Vendor, database: Database, rounds: int) -> Figure:
    count = 50
    ours, other = _session(database, "one by one"), _session(database, "one by one, bare")
    with closing(database.bare()) as bare:
        return rate(
            "append_event, one after the other",
            count,
            lambda: _appending(database, samples.events(ours, count)),
            lambda: _bare_appending(bare, samples.events(other, count)),
            rounds=rounds,
            at_least=vendor.bar(0.55),
        )


def _appending(database: Database, events: list[Event]) -> Callable[[], None]:
    def work() -> None:
        for event in events:
            database.storage.append_event(event)

    return work


def _bare_appending(bare: Bare, events: list[Event]) -> Callable[[], None]:
    rows: list[Row] = [row(event) for event in events]

    def work() -> None:
        for each in rows:
            bare.append_event(each)

    return work


def _append_by_threads(vendor: Vendor, database: Database, rounds: int) -> Iterator[Figure]:
    with ExitStack() as stack:
        bares = [stack.enter_context(closing(database.bare())) for _ in range(_THREADS)]
        crew = Crew(_THREADS)
        stack.callback(crew.close, lambda number: database.storage.close())
        own = [_session(database, f"thread {number}") for number in range(_THREADS)]
        own_bare = [_session(database, f"thread {number}, bare") for number in range(_THREADS)]
        yield _by_tasks(vendor, database, crew, bares, own_bare, rounds // 2)
        shared = [_session(database, "shared")] * _THREADS
        shared_bare = [_session(database, "shared, bare")] * _THREADS
        for name, ours, other in (("sessions of their own", own, own_bare), ("one session", shared, shared_bare)):
            yield _by_threads(
                f"append_event by {_THREADS} threads on {name}", vendor, database, crew, bares, ours, other, rounds
            )


def _by_tasks(
    vendor: Vendor, database: Database, crew: Crew, bares: list[Bare], bare_sessions: list[str], rounds: int
) -> Figure:
    each = 10
    sessions = [_session(database, f"task {number}") for number in range(_TASKS)]

    def ours() -> Callable[[], None]:
        given = [samples.events(session, each) for session in sessions]

        async def append(events: list[Event]) -> None:
            for event in events:
                await database.storage.aappend_event(event)

        async def work() -> None:
            await asyncio.gather(*map(append, given))

        return lambda: asyncio.run(work())

    name = f"append_event by {_TASKS} tasks of one loop on sessions of their own"
    other = _appending_by_threads(crew, bares, bare_sessions, _TASKS * each // _THREADS)
    return rate(name, _TASKS * each, ours, other, rounds=rounds, at_least=vendor.bar(0.5))


def _appending_by_threads(crew: Crew, bares: list[Bare], sessions: list[str], each: int) -> Side:
    def work() -> Callable[[], None]:
        given = zip(bares, sessions, strict=True)
        works = [_bare_appending(bare, samples.events(session, each)) for bare, session in given]
        return lambda: crew.run(lambda number: works[number]())

    return work


def _by_threads(
    name: str,
    vendor: Vendor,
    database: Database,
    crew: Crew,
    bares: list[Bare],
    sessions: list[str],
    bare_sessions: list[str],
    rounds: int,
) -> Figure:
    each = 25

    def ours() -> Callable[[], None]:
        works = [_appending(database, samples.events(session, each)) for session in sessions]
        return lambda: crew.run(lambda number: works[number]())

    other = _appending_by_threads(crew, bares, bare_sessions, each)
    return rate(name, crew.size * each, ours, other, rounds=rounds, at_least=vendor.bar(0.5))


def _append_events(vendor: Vendor, database: Database, rounds: int) -> Figure:
    ours, other = (database.storage.create_session(Session(id=id)).id for id in ("batches", "batches, bare"))
    chain = Chain()
    database.analyze()
    with closing(database.bare()) as bare:

        def batch() -> Callable[[], object]:
            events = samples.events(ours, _BATCH)
            return lambda: database.storage.append_events(events)

        def bare_batch() -> Callable[[], None]:
            rows = chain.rows(samples.events(other, _BATCH))
            return lambda: bare.insert_events(rows)

        return rate(f"append_events of {_BATCH}", _BATCH, batch, bare_batch, rounds=rounds, at_least=vendor.bar(0.4))


def _read(vendor: Vendor, database: Database, count: int, rounds: int) -> Iterator[Figure]:
    storage = database.storage
    session = storage.create_session(Session(id="long")).id
    storage.append_events(samples.events(session, count))
    storage.add_messages(samples.messages(session, count))
    yield from _read_recent(vendor, database, session, rounds, "before ANALYZE")
    database.analyze()
    yield from _read_recent(vendor, database, session, rounds, "after ANALYZE")
    calls: list[tuple[Callable[[str], object], Table[Any]]] = [
        (storage.list_events, EVENTS),
        (storage.list_messages, MESSAGES),
    ]
    with closing(database.bare()) as bare:
        for call, table in calls:
            yield duration(
                f"{call.__name__} of {count:,}",
                1,
                always(partial(call, session)),
                bare.select(table, "WHERE session_id = %s ORDER BY seq_num", session),
                rounds=rounds,
                at_most=vendor.bar(1.5),
            )


def _read_recent(vendor: Vendor, database: Database, session: str, rounds: int, when: str) -> Iterator[Figure]:
    last = "WHERE session_id = %s ORDER BY seq_num DESC LIMIT 50"
    with closing(database.bare()) as bare:
        yield duration(
            f"get_recent_events of 50, {when}",
            _RECENT,
            always(partial(database.storage.get_recent_events, session, 50), _RECENT),
            bare.select(EVENTS, last, session, times=_RECENT),
            rounds=rounds,
            at_most=vendor.bar(2),
        )
