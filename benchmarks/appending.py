"""Appending records of a series: one by one, by threads, and in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from chronos_storage.records import Session

from . import samples
from .databases import Bare, Database, Series, Vendor
from .measure import Crew, Figure, Side, rate

THREADS = 16
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Kind:
    """What is appended.

    Attributes:
        one, many: the storage's methods.
        make: gives new records of a session, so many.
    """

    one: str
    many: str
    make: Callable[[str, int], list[Any]]


EVENTS = Kind("append_event", "append_events", samples.events)
MESSAGES = Kind("add_message", "add_messages", samples.messages)


def session(kind: Kind, database: Database, name: str) -> str:
    """A new session with a record of the kind."""
    database.storage.create_session(Session(id=name))
    getattr(database.storage, kind.one)(kind.make(name, 1)[0])
    return name


def appending(kind: Kind, database: Database, id: str, count: int) -> Side:
    """The side that appends so many to a session, one after the other."""
    append = getattr(database.storage, kind.one)

    def ready() -> Callable[[], None]:
        given = kind.make(id, count)

        def work() -> None:
            for record in given:
                append(record)

        return work

    return ready


def bare_by_threads(kind: Kind, crew: Crew, bares: list[Bare], sessions: list[str], each: int) -> Side:
    """The side on which each thread appends so many to its session by its own connection."""

    def ready() -> Callable[[], None]:
        works = [bare.appending(kind.make(id, each)) for bare, id in zip(bares, sessions, strict=True)]
        return lambda: crew.run(lambda number: works[number]())

    return ready


def by_threads(
    kind: Kind, vendor: Vendor, database: Database, rounds: int, *, own: float, shared: float
) -> Iterator[Figure]:
    """Many threads, on sessions of their own and on one, each with its bar."""
    each = 25
    with ExitStack() as stack:
        bares = [stack.enter_context(closing(database.bare())) for _ in range(THREADS)]
        crew = Crew(THREADS)
        stack.callback(crew.close, lambda number: database.storage.close())
        for name, bar, count in (("sessions of their own", own, THREADS), ("one session", shared, 1)):
            make = partial(session, kind, database)
            ours, other = (
                [make(f"{kind.one} {count} {number}{suffix}") for number in range(count)] * (THREADS // count)
                for suffix in ("", ", bare")
            )

            def ready(ids: list[str] = ours) -> Callable[[], None]:
                works = [appending(kind, database, id, each)() for id in ids]
                return partial(crew.run, lambda number: works[number]())  # noqa: B023 - it is called before there are others

            yield rate(
                f"{kind.one} by {THREADS} threads on {name}",
                THREADS * each,
                ready,
                bare_by_threads(kind, crew, bares, other, each),
                rounds=rounds,
                at_least=vendor.bar(bar),
            )


def in_batches(kind: Kind, vendor: Vendor, database: Database, rounds: int, bar: float) -> Figure:
    """All of a batch at once."""
    ours, other = (database.storage.create_session(Session(id=f"{kind.many}{suffix}")).id for suffix in ("", ", bare"))
    series, append = Series(), getattr(database.storage, kind.many)
    database.analyze()
    with closing(database.bare()) as bare:

        def batch() -> Callable[[], object]:
            return partial(append, kind.make(ours, _BATCH))

        def bare_batch() -> Callable[[], object]:
            records = kind.make(other, _BATCH)
            return partial(bare.insert, *series.table_and_rows(records))

        return rate(f"{kind.many} of {_BATCH}", _BATCH, batch, bare_batch, rounds=rounds, at_least=vendor.bar(bar))
