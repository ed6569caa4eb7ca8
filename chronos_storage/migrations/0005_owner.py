from typing import Any

from django.db import migrations, models

import chronos_storage.fields
import chronos_storage.owners
from chronos_storage.compat.schema import column_names, table_names
from chronos_storage.owners import owner_sql

#: By table: its key, the columns of the name and of the owner, and which rows' names are a session's.
#: In the order in which writers lock them, who would otherwise wait for this migration while it waits for them.
TABLES = {
    "chronos_storage_head": ("id", "owner", "owned_by", "kind = 'audit_log'"),
    "chronos_storage_auditlog": ("id", "chain", "owner", ""),
    "chronos_storage_topic": ("name", "name", "owner", ""),
    "chronos_storage_queueentry": ("id", "topic", "owner", ""),
}


def _tables(connection: Any) -> list[str]:
    """Those that are there, in their order."""
    there = set(table_names(connection))
    return [table for table in TABLES if table in there]


class AddOwner(migrations.AddField):
    """Adds the column, or removes it, unless that was done by a migration that was broken off.

    On MariaDB and MySQL each statement is a transaction of its own, and takes as long as copying the table does.
    """

    def _is_there(self, app_label: str, schema_editor: Any, state: Any) -> bool:
        meta, connection = state.apps.get_model(app_label, self.model_name)._meta, schema_editor.connection
        column = meta.get_field(self.name).column
        return meta.db_table in table_names(connection) and column in column_names(connection, meta.db_table)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not self._is_there(app_label, schema_editor, to_state):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if self._is_there(app_label, schema_editor, from_state):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


def _for_workers_of_the_version_before(apps: Any, schema_editor: Any) -> None:
    """Have the rows filled that they write without an owner; on MariaDB and MySQL the column's default does.

    On SQLite the rows that are there are filled too, in the transaction that made the tables anew.
    """
    connection = schema_editor.connection
    for table in _tables(connection):
        key, name, owner, condition = TABLES[table]
        of_new = owner_sql(f"NEW.{name}", condition and f"NEW.{condition}")
        before = f"CREATE TRIGGER {table}_owner %s INSERT ON {table} FOR EACH ROW WHEN (NEW.{owner} = '')"
        if connection.vendor == "postgresql":
            body = f"BEGIN NEW.{owner} := {of_new}; RETURN NEW; END"
            schema_editor.execute(f"CREATE FUNCTION {table}_owner() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
            schema_editor.execute(f"{before % 'BEFORE'} EXECUTE FUNCTION {table}_owner()")
        elif connection.vendor == "sqlite":
            schema_editor.execute(f"UPDATE {table} SET {owner} = {owner_sql(name, condition)}")
            fill = f"UPDATE {table} SET {owner} = {of_new} WHERE {key} = NEW.{key}"
            if table == "chronos_storage_auditlog":  # which takes no change: the row that is filled goes in its place
                columns = [field.column for field in apps.get_model("chronos_storage", "AuditLog")._meta.fields]
                values = [of_new if column == owner else f"NEW.{column}" for column in columns]
                fill = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(values)}); SELECT RAISE(IGNORE)"
                before = before.replace("(NEW", f"(NEW.{name} <> '' AND NEW")
            moment = "BEFORE" if table == "chronos_storage_auditlog" else "AFTER"
            schema_editor.execute(f"{before % moment} BEGIN {fill}; END")


def _remove_functions(apps: Any, schema_editor: Any) -> None:
    connection = schema_editor.connection
    for table in _tables(connection):
        if connection.vendor == "postgresql":
            schema_editor.execute(f"DROP TRIGGER {table}_owner ON {table}")
            schema_editor.execute(f"DROP FUNCTION {table}_owner()")
        elif connection.vendor == "sqlite":
            schema_editor.execute(f"DROP TRIGGER {table}_owner")


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_storage", "0004_session_walks"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            # The column keeps its name and what is in it: workers of the version before go by it.
            state_operations=[
                migrations.RemoveConstraint(model_name="head", name="chronos_head_series"),
                migrations.RenameField(model_name="head", old_name="owner", new_name="series"),
                migrations.AlterField(
                    model_name="head",
                    name="series",
                    field=chronos_storage.fields.IdField(db_column="owner", max_length=263),
                ),
                migrations.AddConstraint(
                    model_name="head",
                    constraint=models.UniqueConstraint(
                        fields=("series", "kind", "namespace"), name="chronos_head_series"
                    ),
                ),
            ],
        ),
        AddOwner(
            model_name="head",
            name="owner",
            field=chronos_storage.owners.OwnerField(
                "series", "owner", "audit_log", db_column="owned_by", max_length=263
            ),
        ),
        AddOwner(
            model_name="auditlog",
            name="owner",
            field=chronos_storage.owners.OwnerField("chain", "chain", max_length=263),
        ),
        AddOwner(
            model_name="topic",
            name="owner",
            field=chronos_storage.owners.OwnerField("name", "name", max_length=263),
        ),
        AddOwner(
            model_name="queueentry",
            name="owner",
            field=chronos_storage.owners.OwnerField("topic", "topic", max_length=263),
        ),
        migrations.RunPython(_for_workers_of_the_version_before, _remove_functions),
    ]
