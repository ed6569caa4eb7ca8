"""The ledger's triggers on PostgreSQL, and the functions that append to it.

They stand in the schema of the tables, or without those in the one that tables would be made in: with several schemas
in a database, each has its own.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.backends.base.base import BaseDatabaseWrapper

from .definitions import Guarded, Installed, Wanted, outdated, versioned
from .postgresql import Function, append_function
from .postgresql_checkpoints import save_function
from .postgresql_entries import entry_function
from .postgresql_messages import messages_function
from .series import CHAINS, MESSAGE_SERIES

PERMIT_ENDS_WITH_ROLLBACK = True
REFUSALS: dict[int, str] = {}

_SETTING = "chronos_storage.purge"
_SCHEMA = (
    "COALESCE((SELECT relnamespace FROM pg_class WHERE oid = to_regclass('chronos_storage_head')),"
    " quote_ident(current_schema())::regnamespace)"
)


def wanted(connection: BaseDatabaseWrapper, tables: dict[str, Guarded], message: str) -> dict[str, Wanted]:
    if not tables:
        return {}
    # A condition on a table's own columns can't be asked of another table's row, not even after one that is false.
    let_through = "".join(
        f"""
                IF TG_ARGV[0] = '{table}' THEN
                    IF {guarded.is_emptied("IS NOT DISTINCT FROM", chr(34), "::text")} THEN
                        RETURN NEW;
                    END IF;
                END IF;"""
        for table, guarded in tables.items()
    )
    refuse = Function(
        "chronos_storage_refuse",
        "() RETURNS trigger LANGUAGE plpgsql",
        f"""
        BEGIN
            IF current_setting('{_SETTING}', true) = 'on' THEN
                IF TG_OP = 'DELETE' THEN
                    RETURN OLD;
                END IF;{let_through}
            END IF;
            RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';
        END """,
    )
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_SCHEMA}::regnamespace::text")
        (schema,) = cursor.fetchone()
    functions = [refuse, *appending(tables)]
    found = {each.name: Wanted(each.body, (each.create(schema),)) for each in functions}
    for table in tables:
        text = f"BEFORE DELETE OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {refuse.name}('{table}')"
        name = versioned(f"{table}_append_only", text)
        found[name] = Wanted(f"CREATE TRIGGER {name} {text}", (f"CREATE OR REPLACE TRIGGER {name} {text}",))
    return found


def appending(tables: Iterable[str]) -> list[Function]:
    """The functions that append, where the ledger has these tables."""
    chains = [series for model, series in CHAINS.items() if model._meta.db_table in tables]
    return [
        *map(append_function, [MESSAGE_SERIES, *chains]),
        messages_function(),
        save_function(),
        entry_function(),
    ]


def installed(connection: BaseDatabaseWrapper) -> dict[str, Installed]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname, CASE WHEN tgenabled IN ('O', 'A') THEN pg_get_triggerdef(pg_trigger.oid, true) END,"
            " format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass)"
            " FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            f" WHERE NOT tgisinternal AND relnamespace = {_SCHEMA}"
            " UNION ALL (SELECT proname, prosrc, format('DROP FUNCTION %s', oid::regprocedure)"
            f" FROM pg_proc WHERE pronamespace = {_SCHEMA} ORDER BY oid)"
        )
        return {name: Installed(text, drop) for name, text, drop in cursor.fetchall()}


def removals(installed: dict[str, Installed], wanted: dict[str, Wanted]) -> list[str]:
    going = outdated(installed, wanted)  # what calls a function before the function, the oldest first
    if wanted:
        # Workers of the version before may still append by its functions.
        kept = {name.rpartition("_")[0]: name for name in going if _appends(name, installed)}
        going = [name for name in going if name not in kept.values()]
    return going


def _appends(name: str, installed: dict[str, Installed]) -> bool:
    return installed[name].drop.startswith("DROP FUNCTION") and "_append_" in name


def set_permit(connection: BaseDatabaseWrapper, given: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL {_SETTING} = '{'on' if given else 'off'}'")
