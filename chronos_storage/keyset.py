"""Where the next page begins: after the last row of the one before, at its place in the order's index."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, DateTimeField, Expression, F, Field, Func, IntegerField, Lookup, Value

from . import codec

_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class After(Lookup):
    """A condition for `filter`: rows after these values, in an order of columns that are unique together.

    It is a comparison of rows, ``(a, b) > (x, y)``, for which PostgreSQL and SQLite go to one place in an index of
    these columns. MariaDB and MySQL do so only where it is spelled out, for which PostgreSQL reads all rows with the
    first column's value once more.

    Args:
        comparison: ``gt`` where the order ascends, ``lt`` where it descends; ``gte`` or ``lte`` with the row itself.
    """

    prepare_rhs = False

    def __init__(self, columns: Sequence[str], values: Sequence[Any], comparison: str) -> None:
        # Both on the right, as two that differ in either are not the same.
        super().__init__(Func(*map(F, columns), output_field=BooleanField()), (comparison, *values))

    @property
    def comparison(self) -> str:
        """As it was given."""
        return str(self.rhs[0])

    def get_source_expressions(self) -> list[Any]:
        # Column by column: one that is a window is put in its place by itself.
        columns: list[Any] = self.lhs.get_source_expressions()
        return columns

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        self.lhs = copy(self.lhs)
        self.lhs.set_source_expressions(exprs)

    def _compiled(self, compiler: Any) -> list[tuple[str, str, Any]]:
        """Each column and its value in SQL, with the value as its parameter."""
        pairs = []
        for column, value in zip(self.lhs.get_source_expressions(), self.rhs[1:], strict=True):
            sql, _ = compiler.compile(column)
            given = value if isinstance(value, Expression) else Value(value, output_field=column.output_field)
            value_sql, parameters = compiler.compile(given)
            pairs.append((sql, value_sql, tuple(parameters)))
        return pairs

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        columns, values, parameters = zip(*self._compiled(compiler), strict=True)
        row = f"({', '.join(columns)}) {_OPERATORS[self.comparison]} ({', '.join(values)})"
        return row, sum(parameters, ())

    def as_mysql(self, compiler: Any, connection: Any) -> Any:
        *firsts, (column, value, parameters) = self._compiled(compiler)
        sql = f"{column} {_OPERATORS[self.comparison]} {value}"
        strict = _OPERATORS[self.comparison[:2]]
        for column, value, given in reversed(firsts):
            sql = f"({column} {strict} {value} OR ({column} = {value} AND {sql}))"
            parameters = (*given, *given, *parameters)
        return sql, parameters


def to_json(position: Iterable[Any]) -> list[Any]:
    """A position, which is the values of an order's columns, as JSON takes it."""
    return [value.isoformat() if isinstance(value, datetime) else value for value in position]


def from_json(columns: Sequence[Field[Any, Any]], position: Any) -> tuple[Any, ...]:
    """The position that `to_json` gave the values of, whoever may have changed them meanwhile.

    Raises:
        ValueError: it is no position in an order of these columns.
    """
    if not isinstance(position, list):
        raise ValueError("a position is a list")
    return tuple(_value(column, value) for column, value in zip(columns, position, strict=True))


def _value(column: Field[Any, Any], value: Any) -> Any:
    if isinstance(column, DateTimeField):
        return codec.timestamp(datetime.fromisoformat(codec.string(value, column.name)), column.name)
    if isinstance(column, IntegerField):
        return codec.integer(value, column.name)
    return codec.string(value, column.name)
