"""The statements of queries, which are kept by the queries' shapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

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
    """The rows that a query selects."""
    rows = rows_of(query, using)
    if query.after is not None:
        rows = rows_after(TABLES[query.record], rows, query.order, query.after)
    end = None if query.limit is None else query.offset + query.limit
    return rows.order_by(*query.order)[query.offset : end]


def fetch_selected(using: str, query: Query[Any], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """What columns hold of the rows that a query selects, in its order."""
    shape = _shape(query)
    if shape is None:
        return fetch_values(selected(query, using), columns)
    return fetch_kept(using, shape, list(_values(query)), lambda: _build(query, using, columns))


def _shape(query: Query[Any]) -> Any:
    """What the text of a query's statement depends on; None where there are too many to keep them."""
    conditions = []
    for field, operator, value in query.where:
        count = len(value) if operator == "in" else 1
        if operator not in _PLAIN or not 0 < count <= FEW:
            return None
        conditions.append((field, operator, count))
    return query.record, query.deleted, *conditions, query.order, query.after is None, query.limit, query.offset


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
        if condition.operator == "in":
            value = [value, *(place(condition.field) for _ in condition.value[1:])]
        where.append(Condition(condition.field, condition.operator, value))
    after: Any = query.after
    if after is not None:
        after = replace(after, **{name: place(name) for name in (each.removeprefix("-") for each in query.order)})
    placed: Query[Any] = replace(query, where=tuple(where), after=after)
    return selecting(selected(placed, using), columns)
