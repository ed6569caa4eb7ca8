"""Statements that are built once for each shape of query and kept: building one takes longer than most reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Expression, Field
from django.db.models.query import QuerySet

from ...compat.queries import Converters, fetch_statement, fetch_values, kept, selecting
from ...ledger.mapping import TABLES
from ...preparing import prepared_cursor
from ...records import Record
from ..base import Condition, Query
from .conditions import field_of, rows_of
from .pages import rows_after

R = TypeVar("R", bound=Record)

#: The operators whose value stands in the statement once, as it is.
_PLAIN = frozenset({"=", "in", "<", "<=", ">", ">=", "unless past"})
#: Up to how many values an "in" is a shape of its own, and how many shapes are kept on a connection.
_FEW, _SHAPES = 10, 200


class _Place(Expression):
    """Stands in a statement for one of the query's values."""

    def __init__(self, number: int, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.number = number

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", (self,)


@dataclass(frozen=True, slots=True)
class _Statement:
    """The statement of all queries of a shape; its parameters are values, or places of the query's values."""

    sql: str
    parameters: Sequence[Any]
    converters: Converters

    def given(self, values: Sequence[Any], connection: Any) -> list[Any]:
        return [
            each.output_field.get_db_prep_value(values[each.number], connection) if isinstance(each, _Place) else each
            for each in self.parameters
        ]


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
    connection = connections[using]
    statements = kept(connection)
    if (statement := statements.get(shape)) is None:
        try:
            statement = _build(query, using, columns)
        except EmptyResultSet:  # a filter that nothing can match
            return iter(())
        if len(statements) >= _SHAPES:
            statements.pop(list(statements)[0], None)  # noqa: RUF015 - in one step: threads may share a connection
        statements[shape] = statement
    given = statement.given(list(_values(query)), connection)
    return fetch_statement(connection, statement.sql, given, statement.converters, cursor_of=prepared_cursor)


def _shape(query: Query[Any]) -> Any:
    """What the text of a query's statement depends on; None where there are too many to keep them."""
    conditions = []
    for field, operator, value in query.where:
        count = len(value) if operator == "in" else 1
        if operator not in _PLAIN or not 0 < count <= _FEW:
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


def _build(query: Query[Any], using: str, columns: Sequence[str]) -> _Statement:
    table = TABLES[query.record]
    number = 0

    def place(name: str) -> _Place:
        nonlocal number
        number += 1
        return _Place(number - 1, field_of(table, name))

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
    return _Statement(*selecting(selected(placed, using), columns))
