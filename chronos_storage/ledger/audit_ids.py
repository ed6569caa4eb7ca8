"""The ids of audit entries, where the chains are spread over workers: none of these knows those of the others.

They stand in a table of their own, spread by id, which `chronos_distribute` makes. Who appends an entry, in whatever
chain, takes its id there in the same transaction. On one node the key of the audit log says the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connections
from django.db.models.query import QuerySet

from ..batches import batches
from ..distributed.places import AUDIT_IDS
from ..distributed.state import is_distributed


def take(using: str, ids: Iterable[str]) -> None:
    """Take the ids of new entries.

    Raises:
        IntegrityError: an entry has one of them.
    """
    # In one order, so that those who take the same ids at once don't lock each other out.
    _execute(using, f"INSERT INTO {AUDIT_IDS} (id) VALUES {{places}}", "(%s)", sorted(ids))


def give_back(using: str, ids: Iterable[str]) -> None:
    """Give back the ids of entries that are removed, or get others."""
    _execute(using, f"DELETE FROM {AUDIT_IDS} WHERE id IN ({{places}})", "%s", ids)


def give_back_all(rows: QuerySet[Any]) -> None:
    """Give back the ids of these entries, which are about to be removed."""
    if is_distributed(connections[rows.db]):
        give_back(rows.db, rows.order_by().values_list("pk", flat=True).iterator())


def _execute(using: str, statement: str, place: str, ids: Iterable[str]) -> None:
    connection = connections[using]
    if not is_distributed(connection):
        return
    with connection.cursor() as cursor:
        for some in batches(ids):
            cursor.execute(statement.format(places=", ".join([place] * len(some))), some)
