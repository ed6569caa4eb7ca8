"""The ledger's triggers on SQLite.

The permit is an SQL function of the connection: a table or a setting could be written by any SQL. A connection that
doesn't have the function, such as a shell's, can't delete at all.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from django.db.backends.base.base import BaseDatabaseWrapper

PERMIT_ENDS_WITH_ROLLBACK = False

_FUNCTION = "chronos_storage_purge"
_permitted: WeakKeyDictionary[BaseDatabaseWrapper, bool] = WeakKeyDictionary()


def create(table: str, keys: list[list[str]], message: str) -> dict[str, list[str]]:
    # INSERT OR REPLACE removes the old row without firing a DELETE trigger.
    same = (" AND ".join(f'"{key}" = NEW."{key}"' for key in columns) for columns in keys)
    taken = " OR ".join(f'EXISTS (SELECT 1 FROM "{table}" WHERE {condition})' for condition in same)
    refuse = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
    triggers = {
        f"{table}_no_update": f'BEFORE UPDATE ON "{table}" {refuse}',
        f"{table}_no_delete": f'BEFORE DELETE ON "{table}" WHEN NOT {_FUNCTION}() {refuse}',
        f"{table}_no_replace": f'BEFORE INSERT ON "{table}" WHEN {taken} {refuse}',
    }
    return {
        name: [f'DROP TRIGGER IF EXISTS "{name}"', f'CREATE TRIGGER "{name}" {body}'] for name, body in triggers.items()
    }


def installed(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        return {name for (name,) in cursor.fetchall()}


def set_permit(connection: BaseDatabaseWrapper, given: bool) -> None:
    _permitted[connection] = given


def register_function(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """The receiver of connection_created: gives each SQLite connection the triggers' function."""
    if connection.vendor == "sqlite":
        connection.connection.create_function(_FUNCTION, 0, lambda: _permitted.get(connection, False))
