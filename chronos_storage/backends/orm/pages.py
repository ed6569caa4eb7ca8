"""Pages that are bounded in bytes as well as in rows, so that large rows don't fill the memory of who reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import BigIntegerField, F, Model, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Coalesce, Length
from django.db.models.lookups import LessThanOrEqual
from django.db.models.query import QuerySet

from ... import records
from ...compat.queries import converters_of, each_once, fetch_statement, fetch_values, selected, statement
from ...fields import JSONTextField, MetadataField
from ...keyset import After
from ...ledger.mapping import Table
from ...transactions import attempt

R = TypeVar("R", bound=records.Record)

#: Characters after which a page ends: it has at most these and one row more.
MAX_PAGE = 4 * 1024 * 1024
#: Characters that many may hold at once.
LITTLE = 256 * 1024
_BEFORE_MUCH: ContextVar[Callable[[], object]] = ContextVar("before_much", default=lambda: None)

#: Rows of a page of `iterate`, at most.
_PAGE = 500
#: Stands for the characters that all rows of a page hold, until there is a statement that adds them up.
_TOTAL = RawSQL("chronos_total_width", (), BigIntegerField())
_WIDE = (JSONTextField, MetadataField, TextField)


def fetch_page(
    table: Table[R], rows: QuerySet[Any], order: Sequence[str], size: int, most: int | None = None
) -> tuple[list[R], bool]:
    """The first records of `rows`, and whether there are more.

    Args:
        order: model fields that are unique together, all ascending, or with a leading "-" all descending.
        size: how many, at most; fewer where they are large, but one at least.
        most: characters after which the page ends, instead of `MAX_PAGE`.
    """
    rows = each_once(rows).order_by(*order)
    most = MAX_PAGE if most is None else most
    found = _fetch_little(table, rows, size + 1, min(most, LITTLE))
    if found is not None:
        return found[:size], len(found) > size
    _BEFORE_MUCH.get()()
    found = table.fetch(_within_bounds(rows, order, size + 1, most))
    if len(found) > size:
        return found[:size], True
    # In their order, so that it is looked for in the same index; `exists` has none.
    return found, bool(found and rows_after(table, rows, order, found[-1]).values_list("pk")[:1])


@contextmanager
def before_much(call: Callable[[], object]) -> Iterator[None]:
    """Within the block, have `call` called before more is read than many may hold at once; it may refuse to."""
    before = _BEFORE_MUCH.set(call)
    try:
        yield
    finally:
        _BEFORE_MUCH.reset(before)


def fetch_row(table: Table[R], row: QuerySet[Any]) -> R | None:
    """The one row as a record, or None."""
    found = table.fetch(row.filter(LessThanOrEqual(_width(table.model, row.db), LITTLE)))
    if not found and row.exists():
        _BEFORE_MUCH.get()()
        found = table.fetch(row)
    return found[0] if found else None


def _fetch_little(table: Table[R], rows: QuerySet[Any], count: int, most: int) -> list[R] | None:
    """The first records of `rows`, so many; None where they hold more than so many characters."""
    # SQLite gives one row after the other, where others give all at once.
    if connections[rows.db].vendor == "sqlite" and not _kept_elsewhere(table.model):
        try:
            return table.fetch(rows[:count], partial(fetch_values, read=partial(_read_little, most)))
        except _TooMuch:
            return None
    found = table.fetch(rows.filter(LessThanOrEqual(_TOTAL, most))[:count], _fetch_within)
    return found if found or not rows.values_list("pk")[:1] else None


def _fetch_within(rows: QuerySet[Any], columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """What columns hold of rows whose last condition is on `_TOTAL`, the characters that all of them hold.

    The statement that adds these up differs in what it selects, and has no such condition. Django makes the text of
    both at once: another would take as long as the database does for fifty rows.
    """
    model: type[Model] = rows.model
    try:
        sql, parameters = statement(rows.annotate(width=_width(model, rows.db)).values("width"))
    except EmptyResultSet:  # a filter that nothing can match
        return iter(())
    selected_columns, expressions = _columns_sql(model, tuple(columns), connections[rows.db].vendor, rows.db)
    _, _, source = sql.partition(" FROM ")
    total = f"SELECT COALESCE(SUM(width), 0) FROM ({sql.replace(_TOTAL.sql, '0')}) AS first"
    within = f"SELECT {selected_columns} FROM {source.replace(_TOTAL.sql, total)}"
    *others, most = parameters
    return fetch_statement(connections[rows.db], within, (*others, *parameters, most), converters_of(rows, expressions))


def fetch_first(table: Table[R], rows: QuerySet[Any], ids: Sequence[str]) -> list[R]:
    """The records of the first of these ids, in their order, up to the one with which they get too large."""
    widths = dict(rows.filter(pk__in=ids).annotate(width=_width(table.model, rows.db)).values_list("pk", "width"))
    taken, total = [], 0
    for id in ids:
        if total >= MAX_PAGE:
            break
        taken.append(id)
        total += widths.get(id, 0)
    found = {record.id: record for record in table.fetch(rows.filter(pk__in=taken))}
    return [found[id] for id in taken if id in found]


class _TooMuch(Exception):
    """Rows hold more characters than may be read."""


def _read_little(most: int, cursor: Any) -> list[tuple[Any, ...]]:
    found = []
    for row in cursor:
        most -= sum(len(value) for value in row if type(value) is str)
        if most < 0:
            raise _TooMuch
        found.append(row)
    return found


def _width(model: type[Model], using: str) -> RawSQL:
    """How many characters a row's wide columns hold."""
    return RawSQL(_width_sql(model, connections[using].vendor, using), (), BigIntegerField())  # noqa: S611 - Django's own text


def _kept_elsewhere(model: type[Model]) -> list[str]:
    """The columns that say how many characters of a row's record are kept in other rows."""
    return [field.name for field in model._meta.concrete_fields if field.name == "state_size"]


# Made once, as that takes longer than most of the statements that they are part of.


@cache
def _width_sql(model: type[Model], vendor: str, using: str) -> str:
    wide = [field.name for field in model._meta.concrete_fields if isinstance(field, _WIDE)]
    width = sum((Coalesce(Length(Cast(name, TextField())), 0) for name in wide), Value(0))
    width = sum((Coalesce(F(name), 0) for name in _kept_elsewhere(model)), width)
    sql, zeros, _ = selected(model._default_manager.using(using).annotate(width=width).values("width"))
    return sql % tuple(zeros)


@cache
def _columns_sql(model: type[Model], columns: tuple[str, ...], vendor: str, using: str) -> tuple[str, Sequence[Any]]:
    """The columns as a statement selects them, and as expressions."""
    sql, _, expressions = selected(model._default_manager.using(using).values_list(*columns))
    return sql, expressions


def _within_bounds(rows: QuerySet[Any], order: Sequence[str], size: int, most: int) -> QuerySet[Any]:
    """The first rows, up to the one with which they get too large: in one statement, which looks at no other."""
    places = {f"place{number}": F(name.removeprefix("-")) for number, name in enumerate(order)}
    first = rows.annotate(width=_width(rows.model, rows.db), **places).values("pk", "width", *places)[:size]
    try:
        sql, parameters = statement(first)
    except EmptyResultSet:  # a filter that nothing can match
        return rows.none()
    direction = "DESC" if order[0].startswith("-") else "ASC"
    places_in_order = ", ".join(f"{name} {direction}" for name in places)
    bounded = (
        f"SELECT pk FROM (SELECT pk, width, SUM(width) OVER (ORDER BY {places_in_order} ROWS UNBOUNDED PRECEDING)"
        f" AS total FROM ({sql}) AS first) AS sized WHERE total - width < %s"
    )
    pks = RawSQL(bounded, [*parameters, most])  # noqa: S611 - the names are our own, the values parameters
    found: QuerySet[Any] = rows.model._default_manager.using(rows.db).filter(pk__in=pks)
    return found.order_by(*order)


def rows_after(table: Table[R], rows: QuerySet[Any], order: Sequence[str], after: R) -> QuerySet[Any]:
    """Those of the rows that come after a record."""
    columns = [name.removeprefix("-") for name in order]
    position = table.values(after)
    values = [position[column] for column in columns]
    return rows.filter(After(columns, values, "lt" if order[0].startswith("-") else "gt"))


def iterate(table: Table[R], rows: QuerySet[Any], *order: str, after: R | None = None) -> Iterator[R]:
    """The records of `rows`, by pages of so many rows.

    Args:
        order: as `fetch_page` takes it.
        after: the record to begin after.
    """
    while True:
        following = rows if after is None else rows_after(table, rows, order, after)
        # Page by page, so that a walk whose connection is lost goes on where it is.
        page = attempt(rows.db, partial(table.fetch, following.order_by(*order)[:_PAGE]))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]
