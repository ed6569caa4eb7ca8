"""The statements of queries, which are kept by the queries' shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from django.db import connections
from django.db.models import BigIntegerField
from django.db.models.query import QuerySet

from ...compat.queries import fetch_values, selecting
from ...ledger.kept import FEW, Built, Place, fetch_kept
from ...ledger.mapping import TABLES
from ...ledger.pages import rows_after
from ...records import Record
from ..base import Condition, Query
from .conditions import field_of, rows_of

R = TypeVar("R", bound=Record)

#: The operators whose value stands in the statement once, as it is.
_PLAIN = frozenset({"=", "in", "<", "<=", ">", ">=", "unless past"})


def selected(query: Query[R], using: str) -> QuerySet[Any]:
    """The rows that a query selects, whatever its limit and offset."""
    rows = rows_of(query, using)
    if query.after is not None:
        rows = rows_after(TABLES[query.record], rows, query.order, query.after)
    return rows.order_by(*query.order)


def fetch_selected(using: str, query: Query[Any], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """What columns hold of the rows that a query selects, in its order."""
    shape = _shape(query)
    if shape is None:
        end = None if query.limit is None else query.offset + query.limit
        return fetch_values(selected(query, using)[query.offset : end], columns)
    connection = connections[using]
    values = [*_values(query), *_slice(query, connection)]
    return fetch_kept(connection, shape, values, lambda: _build(query, using, columns))


def _shape(query: Query[Any]) -> Any:
    """What the text of a query's statement depends on; None where there are too many to keep them."""
    conditions = []
    for field, operator, value in query.where:
        count = len(value) if operator == "in" else 1
        if operator not in _PLAIN or not 0 < count <= FEW:
            return None
        conditions.append((field, operator, count, value == ""))
    page = (query.after is None, query.limit is None, not query.offset)
    return query.record, query.deleted, *conditions, query.order, *page


def _values(query: Query[Any]) -> Iterator[Any]:
    """The query's values, in the order of their numbers."""
    for condition in query.where:
        if condition.operator == "in":
            yield from condition.value
        else:
            yield condition.value
    if query.after is not None:
        for name in query.order:
            yield getattr(query.after, name.removeprefix("-"))


def _build(query: Query[Any], using: str, columns: Sequence[str]) -> Built:
    table = TABLES[query.record]
    number = 0

    def place(name: str) -> Place:
        nonlocal number
        number += 1
        return Place(number - 1, field_of(table, name))

    where = []
    for condition in query.where:
        value: Any = place(condition.field)
        if condition.value == "":  # which conditions say in other words
            value = ""
        if condition.operator == "in":
            value = [value, *(place(condition.field) for _ in condition.value[1:])]
        where.append(Condition(condition.field, condition.operator, value))
    after: Any = query.after
    if after is not None:
        after = replace(after, **{name: place(name) for name in (each.removeprefix("-") for each in query.order)})
    placed: Query[Any] = replace(query, where=tuple(where), after=after)
    sql, parameters, converted = selecting(selected(placed, using), columns)
    given = range(number, number + len(_slice(query, connections[using])))
    ends = [Place(at, BigIntegerField()) for at in given]
    return sql + _slice_sql(query, connections[using]), [*parameters, *ends], converted


def _slice_sql(query: Query[Any], connection: Any) -> str:
    """The end of a statement, whose parameters are what `_slice` gives.

    PostgreSQL must not know how many rows are wanted as it plans. Where it thinks that there are fewer, as of a table
    without statistics, or of the one long session among short ones, it would read all there are and sort them; not
    knowing, it walks an index that has their order.
    """
    value = "(SELECT %s::bigint)" if connection.vendor == "postgresql" else "%s"
    return "".join(f" {word} {value}" for word, _ in zip(("LIMIT", "OFFSET"), _slice(query, connection), strict=False))


def _slice(query: Query[Any], connection: Any) -> list[Any]:
    """The limit, and an offset where there is one."""
    if query.limit is None and not query.offset:
        return []
    limit = connection.ops.no_limit_value() if query.limit is None else query.limit
    return [limit, query.offset] if query.offset else [limit]
