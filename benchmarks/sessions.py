"""Sessions: the first page of a list of many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

from chronos_storage.ledger.mapping import SESSIONS

from . import samples
from .databases import Database, Vendor
from .measure import Figure, Side, always, duration

_FEW = 100
_TIMES = 10
#: Of the hundred sessions each agent and each user has 25.
_PAGE = 20


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    rounds, count = (6, 10_000) if quick else (30, 100_000)
    with ExitStack() as stack:
        few, many = (stack.enter_context(vendor.database()) for _ in range(2))
        for database, size in ((few, _FEW), (many, count)):
            database.storage.load(samples.sessions(size))
        bare = stack.enter_context(closing(many.bare()))
        order = f"ORDER BY created_at DESC, id DESC LIMIT {_PAGE}"
        offset = 19 * _PAGE
        last = many.storage.list_sessions(limit=1, offset=offset - 1)[0]
        behind = f"AND (created_at, id) < (%s, %s) {order}"
        pages: list[tuple[str, dict[str, Any], str, list[Any]]] = [
            ("first page", {}, order, []),
            ("page 20, by its offset,", {"offset": offset}, f"{order} OFFSET {offset}", []),
            ("page 20", {"after": last}, behind, [str(last.created_at), last.id]),
        ]
        for when in ("before", "after"):
            for name, given, rest, parameters in pages:
                yield duration(
                    f"{name} of list_sessions among {count:,} {when} ANALYZE",
                    _TIMES,
                    _page(many, **given),
                    bare.select(SESSIONS, f"WHERE deleted_at IS NULL {rest}", *parameters, times=_TIMES),
                    rounds=rounds,
                    at_most=vendor.bar(2),
                )
            for database in (few, many):
                database.analyze()
        for name, filters in (
            ("", {}),
            (", by last activity,", {"order": "-last_activity_at"}),
            (" of an agent", {"agent_id": "agent-1"}),
            (" of a user", {"user_id": "user-1"}),
            (" of an agent and a user", {"agent_id": "agent-1", "user_id": "user-1"}),
        ):
            yield duration(
                f"first page of list_sessions{name} among {count:,}",
                _TIMES,
                _page(many, **filters),
                _page(few, **filters),
                rounds=rounds,
                against=f"among {_FEW}",
                at_most=vendor.bar(1.3),
            )


def _page(database: Database, **filters: Any) -> Side:
    return always(lambda: database.storage.list_sessions(limit=_PAGE, **filters), _TIMES)
