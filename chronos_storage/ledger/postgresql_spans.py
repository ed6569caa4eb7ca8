"""What PostgreSQL does to store a span: one statement, which finds its parent's trace_id too."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, partial
from typing import Any

from ..distributed.state import is_distributed
from ..preparing import prepared_cursor
from ..records import Trace
from ..spans import complete_trace_ids
from .mapping import TRACES
from .postgresql import column_values, columns_of


def insert_one(connection: Any, given: Trace) -> Trace | None:
    """Store a span, with a trace_id as `spans.complete_trace_ids` gives it.

    Args:
        connection: Django's.

    Returns:
        The span as it is stored; None if there is one of its id.
    """
    trace = TRACES.copy(given)
    trace.complete()
    # One of its own is known here; of a parent on another worker the statement could not ask.
    if not trace.trace_id and (not trace.parent_id or is_distributed(connection)):
        complete_trace_ids([trace], partial(_trace_ids, connection))
    values, *_ = column_values(TRACES, trace)
    if looks_up := not trace.trace_id:
        place = list(columns_of(TRACES)).index("trace_id")
        values = [*values[:place], trace.parent_id, trace.id, *values[place + 1 :]]
    with prepared_cursor(connection) as cursor:
        cursor.execute(_statement(looks_up), values)
        row = cursor.fetchone()
    if row is None:
        return None
    (trace.trace_id,) = row
    return trace


def _trace_ids(connection: Any, ids: Iterable[str]) -> dict[str, str]:
    """The trace_id of those of these spans that are stored, by id."""
    table = TRACES.model._meta.db_table
    with prepared_cursor(connection) as cursor:
        cursor.execute(f"SELECT id, trace_id FROM {table} WHERE id = ANY(%s::varchar[])", [list(ids)])
        return dict(cursor.fetchall())


@cache
def _statement(looks_up: bool) -> str:
    """The statement; its parameters are the columns' values, but where it looks up the trace_id, the parent and the id
    in its place.
    """
    table = TRACES.model._meta.db_table
    places = {name: f"%s::{kind}" for name, kind in columns_of(TRACES).items()}
    if looks_up:
        of_parent = f"SELECT NULLIF(trace_id, '') FROM {table} WHERE id = %s::varchar"
        places["trace_id"] = f"COALESCE(({of_parent}), %s::varchar)"
    return (
        f"INSERT INTO {table} ({', '.join(places)}) VALUES ({', '.join(places.values())})"
        " ON CONFLICT DO NOTHING RETURNING trace_id"
    )
