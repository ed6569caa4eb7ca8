"""Checkpoints: finding the latest one among many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

from chronos_storage.ledger.mapping import CHECKPOINTS
from chronos_storage.records import Session

from . import samples
from .databases import Database, Vendor
from .measure import Figure, Side, always, duration

_FEW = 100
_TIMES = 20


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds, count = (6, 10_000) if quick else (30, 100_000)
    with ExitStack() as stack:
        few, many = (stack.enter_context(vendor.database()) for _ in range(2))
        _fill(few, _FEW)
        _fill(many, count)
        bare = stack.enter_context(closing(many.bare()))
        latest = "WHERE session_id = %s AND namespace = '' ORDER BY seq_num DESC LIMIT 1"
        yield duration(
            f"get_latest_checkpoint among {count:,}",
            _TIMES,
            _latest(many),
            bare.select(CHECKPOINTS, latest, "session", times=_TIMES),
            rounds=rounds,
        )
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


def _fill(database: Database, count: int) -> None:
    """One session with all the checkpoints: where a search is the longest."""
    database.storage.create_session(Session(id="session"))
    database.storage.load(samples.checkpoints("session", count))
    database.analyze()


def _latest(database: Database, run_id: str | None = None) -> Side:
    return always(lambda: database.storage.get_latest_checkpoint("session", run_id=run_id), _TIMES)
