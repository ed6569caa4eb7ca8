"""The statements of queries, which are kept by the queries' shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from django.db import connections
from django.db.models import BigIntegerField
from django.db.models.query import QuerySet

from ...compat.queries import fetch_values, selecting
from ...distributed.state import is_distributed
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
    table, rows = TABLES[query.record], rows_of(query, using)
    if query.after is not None:
        rows = rows_after(table, rows, query.order, query.after)
    ids = {"id": table.id, "-id": f"-{table.id}"}  # where ids are unique within a session, a row's own `id` is another
    return rows.order_by(*(ids.get(each, each) for each in query.order))


def fetch_selected(using: str, query: Query[Any], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """What columns hold of the rows that a query selects, in its order."""
    shape = _shape(query)
    if shape is None:
        end = None if query.limit is None else query.offset + query.limit
        return fetch_values(selected(query, using)[query.offset : end], columns)
    connection = connections[using]
    values = [*_values(query), *_slice(query, connection)]
    return fetch_kept(connection, shape, values, lambda: _build(query, using, columns))


def count_selected(using: str, query: Query[Any]) -> int:
    """How many rows fulfil a query's conditions."""
    shape = _shape(query)
    if shape is None:
        return rows_of(query, using).count()

    def build() -> Built:
        sql, parameters, _ = selecting(rows_of(_placed(query), using).order_by(), ["pk"])
        return f"SELECT COUNT(*) FROM ({sql}) AS counted", parameters, ()

    found = list(fetch_kept(connections[using], ("count", shape), list(_values(query)), build))
    return int(found[0][0]) if found else 0


def _shape(query: Query[Any]) -> Any:
    """What the text of a query's statement depends on; None where there are too many to keep them."""
    conditions = []
    for field, operator, value in query.where:
        count = len(value) if operator == "in" else 1
        if operator not in _PLAIN or not 0 < count <= FEW:
            return None
        conditions.append((field, operator, count, value == ""))
    page = (query.after is None, query.limit is None, not query.offset)
    return query.record, query.fields, query.deleted, *conditions, query.order, *page


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
    sql, parameters, converted = selecting(selected(_placed(query), using), columns)
    number = sum(1 for _ in _values(query))
    given = range(number, number + len(_slice(query, connections[using])))
    ends = [Place(at, BigIntegerField()) for at in given]
    return sql + _slice_sql(query, connections[using]), [*parameters, *ends], converted


def _placed(query: Query[Any]) -> Query[Any]:
    """The query with places for its values."""
    table, numbers = TABLES[query.record], count()

    def place(name: str) -> Place:
        return Place(next(numbers), field_of(table, name))

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
    return replace(query, where=tuple(where), after=after)


def _slice_sql(query: Query[Any], connection: Any) -> str:
    """The end of a statement, whose parameters are what `_slice` gives.

    PostgreSQL must not know how many rows are wanted as it plans. Where it thinks that there are fewer, as of a table
    without statistics, or of the one long session among short ones, it would read all there are and sort them; not
    knowing, it walks an index that has their order. Citus must know.
    """
    is_unknown = connection.vendor == "postgresql" and not is_distributed(connection)
    value = "(SELECT %s::bigint)" if is_unknown else "%s"
    return "".join(f" {word} {value}" for word, _ in zip(("LIMIT", "OFFSET"), _slice(query, connection), strict=False))


def _slice(query: Query[Any], connection: Any) -> list[Any]:
    """The limit, and an offset where there is one."""
    if query.limit is None and not query.offset:
        return []
    limit = connection.ops.no_limit_value() if query.limit is None else query.limit
    return [limit, query.offset] if query.offset else [limit]
