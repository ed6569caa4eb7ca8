"""MariaDB and MySQL: a full-text index on the contents. It finds what is committed, not what is about to be."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.schema import index_names

_TABLE = "chronos_vectors_embedding"
_INDEX = "chronos_vectors_words"


def install(connection: BaseDatabaseWrapper) -> None:
    if _INDEX not in index_names(connection, _TABLE):
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE FULLTEXT INDEX {_INDEX} ON {_TABLE} (content)")


def remove(connection: BaseDatabaseWrapper) -> None:
    """All went with the table."""
