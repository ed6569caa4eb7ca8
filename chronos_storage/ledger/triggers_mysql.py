"""The ledger's triggers on MariaDB and MySQL."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

from .definitions import Guarded, Installed, Wanted, outdated, versioned

PERMIT_ENDS_WITH_ROLLBACK = False

removals = outdated

_VARIABLE = "@chronos_storage_purge"
#: MariaDB's number for a failed CHECK constraint, which Django knows as an IntegrityError.
_ERROR = 4025

#: What the server refuses a trigger with, and what is to be granted then.
REFUSALS = {
    1419: (
        "its binary log is on, and this user lacks the privilege SUPER. Let an administrator GRANT SUPER ON *.* to this"
        " user, or run SET GLOBAL log_bin_trust_function_creators = 1 and keep that in the server's configuration"
    ),
    1142: "this user lacks the privilege TRIGGER. Let an administrator GRANT TRIGGER on this database to this user",
}


def wanted(connection: BaseDatabaseWrapper, tables: dict[str, Guarded], message: str) -> dict[str, Wanted]:
    refuse = f"SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = {_ERROR}, MESSAGE_TEXT = '{message}'"
    forbidden = f"COALESCE({_VARIABLE}, 0) <> 1"
    found = {}
    for table, guarded in tables.items():
        for event, when in {
            "UPDATE": f"{forbidden} OR NOT ({guarded.is_emptied('<=>', '`')})",
            "DELETE": forbidden,
        }.items():
            body = f"BEGIN IF {when} THEN {refuse}; END IF; END"
            text = f"BEFORE {event} ON {table} FOR EACH ROW {body}"
            name = versioned(f"{table}_no_{event.lower()}", text)
            found[name] = Wanted(text, (f"DROP TRIGGER IF EXISTS {name}", f"CREATE TRIGGER {name} {text}"))
    return found


def installed(connection: BaseDatabaseWrapper) -> dict[str, Installed]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT trigger_name, CONCAT(action_timing, ' ', event_manipulation, ' ON ', event_object_table,"
            " ' FOR EACH ROW ', action_statement), action_statement IS NULL"
            " FROM information_schema.triggers WHERE trigger_schema = database()"
        )
        # Who lacks the privilege TRIGGER is told no statement.
        return {
            name: Installed(text, f"DROP TRIGGER `{name}`", bool(hidden)) for name, text, hidden in cursor.fetchall()
        }


def set_permit(connection: BaseDatabaseWrapper, given: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {_VARIABLE} = {int(given)}")
