"""Rows of a Django database, by statements of which those that differ in values alone are built once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from ..backends.orm.conditions import starts_with
from ..backends.orm.having import JSONHas, has_text, json_has_text
from ..backends.orm.reading import usage_of
from ..compat.queries import selecting
from ..keyset import After
from ..ledger.kept import Rows
from ..ledger.mapping import Table
from ..ledger.pages import fetch_first, fetch_page, fetch_row
from ..records import TokenUsage
from .found import Condition, Found

_LOOKUPS = {"=": "exact", "in": "in", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_SPECIAL: dict[str, Callable[[str, Any], Any]] = {
    "prefix": starts_with,
    "unless past": lambda column, value: Q(**{column: None}) | Q(**{f"{column}__gt": value}),
    "not": lambda column, value: ~Q(**{column: value}),
    "has": lambda column, value: JSONHas(*value),
    "has text": has_text,
    "has JSON text": json_has_text,
}


@dataclass(frozen=True, slots=True)
class FoundRows(Found):
    """Rows of a table.

    Attributes:
        rows: as the access rule gives them.
    """

    table: Table[Any]
    rows: Rows

    def where(self, *conditions: Condition, kept: bool = False) -> FoundRows:
        if not kept:
            given = [self._condition(*condition) for condition in conditions]
            return FoundRows(self.table, Rows.of(self.rows.queryset.filter(*given)))
        rows = self.rows
        for condition in conditions:
            rows = self._narrowed(rows, condition)
        return FoundRows(self.table, rows)

    def _narrowed(self, rows: Rows, condition: Condition) -> Rows:
        field, operator, value = condition
        if value in (None, ""):
            return rows.narrowed(condition, lambda rows: rows.filter(self._condition(*condition)))
        several = operator == "in"
        return rows.narrowed(
            (field, operator),
            lambda rows, *values: rows.filter(self._condition(field, operator, values if several else values[0])),
            *(value if several else [value]),
        )

    def _condition(self, field: str, operator: str, value: Any) -> Any:
        column = self._column(field)
        if operator in _SPECIAL:
            return _SPECIAL[operator](column, value)
        return Q(**{f"{column}__{_LOOKUPS[operator]}": value}) if value is not None else Q(**{column: None})

    def _column(self, field: str) -> str:
        return self.table.id if field == "id" else field.replace(".", "__")

    def page(
        self, order: Sequence[str], size: int, after: Mapping[str, Any] | None = None, most: int | None = None
    ) -> tuple[list[Any], bool]:
        rows = self.rows
        if after is not None:
            columns, comparison = tuple(map(self._column, after)), "lt" if order[0].startswith("-") else "gt"
            rows = rows.narrowed(
                ("after", columns, comparison),
                lambda rows, *position: rows.filter(After(columns, position, comparison)),
                *after.values(),
            )
        return fetch_page(self.table, rows, order, size, most)

    def one(self) -> Any:
        return fetch_row(self.table, self.rows)

    def exists(self) -> bool:
        return self.rows.queryset.exists()

    def count(self) -> int:
        return self.rows.queryset.count()

    def ids(self) -> set[str]:
        return {id for (id,) in self.rows.fetch("ids", lambda rows: selecting(rows, [self.table.id]))}

    def some(self, order: Sequence[str], count: int, *names: str) -> Iterator[tuple[Any, ...]]:
        columns = map(self._column, names)
        return iter(self.rows.queryset.order_by(*order).values_list(*columns)[:count])

    def first(self, ids: Sequence[str]) -> list[Any]:
        return fetch_first(self.table, self.rows.queryset, ids)

    def usage(self) -> TokenUsage:
        return usage_of(self.rows.queryset)
