"""Pages that are bounded in bytes as well as in rows, so that large rows don't fill the memory of who reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, Protocol, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import BigIntegerField, F, Model, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Length
from django.db.models.lookups import LessThanOrEqual
from django.db.models.query import QuerySet

from ..compat.queries import (
    Fetch,
    converted_of,
    each_once,
    fetch_values,
    read_all,
    selected,
    selecting,
    statement,
)
from ..distributed.state import is_distributed
from ..fields import JSONTextField, MetadataField
from ..keyset import After
from ..transactions import attempt
from .kept import Built, Rows

R = TypeVar("R", bound=Any)

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


class Source(Protocol[R]):
    """What gives something for each row of a model; a `Table` gives records."""

    @property
    def model(self) -> type[Model]: ...

    @property
    def columns(self) -> tuple[Any, ...]:
        """What of the model it is made of: names of fields, or expressions over them."""

    def fetch(self, rows: Any, fetch: Fetch = ..., using: str = ...) -> list[R]:
        """As `Table.fetch`."""

    def values(self, found: R) -> Mapping[str, Any]:
        """What the model's fields hold for this."""


class Columns:
    """A source of what some columns hold, or expressions over them, as tuples."""

    def __init__(self, model: type[Model], *columns: Any) -> None:
        self.model = model
        self.columns = columns

    def fetch(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[tuple[Any, ...]]:
        return list(fetch(rows, self.columns))

    def values(self, found: tuple[Any, ...]) -> Mapping[str, Any]:
        return dict(zip(self.columns, found, strict=True))


def fetch_page(
    table: Source[R],
    rows: QuerySet[Any] | Rows,
    order: Sequence[str],
    size: int,
    most: int | None = None,
    little: int = LITTLE,
) -> tuple[list[R], bool]:
    """The first records of `rows`, and whether there are more.

    Args:
        order: model fields that are unique together, all ascending, or with a leading "-" all descending.
        size: how many, at most; fewer where they are large, but one at least.
        most: characters after which the page ends, instead of `MAX_PAGE`.
        little: characters that may be read without `before_much`.
    """
    rows = Rows.of(rows)
    most = MAX_PAGE if most is None else most
    page = _fetch_little(table, rows, tuple(order), size, min(most, little))
    if page is not None:
        return page
    much_follows()
    large = _ordered(rows.queryset, order)
    found = table.fetch(_within_bounds(table, large, order, size + 1, most))
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


def much_follows() -> None:
    """More is read than many may hold at once."""
    _BEFORE_MUCH.get()()


def fetch_row(table: Source[R], row: QuerySet[Any] | Rows) -> R | None:
    """The one row as a record, or None."""
    row = Rows.of(row)

    def little(rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(LessThanOrEqual(_width(table, rows.db), LITTLE))

    def fetch(row: Rows, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        return row.fetch("little", lambda rows: selecting(little(rows), columns))

    found = table.fetch(row, fetch, row.using)
    if not found and row.queryset.exists():
        much_follows()
        found = table.fetch(row.queryset)
    return found[0] if found else None


def _fetch_little(
    table: Source[R], rows: Rows, order: tuple[str, ...], size: int, most: int
) -> tuple[list[R], bool] | None:
    """The page of `fetch_page`; None where it would hold more than so many characters."""
    # SQLite gives one row after the other, where others give all at once.
    one_by_one = connections[rows.using].vendor == "sqlite" and "state" not in table.columns
    more = False

    def fetch(rows: Rows, columns: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        def build(some: QuerySet[Any]) -> Built:
            some = _ordered(some, order)
            return selecting(some[: size + 1], columns) if one_by_one else _within(table, some, size + 1, most)

        def read(cursor: Any) -> list[tuple[Any, ...]]:
            nonlocal more
            wide = _wide_places(table.model, table.columns)
            found = _read_little(most, wide, cursor) if one_by_one else read_all(cursor)
            more = len(found) > size
            return found[:size]  # what the last one holds is not even parsed

        return rows.fetch((order, size, most), build, read)

    try:
        found = table.fetch(rows, fetch, rows.using)
    except _TooMuch:
        return None
    if not (found or one_by_one):
        there = rows.fetch((order, "there"), lambda some: selecting(_ordered(some, order)[:1], ["pk"]))
        return None if any(there) else (found, False)
    return found, more


def _within(table: Source[Any], rows: QuerySet[Any], count: int, most: int) -> Built:
    """The statement that selects columns of the first rows, unless these hold more than so many characters.

    The statement that adds these up differs in what it selects, and has no such condition. Django makes the text of
    both at once: another would take as long as the database does for fifty rows.

    Raises:
        EmptyResultSet: no row can match, and so there is none.
    """
    first = rows.filter(LessThanOrEqual(_TOTAL, most)).annotate(width=_width(table, rows.db)).values("width")[:count]
    sql, parameters = statement(first)
    connection = connections[rows.db]
    if connection.vendor == "postgresql" and not is_distributed(connection):
        # Not knowing how many are wanted it walks an index in their order, with statistics and without. Citus must.
        sql = sql.removesuffix(f" LIMIT {count}") + f" LIMIT (SELECT {count})"
    selected_columns, expressions = _columns_sql(table.model, table.columns, connection.vendor, rows.db)
    _, _, source = sql.partition(" FROM ")
    total = f"SELECT COALESCE(SUM(width), 0) FROM ({sql.replace(_TOTAL.sql, '0')}) AS first"
    *others, _ = parameters
    within = f"SELECT {selected_columns} FROM {source.replace(_TOTAL.sql, total)}"
    return within, (*others, *parameters, most), converted_of(rows, expressions)


def fetch_first(table: Source[R], rows: QuerySet[Any], ids: Sequence[str]) -> list[R]:
    """The records of the first of these ids, in their order, up to the one with which they get too large."""
    widths = dict(rows.filter(pk__in=ids).annotate(width=_width(table, rows.db)).values_list("pk", "width"))
    taken, total = [], 0
    for id in ids:
        if total >= MAX_PAGE:
            break
        taken.append(id)
        total += widths.get(id, 0)
    found = {record.id: record for record in table.fetch(rows.filter(pk__in=taken))}
    return [found[id] for id in taken if id in found]


class _Width(Length):
    """About how many characters a column holds, of JSON as text.

    PostgreSQL tells the length of what it has not compressed without reading it, and so of most rows in no time.
    """

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        column, _ = compiler.compile(self.source_expressions[0])
        return (
            f"CASE WHEN pg_column_compression({column}) IS NULL THEN pg_column_size({column})"
            f" ELSE length({column}::text) END"
        ), ()


class _TooMuch(Exception):
    """Rows hold more characters than may be read."""


def _read_little(most: int, wide: Sequence[int], cursor: Any) -> list[tuple[Any, ...]]:
    found = []
    for row in cursor:
        for place in wide:
            if type(value := row[place]) is str:
                most -= len(value)
        if most < 0:
            raise _TooMuch
        found.append(row)
    return found


def _width(table: Source[Any], using: str) -> RawSQL:
    """How many characters of a row's wide columns are read."""
    sql = _width_sql(table.model, table.columns, connections[using].vendor, using)
    return RawSQL(sql, (), BigIntegerField())  # noqa: S611 - Django's own text


# Made once, as that takes longer than most of the statements that they are part of.


@cache
def _width_sql(model: type[Model], columns: tuple[Any, ...], vendor: str, using: str) -> str:
    read = {name for column in columns for name in _read_by(column)}
    wide = [field.name for field in model._meta.concrete_fields if isinstance(field, _WIDE) and field.name in read]
    width: Any = sum((Coalesce(_Width(name), 0) for name in wide), Value(0))
    if "state" in read:  # of which most is in other rows
        width += Coalesce(F("state_size"), 0)
    sql, zeros, _ = selected(model._default_manager.using(using).annotate(width=width).values("width"))
    return sql % tuple(zeros)


def _read_by(column: Any) -> Iterator[str]:
    """The names of the model's fields that a column is, or that an expression is over."""
    if isinstance(column, str):
        yield column
    else:
        yield from (each.name for each in column.flatten() if hasattr(each, "name"))


@cache
def _wide_places(model: type[Model], columns: tuple[Any, ...]) -> list[int]:
    """Where those of the columns stand that may hold much, as expressions may that are over such, or over none."""
    narrow = {field.name for field in model._meta.concrete_fields if not isinstance(field, _WIDE)}
    read = [set(_read_by(column)) for column in columns]
    return [place for place, names in enumerate(read) if not names or not names <= narrow]


@cache
def _columns_sql(model: type[Model], columns: tuple[str, ...], vendor: str, using: str) -> tuple[str, Sequence[Any]]:
    """The columns as a statement selects them, and as expressions."""
    sql, _, expressions = selected(model._default_manager.using(using).values_list(*columns))
    return sql, expressions


def _within_bounds(
    table: Source[Any], rows: QuerySet[Any], order: Sequence[str], size: int, most: int
) -> QuerySet[Any]:
    """The first rows, up to the one with which they get too large: in one statement, which looks at no other."""
    places = {f"place{number}": F(name.removeprefix("-")) for number, name in enumerate(order)}
    first = rows.annotate(width=_width(table, rows.db), **places).values("pk", "width", *places)[:size]
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


def rows_after(table: Source[R], rows: QuerySet[Any], order: Sequence[str], after: R) -> QuerySet[Any]:
    """Those of the rows that come after a record."""
    columns = [name.removeprefix("-") for name in order]
    position = table.values(after)
    values = [position[column] for column in columns]
    return rows.filter(After(columns, values, "lt" if order[0].startswith("-") else "gt"))


def iterate(
    table: Source[R],
    rows: QuerySet[Any] | Rows,
    *order: str,
    after: R | None = None,
    most: int | None = None,
    first: int | None = None,
) -> Iterator[R]:
    """The records of `rows`, by pages, as `pages` takes them."""
    for page in pages(table, rows, *order, after=after, most=most, first=first):
        yield from page
        del page  # before the next one is there


def pages(
    table: Source[R],
    rows: QuerySet[Any] | Rows,
    *order: str,
    after: R | None = None,
    most: int | None = None,
    first: int | None = None,
    size: int | None = None,
) -> Iterator[list[R]]:
    """The records of `rows`, a page after the other.

    Args:
        order: as `fetch_page` takes it.
        after: the record to begin after.
        most: characters after which a page ends, instead of `MAX_PAGE`.
        first: how many the caller takes, as far as it knows: the first page has no more.
        size: rows of a page, at most; 500 unless said otherwise.
    """
    rows = Rows.of(rows)
    largest = _PAGE if size is None else size
    size, most = largest if first is None else min(first, largest), MAX_PAGE if most is None else most
    while True:
        following = rows if after is None else Rows.of(rows_after(table, rows.queryset, order, after))
        # Page by page, so that a walk whose connection is lost goes on where it is.
        page, more = attempt(rows.using, partial(fetch_page, table, following, order, size, most, little=most))
        # After a page that ended early, a database looks no further than it may have to.
        after, size = page[-1] if page else None, min(2 * len(page), largest)
        yield page
        del page  # before the next one is there
        if not more:
            return
