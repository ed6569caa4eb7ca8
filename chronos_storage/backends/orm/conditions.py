"""A query's conditions as Django has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.db.models.query import QuerySet

from ...fields import JSONTextField
from ...ledger.mapping import TABLES, Table
from ...records import Session
from ..base import Condition, Query
from .having import MetadataHas, MetadataMatches, has_text, json_has_text

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
    return _SPECIAL[condition.operator](table, column, condition.value)


def _column(table: Table[Any], field: str) -> str:
    name = field.replace(".", "__")
    return table.id if name == "id" else name


def starts_with(column: str, prefix: str) -> Q:
    """Rows whose bytewise column starts with a prefix: a range, not LIKE, which on SQLite takes no notice of case."""
    found = Q(**{f"{column}__gte": prefix})
    end = _behind_prefix(prefix)
    return found if end is None else found & Q(**{f"{column}__lt": end})


def _behind_prefix(prefix: str) -> str | None:
    """The first string, by code points, behind all that start with `prefix`; None if there is none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)


def _unless_past(table: Table[Any], column: str, value: Any) -> Q:
    return Q(**{column: None}) | Q(**{f"{column}__gt": value})


def _text(table: Table[Any], column: str, value: str) -> Any:
    is_json = isinstance(table.model._meta.get_field(column), JSONTextField)
    return (json_has_text if is_json else has_text)(column, value)


_SPECIAL: dict[str, Callable[[Table[Any], str, Any], Any]] = {
    "prefix": lambda table, column, value: starts_with(column, value),
    "text": _text,
    "has": lambda table, column, value: MetadataHas(*value),
    "matches": lambda table, column, value: MetadataMatches(value),
    "unless past": _unless_past,
}
