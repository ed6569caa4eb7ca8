"""What databases keep on the disk of rows that are gone, and how it is cleared."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.connections import in_transaction
from ..compat.schema import quoted, table_names

#: By the database's vendor: what may be left once all is cleared that can be.
_REMAINS: dict[str, list[str]] = {
    "postgresql": ["the server's write-ahead log and its archive, until they are recycled"],
    "mysql": [
        "what the server keeps of removed rows until it purges them, and its binary logs",
        "words of embeddings in the full-text index, until OPTIMIZE TABLE chronos_vectors_embedding",
    ],
}


def clear_leftovers(using: str) -> list[str]:
    """Have a database give up what is left of rows that were removed; returns what may still be there, in words.

    SQLite's file is written anew without them, and its write-ahead log emptied; PostgreSQL's tables are vacuumed. Both
    take as long as the tables are large, and neither can be done within a transaction.

    Args:
        using: the alias.
    """
    connection = connections[using]
    remains = _REMAINS.get(connection.vendor, [])
    if connection.vendor == "mysql":
        return remains
    undone = f"dead rows in the database {using!r}: run VACUUM there"
    if in_transaction(connection):
        return [undone, *remains]
    try:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                return _clear_sqlite(cursor)
            tables = [quoted(connection, table) for table in _tables(connection)]
            if not all(_may_vacuum(cursor, table) for table in tables):
                return [undone, *remains]  # the server would only warn
            for table in tables:
                cursor.execute(f"VACUUM {table}")
    except DatabaseError:
        return [undone, *remains]
    return remains


def _clear_sqlite(cursor: Any) -> list[str]:
    # An index of words keeps those of removed texts, and says that they are no more, until its parts are merged.
    cursor.execute(
        "SELECT name FROM sqlite_master WHERE name LIKE 'chronos_%' AND sql LIKE 'CREATE VIRTUAL TABLE%fts5%'"
    )
    for (name,) in cursor.fetchall():
        cursor.execute(f"INSERT INTO {name} ({name}) VALUES ('optimize')")
    cursor.execute("VACUUM")
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    is_busy = cursor.fetchone()[0]
    return ["pages in the write-ahead log that another connection still reads"] if is_busy else []


def _may_vacuum(cursor: Any, table: str) -> bool:
    """Whether this user is one of those who own a table of PostgreSQL's, or the database."""
    cursor.execute(
        "SELECT pg_has_role(relowner, 'USAGE') OR pg_has_role(datdba, 'USAGE') FROM pg_class, pg_database"
        " WHERE pg_class.oid = %s::regclass AND datname = current_database()",
        [table],
    )
    return bool(cursor.fetchone()[0])


def _tables(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables of this package that are there."""
    ours = {model._meta.db_table for model in apps.get_models() if model._meta.app_label.startswith("chronos_")}
    return sorted(ours.intersection(table_names(connection)))
