"""The ledger's triggers on PostgreSQL."""

from __future__ import annotations

from django.db.backends.base.base import BaseDatabaseWrapper

PERMIT_ENDS_WITH_ROLLBACK = True

_SETTING = "chronos_storage.purge"
_FUNCTION = "chronos_storage_refuse"


def create(table: str, keys: list[list[str]], message: str) -> dict[str, list[str]]:
    function = f"""
        CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND current_setting('{_SETTING}', true) = 'on' THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION '{message}' USING ERRCODE = 'integrity_constraint_violation';
        END $$"""
    name = f"{table}_append_only"
    trigger = (
        f'CREATE OR REPLACE TRIGGER "{name}" BEFORE UPDATE OR DELETE ON "{table}" '
        f"FOR EACH ROW EXECUTE FUNCTION {_FUNCTION}()"
    )
    return {name: [function, trigger]}


def installed(connection: BaseDatabaseWrapper) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid"
            " WHERE NOT tgisinternal AND tgenabled <> 'D' AND pg_table_is_visible(pg_class.oid)"
            " UNION SELECT proname FROM pg_proc WHERE proname LIKE 'chronos%%' AND pg_function_is_visible(oid)"
        )
        return {name for (name,) in cursor.fetchall()}


def set_permit(connection: BaseDatabaseWrapper, given: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, %s, true)", [_SETTING, "on" if given else "off"])
