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
from ...compat.queries import converted_of, each_once, read_all, selected, selecting, statement
from ...fields import JSONTextField, MetadataField
from ...keyset import After
from ...ledger.mapping import Table
from ...transactions import attempt
from .kept import Built, Rows

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
    table: Table[R], rows: QuerySet[Any] | Rows, order: Sequence[str], size: int, most: int | None = None
) -> tuple[list[R], bool]:
    """The first records of `rows`, and whether there are more.

    Args:
        order: model fields that are unique together, all ascending, or with a leading "-" all descending.
        size: how many, at most; fewer where they are large, but one at least.
        most: characters after which the page ends, instead of `MAX_PAGE`.
    """
    rows = Rows.of(rows)
    most = MAX_PAGE if most is None else most
    found = _fetch_little(table, rows, tuple(order), size + 1, min(most, LITTLE))
    if found is not None:
        return found[:size], len(found) > size
    _BEFORE_MUCH.get()()
    large = _ordered(rows.queryset, order)
    found = table.fetch(_within_bounds(large, order, size + 1, most))
    if len(found) > size:
        return found[:size], True
    # In their order, so that it is looked for in the same index; `exists` has none.
    return found, bool(found and rows_after(table, large, order, found[-1]).values_list("pk")[:1])


def _ordered(rows: QuerySet[Any], order: Sequence[str]) -> QuerySet[Any]:
    return each_once(rows).order_by(*order)


@contextmanager
def before_much(call: Callable[[], object]) -> Iterator[None]:
    """Within the block, have `call` called before more is read than many may hold at once; it may refuse to."""
    before = _BEFORE_MUCH.set(call)
    try:
        yield
    finally:
        _BEFORE_MUCH.reset(before)


def fetch_row(table: Table[R], row: QuerySet[Any] | Rows) -> R | None:
    """The one row as a record, or None."""
    row = Rows.of(row)

    def little(rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(LessThanOrEqual(_width(table.model, rows.db), LITTLE))

    def fetch(row: Rows, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        return row.fetch("little", lambda rows: selecting(little(rows), columns))

    found = table.fetch(row, fetch, row.using)
    if not found and row.queryset.exists():
        _BEFORE_MUCH.get()()
        found = table.fetch(row.queryset)
    return found[0] if found else None


def _fetch_little(table: Table[R], rows: Rows, order: tuple[str, ...], count: int, most: int) -> list[R] | None:
    """The first records of `rows`, so many; None where they hold more than so many characters."""
    # SQLite gives one row after the other, where others give all at once.
    one_by_one = connections[rows.using].vendor == "sqlite" and not _kept_elsewhere(table.model)

    def fetch(rows: Rows, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        def build(some: QuerySet[Any]) -> Built:
            some = _ordered(some, order)
            return selecting(some[:count], columns) if one_by_one else _within(some, columns, count, most)

        return rows.fetch((order, count, most), build, partial(_read_little, most) if one_by_one else read_all)

    try:
        found = table.fetch(rows, fetch, rows.using)
    except _TooMuch:
        return None
    if not (found or one_by_one):
        there = rows.fetch((order, "there"), lambda some: selecting(_ordered(some, order)[:1], ["pk"]))
        return None if any(there) else found
    return found


def _within(rows: QuerySet[Any], columns: Sequence[str], count: int, most: int) -> Built:
    """The statement that selects columns of the first rows, unless these hold more than so many characters.

    The statement that adds these up differs in what it selects, and has no such condition. Django makes the text of
    both at once: another would take as long as the database does for fifty rows.

    Raises:
        EmptyResultSet: no row can match, and so there is none.
    """
    model: type[Model] = rows.model
    first = rows.filter(LessThanOrEqual(_TOTAL, most)).annotate(width=_width(model, rows.db)).values("width")[:count]
    sql, parameters = statement(first)
    selected_columns, expressions = _columns_sql(model, tuple(columns), connections[rows.db].vendor, rows.db)
    _, _, source = sql.partition(" FROM ")
    total = f"SELECT COALESCE(SUM(width), 0) FROM ({sql.replace(_TOTAL.sql, '0')}) AS first"
    *others, _ = parameters
    within = f"SELECT {selected_columns} FROM {source.replace(_TOTAL.sql, total)}"
    return within, (*others, *parameters, most), converted_of(rows, expressions)


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
