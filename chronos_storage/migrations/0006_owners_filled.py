import time
from functools import partial
from importlib import import_module
from typing import Any

from django.db import migrations, transaction

from chronos_storage.compat.schema import table_names
from chronos_storage.owners import owner_sql
from chronos_storage.transactions import attempt

TABLES = import_module("chronos_storage.migrations.0005_owner").TABLES

#: Rows that are filled in one transaction, for which who writes them waits.
_PAGE = 2000
#: Seconds until rows are looked at again that another transaction had locked.
_DELAY = 0.1


def _fill(apps: Any, schema_editor: Any) -> None:
    """Fill the owners of the rows that were there before; on the other databases the column was made full.

    A page is a transaction, so that nobody waits for long; what was broken off goes on where it is.
    """
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return
    for table in set(TABLES).intersection(table_names(connection)):
        key, name, owner, _ = TABLES[table]
        empty = f"{owner} = '' AND {name} <> ''"
        first = after = 0 if key == "id" and table != "chronos_storage_auditlog" else ""
        while True:
            filled = attempt(connection.alias, partial(_fill_page, connection, table, empty, after))
            if filled:
                after = max(filled)
                continue
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT 1 FROM {table} WHERE {empty} LIMIT 1")
                if cursor.fetchone() is None:
                    break
            if after == first:
                time.sleep(_DELAY)
            after = first


def _fill_page(connection: Any, table: str, empty: str, after: int | str) -> list[Any]:
    """Fill the next rows that nobody else has locked; returns their keys."""
    key, name, owner, condition = TABLES[table]
    some = f"SELECT {key} FROM {table} WHERE {empty} AND {key} > %s ORDER BY {key} LIMIT {_PAGE}"
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        # Whatever the host's level is: what others have changed since the transaction began is in nobody's way.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        cursor.execute(some, [after])
        if cursor.fetchone() is None:
            return []
        # The ledger's guard stands aside for this transaction alone: others can't write to the table until it is back.
        cursor.execute(
            "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgenabled = 'O'"
            " AND starts_with(tgname, 'chronos_storage_auditlog_append_only')",
            [table],
        )
        guards = [guard for (guard,) in cursor.fetchall()]
        for guard in guards:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER {guard}")
        cursor.execute(
            f"WITH page AS ({some} FOR NO KEY UPDATE SKIP LOCKED)"
            f" UPDATE {table} SET {owner} = {owner_sql(name, condition)}"
            f" WHERE {key} IN (SELECT {key} FROM page) RETURNING {key}",
            [after],
        )
        filled = [key for (key,) in cursor.fetchall()]
        for guard in guards:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER {guard}")
    return filled


class Migration(migrations.Migration):
    # Each page is a transaction.
    atomic = False

    dependencies = [
        ("chronos_storage", "0005_owner"),
    ]

    operations = [
        migrations.RunPython(_fill, migrations.RunPython.noop),
    ]
