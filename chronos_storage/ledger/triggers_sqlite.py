"""The ledger's triggers on SQLite.

The permit is an SQL function of the connection: a table or a setting could be written by any SQL. A connection that
doesn't have the function, such as a shell's, can't delete at all.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.connections import driver_connection
from .definitions import Guarded, Installed, Wanted, outdated, versioned

PERMIT_ENDS_WITH_ROLLBACK = False
REFUSALS: dict[int, str] = {}

removals = outdated

_FUNCTION = "chronos_storage_purge"
_permitted: WeakKeyDictionary[BaseDatabaseWrapper, bool] = WeakKeyDictionary()


def wanted(connection: BaseDatabaseWrapper, tables: dict[str, Guarded], message: str) -> dict[str, Wanted]:
    found = {}
    for table, guarded in tables.items():
        # INSERT OR REPLACE removes the old row without firing a DELETE trigger.
        same = (" AND ".join(f'"{key}" = NEW."{key}"' for key in columns) for columns in guarded.keys)
        taken = " OR ".join(f'EXISTS (SELECT 1 FROM "{table}" WHERE {condition})' for condition in same)
        refuse = f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
        emptied = f"{_FUNCTION}() AND {guarded.is_emptied('IS', chr(34))}"
        for stem, body in {
            f"{table}_no_update": f'BEFORE UPDATE ON "{table}" WHEN NOT ({emptied}) {refuse}',
            f"{table}_no_delete": f'BEFORE DELETE ON "{table}" WHEN NOT {_FUNCTION}() {refuse}',
            f"{table}_no_replace": f'BEFORE INSERT ON "{table}" WHEN {taken} {refuse}',
        }.items():
            name = versioned(stem, body)
            text = f'CREATE TRIGGER "{name}" {body}'
            found[name] = Wanted(text, (f'DROP TRIGGER IF EXISTS "{name}"', text))
    return found


def installed(connection: BaseDatabaseWrapper) -> dict[str, Installed]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        return {name: Installed(sql, f'DROP TRIGGER "{name}"') for name, sql in cursor.fetchall()}


def set_permit(connection: BaseDatabaseWrapper, given: bool) -> None:
    _permitted[connection] = given


def register_function(sender: Any, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """The receiver of connection_created: gives each SQLite connection the triggers' function."""
    if connection.vendor != "sqlite":
        return
    # SQLite keeps the function, where no garbage collector looks: it must not keep what keeps the connection.
    wrapper = ref(connection)

    def is_permitted() -> bool:
        alive = wrapper()
        return alive is not None and _permitted.get(alive, False)

    driver_connection(connection).create_function(_FUNCTION, 0, is_permitted)
