from typing import Any

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import chronos_storage.fields
from chronos_storage.compat.schema import column_names, quoted, table_names


class AddErased(migrations.AddField):
    """Adds the column, or removes it, unless that was done by a migration that was broken off.

    Django makes the tables anew on SQLite, which a column with a default needs not, and which would cost them the
    triggers that fill in owners.
    """

    def _is_there(self, app_label: str, schema_editor: Any, state: Any) -> bool:
        meta, connection = state.apps.get_model(app_label, self.model_name)._meta, schema_editor.connection
        return meta.db_table in table_names(connection) and self.name in column_names(connection, meta.db_table)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if self._is_there(app_label, schema_editor, to_state):
            return
        if schema_editor.connection.vendor == "sqlite":
            model = to_state.apps.get_model(app_label, self.model_name)
            BaseDatabaseSchemaEditor.add_field(schema_editor, model, model._meta.get_field(self.name))
        else:
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not self._is_there(app_label, schema_editor, from_state):
            return
        connection = schema_editor.connection
        if connection.vendor == "sqlite":  # which refuses to remove what a trigger names; it is made again afterwards
            with connection.cursor() as cursor:
                cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND sql LIKE '%erased%'")
                names = [name for (name,) in cursor.fetchall()]
            for name in names:
                schema_editor.execute(f"DROP TRIGGER {quoted(connection, name)}")
        super().database_backwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):
    dependencies = [
        ("chronos_storage", "0008_legal_hold"),
    ]

    operations = [
        AddErased(
            model_name=name,
            name="erased",
            field=chronos_storage.fields.IdField(db_default="", editable=False, max_length=128),
        )
        for name in ("event", "auditlog")
    ]
