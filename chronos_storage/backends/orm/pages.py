"""Pages that are bounded in bytes as well as in rows, so that large rows don't fill the memory of who reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import F, Model, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Coalesce, Length
from django.db.models.query import QuerySet

from ... import records
from ...compat import statement
from ...fields import JSONTextField, MetadataField
from ...keyset import After
from ...ledger.mapping import Table
from ...transactions import attempt

R = TypeVar("R", bound=records.Record)

#: Characters after which a page ends: it has at most these and one row more.
MAX_PAGE = 4 * 1024 * 1024

#: Rows of a page of `iterate`, at most.
_PAGE = 500
_WIDE = (JSONTextField, MetadataField, TextField)


def fetch_page(table: Table[R], rows: QuerySet[Any], order: Sequence[str], size: int) -> tuple[list[R], bool]:
    """The first records of `rows`, and whether there are more.

    Args:
        order: model fields that are unique together, all ascending, or with a leading "-" all descending.
        size: how many, at most; fewer where they are large, but one at least.
    """
    rows = rows.order_by(*order)
    if not _wide(table.model):
        found = table.fetch(rows[: size + 1])
        return found[:size], len(found) > size
    found = table.fetch(_within_bounds(rows, order, size + 1))
    if len(found) > size:
        return found[:size], True
    # In their order, so that it is looked for in the same index; `exists` has none.
    return found, bool(found and rows_after(table, rows, order, found[-1]).values_list("pk")[:1])


def fetch_first(table: Table[R], rows: QuerySet[Any], ids: Sequence[str]) -> list[R]:
    """The records of the first of these ids, in their order, up to the one with which they get too large."""
    widths = dict(rows.filter(pk__in=ids).annotate(width=_width(table.model)).values_list("pk", "width"))
    taken, total = [], 0
    for id in ids:
        if total >= MAX_PAGE:
            break
        taken.append(id)
        total += widths.get(id, 0)
    found = {record.id: record for record in table.fetch(rows.filter(pk__in=taken))}
    return [found[id] for id in taken if id in found]


def _wide(model: type[Model]) -> list[str]:
    """The columns that may hold much."""
    return [field.name for field in model._meta.concrete_fields if isinstance(field, _WIDE)]


def _width(model: type[Model]) -> Any:
    """How many characters a row's wide columns hold."""
    return sum((Coalesce(Length(Cast(name, TextField())), 0) for name in _wide(model)), Value(0))


def _within_bounds(rows: QuerySet[Any], order: Sequence[str], size: int) -> QuerySet[Any]:
    """The first rows, up to the one with which they get too large: in one statement, which looks at no other."""
    places = {f"place{number}": F(name.removeprefix("-")) for number, name in enumerate(order)}
    first = rows.annotate(width=_width(rows.model), **places).values("pk", "width", *places)[:size]
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
    pks = RawSQL(bounded, [*parameters, MAX_PAGE])  # noqa: S611 - the names are our own, the values parameters
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
        after: the record to begin behind.
    """
    while True:
        following = rows if after is None else rows_after(table, rows, order, after)
        # Page by page, so that a walk whose connection is lost goes on where it is.
        page = attempt(rows.db, partial(table.fetch, following.order_by(*order)[:_PAGE]))
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]
