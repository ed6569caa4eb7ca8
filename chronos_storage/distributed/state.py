"""What a database has spread over workers so far."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.connections import connect, driver_connection
from .places import FIRST, PLACES

#: By the driver's connection: a table that is spread meanwhile is found so by new ones.
_known: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def has_citus(connection: BaseDatabaseWrapper) -> bool:
    """Whether the database has the extension."""
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_extension WHERE extname = 'citus'")
        return cursor.fetchone() is not None


def is_distributed(connection: BaseDatabaseWrapper) -> bool:
    """Whether the tables are spread over workers, as far as the heads tell; asked once for each of the driver's
    connections.
    """
    if connection.vendor != "postgresql":
        return False
    if (driver := driver_connection(connection)) is None:
        connect(connection)
        driver = driver_connection(connection)
    if (known := _known.get(driver)) is None:
        known = _known[driver] = FIRST in distributed(connection)
    return known


def forget(connection: BaseDatabaseWrapper) -> None:
    """Have `is_distributed` ask anew."""
    _known.pop(driver_connection(connection), None)


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
