"""A query's conditions as Django has them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from django.db.models import BooleanField, F, Field, Func, Model, Q
from django.db.models.query import QuerySet

from ...indexes import GivenIndex
from ...ledger.mapping import AUDIT_LOGS, TABLES, Table
from ...records import Session
from ..base import Condition, Query
from .having import MetadataMatches

_LOOKUPS = {"=": "exact", "in": "in", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


class _NotDeleted(Func):
    """That a session's time of deletion is null: without statistics PostgreSQL would think it is of hardly any."""

    template = "%(expressions)s IS NULL"
    output_field = BooleanField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="CASE WHEN %(expressions)s IS NULL THEN TRUE END", **context)


def rows_of(query: Query[Any], using: str) -> QuerySet[Any]:
    """The rows that fulfil a query's conditions, in no order."""
    table = TABLES[query.record]
    rows: QuerySet[Any] = table.model._default_manager.using(using)
    conditions = [_condition(table, condition) for condition in query.where]
    if not query.deleted:
        conditions.append(_NotDeleted("deleted_at" if query.record is Session else "session__deleted_at"))
    return rows.filter(Q(*conditions)) if conditions else rows  # one Q, which is resolved faster than several


def _condition(table: Table[Any], condition: Condition) -> Any:
    column = _column(table, condition.field)
    if condition.operator == "=" and condition.value != "" and column in _given(table.model):
        # In the words of the index, as the value is not known where a statement is planned once for all values.
        given = Func(F(column), template="%(expressions)s <> ''", output_field=BooleanField())
        return Q(Q(given), **{column: condition.value})
    if table is AUDIT_LOGS and condition.operator == "=" and column == "session_id" and condition.value != "":
        return Q(session_id=condition.value, owner=condition.value)
    if lookup := _LOOKUPS.get(condition.operator):
        return f"{column}__{lookup}", condition.value
    return _SPECIAL[condition.operator](column, condition.value)


@cache
def _given(model: type[Model]) -> frozenset[str]:
    """The columns whose index has only the rows that are not empty there."""
    return frozenset(index.fields[0] for index in model._meta.indexes if isinstance(index, GivenIndex))


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
