"""PostgreSQL: an index for the metadata, and vectors that are kept in their rows.

The indexes of vectors and words are each collection's own; see `indexes`.
"""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

_TABLE = "chronos_vectors_embedding"


def install(connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        # A pending list would have to be read by every search until a vacuum comes.
        cursor.execute(
            f"CREATE INDEX IF NOT EXISTS chronos_vectors_metadata ON {_TABLE}"
            " USING gin (metadata jsonb_path_ops) WITH (fastupdate = off)"
        )
        cursor.execute(
            "SELECT attstorage FROM pg_attribute WHERE attrelid = %s::regclass AND attname = 'vector'", [_TABLE]
        )
        if cursor.fetchone() != ("m",):
            # By default a row over 2 kB moves its vector out; an exact search would fetch each from there.
            cursor.execute(f"ALTER TABLE {_TABLE} ALTER COLUMN vector SET STORAGE MAIN")


def remove(connection: BaseDatabaseWrapper) -> None:
    """All went with the table."""
