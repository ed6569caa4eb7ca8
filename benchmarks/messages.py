"""Messages: appending them, beside events and the bare driver, and reading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from chronos_storage.ledger import mapping
from chronos_storage.records import Session

from . import samples
from .appending import EVENTS, MESSAGES, appending, by_threads, in_batches, session
from .databases import Database, Vendor
from .measure import Figure, always, duration, rate


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds = 4 if quick else 20
    with vendor.database() as database:
        yield _one_by_one(vendor, database, rounds)
        yield from by_threads(MESSAGES, vendor, database, rounds // 2, own=0.5, shared=0.6)
        yield in_batches(MESSAGES, vendor, database, rounds, 0.3)
        yield from _read(vendor, database, 500 if quick else 5000, rounds)


def _one_by_one(vendor: Vendor, database: Database, rounds: int) -> Figure:
    count = 50
    ours, other = session(MESSAGES, database, "one by one"), session(EVENTS, database, "one by one, events")
    return rate(
        "add_message, one after the other",
        count,
        appending(MESSAGES, database, ours, count),
        appending(EVENTS, database, other, count),
        rounds=rounds,
        at_least=vendor.bar(0.85),
        against="append_event",
    )


def _read(vendor: Vendor, database: Database, count: int, rounds: int) -> Iterator[Figure]:
    id = database.storage.create_session(Session(id="long")).id
    database.storage.add_messages(samples.messages(id, count))
    database.analyze()
    listed = always(partial(database.storage.list_messages, id))
    with closing(database.bare()) as bare:
        yield duration(
            f"list_messages of {count:,}",
            1,
            listed,
            bare.select(mapping.MESSAGES, "WHERE session_id = %s ORDER BY seq_num", id),
            rounds=rounds,
            at_most=vendor.bar(1.2),
        )
    for provider in ("openai", "anthropic"):
        yield duration(
            f"context of {count:,}, {provider}",
            1,
            always(partial(database.storage.context, id, provider=provider)),
            listed,
            rounds=rounds,
            at_most=vendor.bar(1.3),
            against="list_messages",
        )
