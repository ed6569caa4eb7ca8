"""Prepared statements, and the poolers that know of none: each transaction gets another session of the server's there.

A statement that was prepared in one session is unknown in the next, or another one of the same name. Django prepares
none unless the host sets ``prepare_threshold`` in OPTIONS; the vector store does, for searches.
"""

from __future__ import annotations

import logging
from typing import Any

from .compat.connections import driver_connection

logger = logging.getLogger(__name__)

#: PostgreSQL's errors where a prepared statement is not there (invalid name), or one that is not ours (duplicate).
STATES = frozenset({"26000", "42P05"})

#: The aliases on which nothing is prepared any more.
_off: set[str] = set()


def is_off(connection: Any) -> bool:
    """Whether nothing may be prepared on Django's connection, as its sessions are a pooler's."""
    return connection.alias in _off


def turn_off(connection: Any) -> None:
    """Prepare nothing any more on the alias of Django's connection."""
    driver_connection(connection).prepare_threshold = None
    if not is_off(connection):
        _off.add(connection.alias)
        logger.warning(
            "The database %r is behind a pooler that gives each transaction another session: statements are not"
            " prepared any more. Set DISABLE_SERVER_SIDE_CURSORS to say so from the start.",
            connection.alias,
        )
