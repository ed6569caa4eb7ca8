"""Statements that are built once for each shape and kept: building one takes longer than most reads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import BigIntegerField, CharField, DateTimeField, Expression, Field
from django.db.models.query import QuerySet

from ..compat.queries import Converted, Read, fetch_statement, read_all
from ..preparing import prepared_cursor
from ..transactions import attempt

#: The text of a statement, its parameters, and which of the values that it selects are converted.
Built: TypeAlias = tuple[str, Sequence[Any], Converted]

#: By alias, vendor and shape. They are no connection's: under ASGI each request has connections of its own.
KEPT: dict[tuple[str, str, Hashable], Built] = {}
#: How many are kept; and up to how many values that there may be any number of are a shape of their own.
MOST, FEW = 500, 10
_FIELDS: dict[type[Any], Field[Any, Any]] = {str: CharField(), int: BigIntegerField(), datetime: DateTimeField()}


class Place(Expression):
    """Stands in a statement for one of the values that are given with it."""

    def __init__(self, number: int, field: Field[Any, Any]) -> None:
        super().__init__(output_field=field)
        self.number = number
        #: Whether the driver takes its values, strings or whole numbers, as they are.
        self.is_plain = isinstance(field, CharField | BigIntegerField)

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return "%s", (self,)


def fetch_kept(
    connection: Any, shape: Hashable, values: Sequence[Any], build: Callable[[], Built], read: Read = read_all
) -> Iterator[tuple[Any, ...]]:
    """What the statement of a shape selects with these values.

    Args:
        connection: Django's.
        shape: all that the statement's text depends on.
        build: gives it, with places among its parameters; called where none is kept.
    """
    try:
        sql, given, converted = _filled(connection, shape, values, build)
    except EmptyResultSet:  # a filter that nothing can match
        return iter(())
    return fetch_statement(connection, sql, given, converted, read, prepared_cursor)


def execute_kept(connection: Any, shape: Hashable, values: Sequence[Any], build: Callable[[], Built]) -> None:
    """Execute the statement of a shape, which selects nothing, with these values; see `fetch_kept`."""
    sql, given, _ = _filled(connection, shape, values, build)
    with prepared_cursor(connection) as cursor:
        cursor.execute(sql, given)


def _filled(connection: Any, shape: Hashable, values: Sequence[Any], build: Callable[[], Built]) -> Built:
    """The statement of a shape with these values for its parameters."""
    key = (connection.alias, connection.vendor, shape)
    if (built := KEPT.get(key)) is None:
        built = build()
        if len(KEPT) >= MOST:
            KEPT.pop(list(KEPT)[0], None)  # noqa: RUF015 - in one step, as other threads do the same
        KEPT[key] = built
    sql, parameters, converted = built
    given = [
        each
        if not isinstance(each, Place)
        else values[each.number]
        if each.is_plain
        else each.output_field.get_db_prep_value(values[each.number], connection)
        for each in parameters
    ]
    return sql, given, converted


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a model, most often the same ones with other values.

    Attributes:
        using: the alias.
        make: gives them as a queryset, of values or of what stands for these.
        values: strings, whole numbers and times.
        shape: what the text of their statements depends on beside; None where they are not kept.
    """

    using: str
    make: Callable[..., QuerySet[Any]]
    values: tuple[Any, ...] = ()
    shape: Hashable = None

    @classmethod
    def of(cls, rows: QuerySet[Any] | Rows) -> Rows:
        """The rows of a queryset, whose statements are not kept."""
        return rows if isinstance(rows, Rows) else cls(rows.db, lambda: rows)

    @property
    def queryset(self) -> QuerySet[Any]:
        """They as a queryset."""
        return self.make(*self.values)

    def narrowed(self, name: Hashable, narrow: Callable[..., QuerySet[Any]], *values: Any) -> Rows:
        """Some of them.

        Args:
            name: what tells `narrow` from others.
            narrow: gives some rows of a queryset, by the values that it takes after it.
            values: no statement is kept for more than a few.
        """
        known = len(self.values)

        def make(*given: Any) -> QuerySet[Any]:
            return narrow(self.make(*given[:known]), *given[known:])

        shape = None if self.shape is None or len(values) > FEW else (self.shape, name, len(values))
        return Rows(self.using, make, (*self.values, *values), shape)

    def fetch(
        self, name: Hashable, build: Callable[[QuerySet[Any]], Built], read: Read = read_all
    ) -> Iterator[tuple[Any, ...]]:
        """What a statement selects of them.

        Args:
            name: what tells `build` from others.
            build: gives the statement.
        """
        if self.shape is None:
            try:
                sql, parameters, converted = build(self.queryset)
            except EmptyResultSet:
                return iter(())
            return fetch_statement(connections[self.using], sql, parameters, converted, read)

        def of_places() -> Built:
            return build(self.make(*(Place(at, _FIELDS[type(value)]) for at, value in enumerate(self.values))))

        return attempt(
            self.using,
            lambda: fetch_kept(connections[self.using], (self.shape, name), self.values, of_places, read),
        )
