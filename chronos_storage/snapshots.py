"""What a transaction that keeps to its snapshot, as REPEATABLE READ and SERIALIZABLE do, does not see: later commits.

Their keys are taken all the same, and what was written may be written again under the same id.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import DatabaseError, IntegrityError, connections, models, transaction
from django.db.models.query import QuerySet

from .compat.connections import begun_without_lock, in_transaction

M = TypeVar("M", bound=models.Model)


#: What makes a transaction one that sees a single moment, by vendor; its first statements.
_ONE_MOMENT = {
    "postgresql": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "SELECT 1"),
    "mysql": (
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    "sqlite": ("SELECT name FROM sqlite_master LIMIT 1",),
}


@contextmanager
def snapshot(using: str) -> Iterator[bool]:
    """Within the block everything is read as it was at one moment, and nobody waits: whether the database can.

    It can't within the caller's own transaction, nor SQLite without a write-ahead log, where a reader keeps all writers
    out. Nothing may be written in the block.
    """
    connection = connections[using]
    if in_transaction(connection) or not _has_moments(using):
        yield False
        return
    with begun_without_lock(connection):
        with connection.cursor() as cursor:
            for statement in _ONE_MOMENT[connection.vendor]:
                cursor.execute(statement)
        yield True


def _has_moments(using: str) -> bool:
    if connections[using].vendor != "sqlite":
        return True
    with connections[using].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        return bool(cursor.fetchone()[0] == "wal")


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
    if not _sees_only_its_snapshot(using):
        return
    rows: Any = type(row)._default_manager.using(using)
    if rows.filter(pk=row.pk).select_for_update(no_key=True).exists():
        return
    with transaction.atomic(using=using):
        rows.bulk_create([row], ignore_conflicts=True)
        transaction.set_rollback(True, using=using)


def refuse_unseen_rows(rows: QuerySet[Any]) -> None:
    """Raise a transient error if there are such rows, which this transaction does not see.

    To be called before saying that there are none, of what can't be told by its key; as it takes a connection of its
    own, only where that is seldom said.

    Args:
        rows: of one table.
    """
    connection = connections[rows.db]
    if not in_transaction(connection) or not connection.features.has_select_for_update_skip_locked:
        return
    if connection.vendor == "postgresql" and not _sees_only_its_snapshot(rows.db):
        return
    # Those that are locked this transaction may have removed itself.
    others = rows.select_for_update(skip_locked=True)

    def are_there() -> bool:
        try:
            with transaction.atomic(using=rows.db):
                return bool(others.values_list("pk")[:1])
        finally:
            connections[rows.db].close()

    with ThreadPoolExecutor(1) as pool:
        if pool.submit(are_there).result():
            raise Unseen


def _sees_only_its_snapshot(using: str) -> bool:
    """Whether the alias has a transaction open on PostgreSQL that does not see what is committed meanwhile."""
    connection = connections[using]
    if connection.vendor != "postgresql" or not in_transaction(connection):
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        return bool(cursor.fetchone()[0] != "read committed")


def check_references(using: str, model: type[models.Model]) -> None:
    """Have the references to a model's rows checked now, those of unseen rows too, and not as the transaction ends.

    Only PostgreSQL defers it.
    """
    if not _sees_only_its_snapshot(using):
        return
    with connections[using].cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(format('%%I.%%I', nspname, conname), ', ') FROM pg_constraint"
            " JOIN pg_namespace ON pg_namespace.oid = connamespace"
            " WHERE contype = 'f' AND condeferrable AND confrelid = %s::regclass",
            [model._meta.db_table],
        )
        names = cursor.fetchone()[0]
        for when in ("IMMEDIATE", "DEFERRED"):
            cursor.execute(f"SET CONSTRAINTS {names} {when}")


@contextmanager
def unless_unseen() -> Iterator[None]:
    """Around a statement whose keys were looked for: one that is taken nevertheless is an unseen row's."""
    try:
        yield
    except IntegrityError as error:
        raise Unseen from error
