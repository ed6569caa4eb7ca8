"""Of querysets, their statements and what these give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.constants import OnConflict
from django.db.models.expressions import Col
from django.db.models.query import QuerySet
from django.db.models.sql import InsertQuery, Query, UpdateQuery

M = TypeVar("M", bound=models.Model)


def statement(rows: QuerySet[Any]) -> tuple[str, Sequence[Any]]:
    """The text of a queryset's statement and its parameters.

    Raises:
        EmptyResultSet: no row can match, and so there is none.
    """
    sql, parameters = rows.query.get_compiler(using=rows.db).as_sql()
    return sql, parameters


def each_once(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The same rows by a statement that neither groups them nor drops repeats."""
    if not rows.query.distinct and rows.query.group_by is None:
        return rows
    once: QuerySet[Any] = rows.model._default_manager.using(rows.db).filter(pk__in=rows.order_by().values("pk"))
    return once


def expression_sql(using: str, model: type[models.Model], expression: Any) -> str:
    """The text of an expression over a model's columns, which have no table's name before them."""
    query = Query(model, alias_cols=False)
    return str(query.get_compiler(using).compile(expression.resolve_expression(query))[0])


def selected(rows: QuerySet[Any]) -> tuple[str, Sequence[Any], Sequence[Any]]:
    """The text of the expressions that a queryset's statement selects, their parameters, and the expressions."""
    compiler = rows.query.get_compiler(using=rows.db)
    compiler.setup_query()
    expressions, texts, _ = zip(*compiler.select, strict=True)
    return ", ".join(sql for sql, _ in texts), [each for _, parameters in texts for each in parameters], expressions


def is_for_update(rows: QuerySet[Any]) -> bool:
    """Whether a queryset locks its rows as it reads them."""
    return rows.query.select_for_update


#: Positions of columns whose values are converted, each with what gives them all, on a connection.
Converted = Sequence[tuple[int, Callable[[Sequence[Any], Any], Sequence[Any]]]]
#: Gives the rows of a cursor.
Read = Callable[[Any], list[tuple[Any, ...]]]
#: Gives what columns hold of the rows of something, most often a queryset.
Fetch = Callable[[Any, Sequence[str]], Iterator[tuple[Any, ...]]]


def read_all(cursor: Any) -> list[tuple[Any, ...]]:
    """All that are left."""
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def fetch_values(rows: QuerySet[Any], columns: Sequence[str], read: Read = read_all) -> Iterator[tuple[Any, ...]]:
    """What columns hold, as ``rows.values_list(*columns)`` gives it, in half the time."""
    try:
        sql, parameters, converted = selecting(rows, columns)
    except EmptyResultSet:
        return iter(())
    return fetch_statement(connections[rows.db], sql, parameters, converted, read)


def selecting(rows: QuerySet[Any], columns: Sequence[str]) -> tuple[str, Sequence[Any], Converted]:
    """The statement that selects columns of a queryset's rows, its parameters, and which of its values are converted.

    Raises:
        EmptyResultSet: no row can match, and so there is none.
    """
    compiler = rows.values_list(*columns).query.get_compiler(using=rows.db)
    sql, parameters = compiler.as_sql()
    return sql, parameters, converted_of(rows, [each[0] for each in compiler.select])


def converted_of(rows: QuerySet[Any], expressions: Sequence[Any]) -> Converted:
    """Which of its values are converted, of a statement that selects these expressions where the queryset is."""
    found = rows.query.get_compiler(rows.db).get_converters(expressions)
    ops = connections[rows.db].ops
    return [(position, _conversion(ops, expression)) for position, (_, expression) in found.items()]


def _conversion(ops: Any, expression: Any) -> Callable[[Sequence[Any], Any], Sequence[Any]]:
    """Gives the values of a column as Django's converters do, or all at once by the field's `from_db_column`."""
    whole = getattr(expression.output_field, "from_db_column", None) if isinstance(expression, Col) else None
    if whole is not None and not ops.get_db_converters(expression):
        return lambda values, connection: whole(values)

    def convert(values: Sequence[Any], connection: Any) -> Sequence[Any]:
        converters = connection.ops.get_db_converters(expression)  # which are this connection's
        if whole is None:
            converters = [*converters, *expression.get_db_converters(connection)]
        for each in converters:
            values = [each(value, expression, connection) for value in values]
        return values if whole is None else whole(values)

    return convert


def fetch_statement(
    connection: BaseDatabaseWrapper,
    sql: str,
    parameters: Sequence[Any],
    converted: Converted,
    read: Read = read_all,
    cursor_of: Callable[[Any], Any] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """What a statement selects.

    Django's converters are the same, but are called a column at a time, not row by row, and PostgreSQL's times come as
    ISO 8601, which Python reads six times as fast as Django's loader does; a field must take them.

    Args:
        cursor_of: gives a cursor whose times come as text, as `cursor_with_texts` does, which is taken otherwise.
    """
    with (cursor_of or cursor_with_texts)(connection) as cursor:
        cursor.execute(sql, parameters)
        rows = read(cursor)
    if not (rows and converted):
        return iter(rows)
    found: list[Any] = list(zip(*rows, strict=True))
    for position, convert in converted:
        found[position] = convert(found[position], connection)
    return zip(*found, strict=True)


def cursor_with_texts(connection: BaseDatabaseWrapper) -> Any:
    """A cursor of Django's whose times come as text, where the driver lets that be said."""
    cursor = connection.cursor()
    if connection.vendor == "postgresql":
        take_times_as_text(cursor)
    return cursor


def take_times_as_text(cursor: Any) -> None:
    """Have times come as text from a cursor on PostgreSQL."""
    if loader := _text_loader():
        cursor.adapters.register_loader("timestamptz", loader)


@cache
def _text_loader() -> Any:
    """The driver's loader of what comes as text; None for psycopg 2, which has none."""
    from django.db.backends.postgresql import psycopg_any  # it needs the driver

    return psycopg_any.TextLoader if psycopg_any.is_psycopg3 else None


def can_return_inserted(connection: BaseDatabaseWrapper) -> bool:
    """Whether an INSERT, or what takes its place where a key is there already, can give the rows as they are then."""
    return connection.features.can_return_rows_from_bulk_insert


def can_return_updated(connection: BaseDatabaseWrapper) -> bool:
    """The same of an UPDATE, which MariaDB does not have."""
    return connection.vendor != "mysql" and can_return_inserted(connection)


def updating(
    rows: QuerySet[Any], columns: Sequence[str], changes: Mapping[str, Any]
) -> tuple[str, Sequence[Any], Converted]:
    """The statement that updates rows, as ``rows.update(**changes)`` does, and selects columns of them, if any; its
    parameters, and which of the values that it selects are converted.
    """
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(changes)
    sql, parameters = query.get_compiler(rows.db).as_sql()
    if not columns:
        return sql, parameters, ()
    returning, converted = _returning(rows, columns)
    return sql + returning, parameters, converted


def upserting(
    rows: QuerySet[Any], columns: Sequence[str], new: Sequence[models.Model], update_fields: Sequence[str], key: str
) -> tuple[str, Sequence[Any], Converted]:
    """The statement that inserts rows, or updates what has their key, as `bulk_create` does, and selects columns of
    them; its parameters, and which of the values that it selects are converted.
    """
    meta = rows.model._meta
    query = InsertQuery(
        rows.model,
        on_conflict=OnConflict.UPDATE,
        update_fields=[meta.get_field(name) for name in update_fields],
        unique_fields=[meta.get_field(key)],
    )
    query.insert_values(meta.concrete_fields, list(new))
    ((sql, parameters),) = query.get_compiler(rows.db).as_sql()
    returning, converted = _returning(rows, columns)
    return sql + returning, parameters, converted


def _returning(rows: QuerySet[Any], columns: Sequence[str]) -> tuple[str, Converted]:
    returned, _, expressions = selected(rows.order_by().values_list(*columns))
    return f" RETURNING {returned}", converted_of(rows, expressions)


def for_writing(rows: QuerySet[M]) -> QuerySet[M]:
    """The rows where a write would go: on the alias that was chosen, or else the routers' for writing."""
    found: Any = rows.all()
    found._for_write = True
    chosen: QuerySet[M] = found.using(found.db)
    return chosen


def delete_unseen(rows: QuerySet[Any], using: str) -> int:
    """Delete rows in one statement, without looking at them: no signal is sent, and nothing cascades."""
    return QuerySet._raw_delete(rows, using) or 0
