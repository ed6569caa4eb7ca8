"""Whether PostgreSQL reads a page of sessions by walking an index, or by sorting all there are."""

from __future__ import annotations

from itertools import product
from typing import Any

from django.db import connections, transaction

from ...compat.queries import statement
from ...models import Session as Row
from ...records import Session
from ..base import Condition, Query
from .statements import selected

#: Pages of a table that is worth a walk; a smaller one is read whole in some milliseconds.
_LARGE = 500
#: What a page costs anywhere on a disk without moving parts, where one after the other costs 1.
_SOLID_STATE = 1.1


def cost_against_walks(using: str) -> float | None:
    """The random_page_cost with which PostgreSQL sorts sessions that it would walk on an SSD; None if it does not."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return None
    with transaction.atomic(using=using), connection.cursor() as cursor:
        cursor.execute("SELECT relpages FROM pg_class WHERE oid = to_regclass(%s)", [Row._meta.db_table])
        (pages,) = cursor.fetchone() or (0,)
        if pages < _LARGE or _walks(using):
            return None
        cursor.execute("SHOW random_page_cost")
        (cost,) = cursor.fetchone()
        cursor.execute(f"SET LOCAL random_page_cost = {_SOLID_STATE}")
        walks = _walks(using)
        transaction.set_rollback(True, using=using)
    return float(cost) if walks else None


def _walks(using: str) -> bool:
    user = Row.objects.using(using).values_list("user_id", flat=True)[:1].get()
    pages = product(("created_at", "last_activity_at"), ((), (Condition("user_id", "=", user),)))
    return all(_is_walk(using, where, column) for column, where in pages)


def _is_walk(using: str, where: tuple[Condition, ...], column: str) -> bool:
    query = Query(record=Session, where=where, deleted=False, order=(f"-{column}", "-id"))
    sql, parameters = statement(selected(query, using))
    with connections[using].cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql} LIMIT (SELECT 20)", parameters)
        [[explained]] = cursor.fetchone()
    return "Sort" not in _kinds(explained["Plan"])


def _kinds(plan: Any) -> set[str]:
    return {plan["Node Type"]}.union(*map(_kinds, plan.get("Plans", ())))
