"""What a transaction that keeps to its snapshot, as REPEATABLE READ and SERIALIZABLE do, does not see: later commits.

Their keys are taken all the same, and what was written may be written again under the same id.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import DatabaseError, IntegrityError, connections, models, transaction
from django.db.models.query import QuerySet

M = TypeVar("M", bound=models.Model)


class Unseen(DatabaseError):
    """A row is in the way that this transaction can't see: it may succeed when it is run again."""


def current(rows: QuerySet[M]) -> QuerySet[M]:
    """The rows of a queryset, to be read in a transaction as they are by now, where the database can.

    MariaDB and MySQL see past their snapshot what they lock. PostgreSQL locks only what it sees.
    """
    return rows.select_for_update() if connections[rows.db].vendor == "mysql" else rows


def refuse_unseen(using: str, row: models.Model) -> None:
    """Raise a transient error if the transaction does not see how a row is by now, or that there is one.

    To be called before saying that there is none. Only PostgreSQL needs it: it refuses to lock a row that has changed
    since the snapshot, and to insert one whose key was taken since.

    Args:
        row: unsaved, with the primary key and whatever must not be empty.
    """
    connection = connections[using]
    if connection.vendor != "postgresql" or not connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        if cursor.fetchone()[0] == "read committed":
            return
    rows: Any = type(row)._default_manager.using(using)
    if rows.filter(pk=row.pk).select_for_update(no_key=True).exists():
        return
    with transaction.atomic(using=using):
        rows.bulk_create([row], ignore_conflicts=True)
        transaction.set_rollback(True, using=using)


@contextmanager
def unless_unseen() -> Iterator[None]:
    """Around a statement whose keys were looked for: one that is taken nevertheless is an unseen row's."""
    try:
        yield
    except IntegrityError as error:
        raise Unseen from error
