"""The ledger: appending events and reading them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from functools import partial

from chronos_storage.ledger import mapping
from chronos_storage.records import Event, Session

from . import samples
from .appending import EVENTS, THREADS, appending, bare_by_threads, by_threads, in_batches, session
from .databases import Database, Vendor
from .measure import Crew, Figure, always, duration, rate

_TASKS = 200


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds = 4 if quick else 20
    with vendor.database() as database:
        yield from _read(vendor, database, 500 if quick else 5000, rounds)
        yield _one_by_one(vendor, database, rounds * 5)  # each is short, and the machine has its moods
        yield _by_tasks(vendor, database, rounds // 4)
        yield from by_threads(EVENTS, vendor, database, rounds // 2, own=0.6, shared=0.7)
        yield in_batches(EVENTS, vendor, database, rounds, 0.4)


def _one_by_one(vendor: Vendor, database: Database, rounds: int) -> Figure:
    count = 50
    ours, other = session(EVENTS, database, "one by one"), session(EVENTS, database, "one by one, bare")
    with closing(database.bare()) as bare:
        return rate(
            "append_event, one after the other",
            count,
            appending(EVENTS, database, ours, count),
            lambda: bare.appending(samples.events(other, count)),
            rounds=rounds,
            at_least=vendor.bar(0.75),
        )


def _by_tasks(vendor: Vendor, database: Database, rounds: int) -> Figure:
    each = 10
    sessions = [session(EVENTS, database, f"task {number}") for number in range(_TASKS)]

    def ours() -> Callable[[], None]:
        given = [samples.events(id, each) for id in sessions]

        async def append(events: list[Event]) -> None:
            for event in events:
                await database.storage.aappend_event(event)

        async def work() -> None:
            await asyncio.gather(*map(append, given))

        return lambda: asyncio.run(work())

    with ExitStack() as stack:
        bares = [stack.enter_context(closing(database.bare())) for _ in range(THREADS)]
        crew = Crew(THREADS)
        stack.callback(crew.close, lambda number: None)
        ids = [session(EVENTS, database, f"task {number}, bare") for number in range(THREADS)]
        name = f"append_event by {_TASKS} tasks of one loop on sessions of their own"
        other = bare_by_threads(EVENTS, crew, bares, ids, _TASKS * each // THREADS)
        return rate(name, _TASKS * each, ours, other, rounds=rounds, at_least=vendor.bar(0.5))


def _read(vendor: Vendor, database: Database, count: int, rounds: int) -> Iterator[Figure]:
    storage, last = database.storage, 50
    id = storage.create_session(Session(id="long")).id
    storage.append_events(samples.events(id, count))
    with closing(database.bare()) as bare:
        for when, prepare in (("before", None), ("after", database.analyze)):
            if prepare:
                prepare()
            yield duration(
                f"get_recent_events of {last} {when} ANALYZE",
                20,
                always(partial(storage.get_recent_events, id, last), 20),
                bare.select(mapping.EVENTS, f"WHERE session_id = %s ORDER BY seq_num DESC LIMIT {last}", id, times=20),
                rounds=rounds,
                at_most=vendor.bar(2),
            )
        yield duration(
            f"list_events of {count:,}",
            1,
            always(partial(storage.list_events, id)),
            bare.select(mapping.EVENTS, "WHERE session_id = %s ORDER BY seq_num", id),
            rounds=rounds,
            at_most=vendor.bar(1.2),
        )
