"""What a database has spread over workers so far."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from .places import FIRST, PLACES

#: By the database. Processes that run while its tables are spread must be started again.
_known: dict[tuple[Any, ...], bool] = {}


def has_citus(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database has the extension."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'")
        return cursor.fetchone() is not None


def is_distributed(connection: BaseDatabaseWrapper) -> bool:
    """Whether the tables are spread over workers, as far as the heads tell; a process asks each database once."""
    if connection.vendor != "postgresql":
        return False
    database = (connection.alias, *map(connection.settings_dict.get, ("HOST", "PORT", "NAME")))
    if (known := _known.get(database)) is None:
        known = _known[database] = FIRST in distributed(connection)
    return known


def forget() -> None:
    """Have `is_distributed` ask anew."""
    _known.clear()


def distributed(connection: BaseDatabaseWrapper) -> dict[str, str]:
    """The tables of `PLACES` that are spread, each with its column."""
    if not has_citus(connection):
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, column_to_column_name(logicalrelid, partkey) FROM unnest(%s::text[]) AS relname"
            " JOIN pg_dist_partition ON logicalrelid = to_regclass(quote_ident(relname)) AND partmethod = 'h'",
            [[place.table for place in PLACES]],
        )
        return dict(cursor.fetchall())
