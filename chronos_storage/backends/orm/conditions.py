"""A query's conditions as Django has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from django.db.models import Field, Model, Q
from django.db.models.query import QuerySet

from ...ledger.mapping import TABLES, Table
from ...records import Session
from ..base import Condition, Query
from .having import MetadataMatches

_LOOKUPS = {"=": "exact", "in": "in", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def rows_of(query: Query[Any], using: str) -> QuerySet[Any]:
    """The rows that fulfil a query's conditions, in no order."""
    table = TABLES[query.record]
    rows: QuerySet[Any] = table.model._default_manager.using(using)
    conditions = [_condition(table, condition) for condition in query.where]
    if not query.deleted:
        conditions.append(("deleted_at" if query.record is Session else "session__deleted_at", None))
    return rows.filter(Q(*conditions)) if conditions else rows  # one Q, which is resolved faster than several


def _condition(table: Table[Any], condition: Condition) -> Any:
    column = _column(table, condition.field)
    if lookup := _LOOKUPS.get(condition.operator):
        return f"{column}__{lookup}", condition.value
    return _SPECIAL[condition.operator](column, condition.value)


def _column(table: Table[Any], field: str) -> str:
    name = field.replace(".", "__")
    return table.id if name == "id" else name


def field_of(table: Table[Any], name: str) -> Field[Any, Any]:
    """The model's field that holds a record's field, or that of its session."""
    model, (*others, last) = table.model, _column(table, name).split("__")
    for each in others:
        model = cast(type[Model], model._meta.get_field(each).related_model)
    found: Any = model._meta.get_field(last)
    return found.target_field if found.is_relation else found  # type: ignore[no-any-return]


def starts_with(column: str, prefix: str) -> Q:
    """Rows whose bytewise column starts with a prefix: a range, not LIKE, which on SQLite takes no notice of case."""
    found = Q(**{f"{column}__gte": prefix})
    end = _prefix_end(prefix)
    return found if end is None else found & Q(**{f"{column}__lt": end})


def _prefix_end(prefix: str) -> str | None:
    """The first string, by code points, after all that start with `prefix`; None if there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def _unless_past(column: str, value: Any) -> Q:
    return Q(**{column: None}) | Q(**{f"{column}__gt": value})


_SPECIAL: dict[str, Callable[[str, Any], Any]] = {
    "prefix": starts_with,
    "matches": lambda column, value: MetadataMatches(value),
    "unless past": _unless_past,
}
