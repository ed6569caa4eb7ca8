"""The ledger's triggers on MariaDB and MySQL."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

PERMIT_ENDS_WITH_ROLLBACK = False

_VARIABLE = "@chronos_storage_purge"
#: MariaDB's number for a failed CHECK constraint, which Django knows as an IntegrityError.
_ERROR = 4025

#: What a server with a binary log, as MySQL has it by default, answers to a user without further rights.
NO_TRIGGERS_UNDER_BINARY_LOG = 1419
GRANT = (
    "the database refuses the ledger's triggers: its binary log is on, and this user may not make any. Let an "
    "administrator run SET GLOBAL log_bin_trust_function_creators = 1, and migrate again"
)


def create(table: str, keys: list[list[str]], message: str) -> dict[str, list[str]]:
    refuse = f"SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = {_ERROR}, MESSAGE_TEXT = '{message}'"
    triggers = {
        f"{table}_no_update": f"BEFORE UPDATE ON `{table}` FOR EACH ROW {refuse}",
        f"{table}_no_delete": (
            f"BEFORE DELETE ON `{table}` FOR EACH ROW BEGIN IF COALESCE({_VARIABLE}, 0) <> 1 THEN {refuse}; END IF; END"
        ),
    }
    return {
        name: [f"DROP TRIGGER IF EXISTS `{name}`", f"CREATE TRIGGER `{name}` {body}"] for name, body in triggers.items()
    }


def installed(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = database()")
        return {name for (name,) in cursor.fetchall()}


def set_permit(connection: BaseDatabaseWrapper, given: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET {_VARIABLE} = {int(given)}")
