"""What PostgreSQL does to store a span: one statement, which finds its parent's trace_id too."""

from __future__ import annotations

from functools import cache
from typing import Any

from ..preparing import prepared_cursor
from ..records import Trace
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
    values, *_ = column_values(TRACES, trace)
    place = list(columns_of(TRACES)).index("trace_id") + 1
    with prepared_cursor(connection) as cursor:
        cursor.execute(_statement(), [*values[:place], trace.parent_id, trace.id, *values[place:]])
        row = cursor.fetchone()
    if row is None:
        return None
    (trace.trace_id,) = row
    return trace


@cache
def _statement() -> str:
    table, columns = TRACES.model._meta.db_table, columns_of(TRACES)
    of_parent = f"SELECT NULLIF(trace_id, '') FROM {table} WHERE id = %s::varchar"
    places = {name: f"%s::{kind}" for name, kind in columns.items()}
    places["trace_id"] = f"COALESCE(NULLIF(%s::varchar, ''), ({of_parent}), %s::varchar)"
    return (
        f"INSERT INTO {table} ({', '.join(places)}) VALUES ({', '.join(places.values())})"
        " ON CONFLICT DO NOTHING RETURNING trace_id"
    )
