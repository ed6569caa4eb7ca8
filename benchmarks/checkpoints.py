"""Checkpoints: finding the latest one among many, and what the states of a conversation that grows take."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any
from unittest.mock import patch

from chronos_storage import codec, upcasters
from chronos_storage.ids import new_id
from chronos_storage.ledger import item_log, postgresql_checkpoints
from chronos_storage.ledger.mapping import CHECKPOINTS
from chronos_storage.records import Checkpoint, Session

from . import samples
from .databases import Database, Vendor
from .measure import Figure, Side, always, duration, rate, timed

_FEW = 100
_TIMES = 20
#: So many of the last states are stored whole too.
_COMPARED = 60


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds, count = (6, 10_000) if quick else (30, 100_000)
    with ExitStack() as stack:
        few, many = (stack.enter_context(vendor.database()) for _ in range(2))
        _fill(few, _FEW)
        few.analyze()
        _fill(many, count)
        bare = stack.enter_context(closing(many.bare()))
        latest = "WHERE session_id = %s AND namespace = '' ORDER BY seq_num DESC LIMIT 1"
        for when in ("before", "after"):
            yield duration(
                f"get_latest_checkpoint among {count:,} {when} ANALYZE",
                _TIMES,
                _latest(many),
                bare.select(CHECKPOINTS, latest, "session", times=_TIMES),
                rounds=rounds,
                at_most=vendor.bar(2),
            )
            many.analyze()
        yield _small(vendor, many, rounds)
        for name, run_id in (("", None), (" of the last run", "last"), (" of the first run", "first")):
            yield duration(
                f"get_latest_checkpoint{name} among {count:,}",
                _TIMES,
                _latest(many, run_id),
                _latest(few, run_id),
                rounds=rounds,
                against=f"among {_FEW}",
                at_most=vendor.bar(1.3),
            )
        yield _current(many, rounds)
    for turns in (400,) if quick else (400, 2_000):
        yield from _growing(vendor, turns)


def _small(vendor: Vendor, database: Database, rounds: int) -> Figure:
    """A state that is kept whole."""
    count = 50
    sessions = [database.storage.create_session(Session(id=f"small {name}")).id for name in ("ours", "bare")]
    for id in sessions:
        database.storage.save_checkpoint(Checkpoint(session_id=id))

    def new(id: str) -> list[Checkpoint]:
        return [replace(each, id=new_id(), session_id=id, seq_num=0) for each in samples.checkpoints(id, count)]

    def ours() -> Callable[[], None]:
        given = new(sessions[0])

        def work() -> None:
            for each in given:
                database.storage.save_checkpoint(each)

        return work

    with closing(database.bare()) as bare:
        return rate(
            "save_checkpoint of a short state, one after the other",
            count,
            ours,
            lambda: bare.appending(new(sessions[1])),
            rounds=rounds,
            at_least=vendor.bar(0.6),
        )


def _current(database: Database, rounds: int) -> Figure:
    """States of the version that the code writes, where upcasters are registered for the four before it."""
    given = Checkpoint(session_id="current", state={"step": 1, "next": ["agent"]}, schema="order", schema_version=5)
    database.storage.create_session(Session(id="current"))
    for _ in range(_TIMES):
        database.storage.save_checkpoint(given)
    registered: dict[tuple[str, int], upcasters.Upcaster] = {("order", version): dict for version in (1, 2, 3, 4)}

    def read(steps: dict[tuple[str, int], upcasters.Upcaster]) -> None:
        with patch.object(upcasters, "_steps", steps):
            database.storage.get_latest_checkpoint("current")

    return duration(
        "get_latest_checkpoint of the current version",
        _TIMES,
        always(partial(read, registered), _TIMES),
        always(partial(read, {}), _TIMES),
        rounds=4 * rounds,
        against="without upcasters",
        at_most=1.05,
    )


def _growing(vendor: Vendor, turns: int) -> Iterator[Figure]:
    """A checkpoint after each turn, beside another database that is given the last ones, and keeps them whole."""
    conversation = [
        {"role": each.role, "content": each.content, "tool_calls": each.tool_calls, "name": each.name}
        for each in samples.messages("session", 2 * turns)
    ]
    text = codec.bytes_of(codec.encode(conversation))
    with ExitStack() as stack:
        ours, whole = (stack.enter_context(vendor.database()) for _ in range(2))
        empty = ours.size()
        for database in (ours, whole):
            database.storage.create_session(Session(id="session"))
        pairs = []
        for turn in range(turns):
            state = {"step": turn, "next": ["agent"], "messages": conversation[: 2 * turn + 2]}
            mine = timed(lambda: partial(_save, ours, state))  # noqa: B023 - it is called here
            if turn >= turns - _COMPARED:
                with (
                    patch.object(item_log, "WHOLE", sys.maxsize),
                    patch.object(postgresql_checkpoints, "WHOLE", sys.maxsize),
                ):
                    pairs.append((mine, timed(lambda: partial(_save, whole, state))))  # noqa: B023
        yield Figure(
            name=f"{turns:,} checkpoints of a conversation, disk",
            unit="kB",
            ours=(ours.size() - empty) / 1000,
            other=text / 1000,
            ratio=(ours.size() - empty) / text,
            against="its text",
            at_most=2.5 if vendor.has_bars else 2.0,
        )
        yield Figure(
            name=f"save_checkpoint after {turns:,} turns",
            unit="ms",
            ours=median(1000 * mine for mine, _ in pairs),
            other=median(1000 * theirs for _, theirs in pairs),
            ratio=median(mine / theirs for mine, theirs in pairs),
            against="whole states",
            at_most=1.0,
            rounds=pairs,
        )
        yield duration(
            f"get_latest_checkpoint after {turns:,} turns",
            _TIMES,
            _latest(ours),
            _latest(whole),
            rounds=6,
            against="whole states",
            at_most=1.5,
        )


def _save(database: Database, state: dict[str, Any]) -> None:
    database.storage.save_checkpoint(Checkpoint(session_id="session", state=state))


def _fill(database: Database, count: int) -> None:
    """One session with all the checkpoints: where a search is the longest."""
    database.storage.create_session(Session(id="session"))
    database.storage.load(samples.checkpoints("session", count))


def _latest(database: Database, run_id: str | None = None) -> Side:
    return always(lambda: database.storage.get_latest_checkpoint("session", run_id=run_id), _TIMES)
