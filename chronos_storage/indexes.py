"""Indexes, and how a migration makes them while the tables are in use."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.migrations.operations import AddIndex, RemoveIndex
from django.db.models import Q

from .compat.connections import in_transaction
from .compat.schema import index_names


class GivenIndex(models.Index):
    """An index of the rows whose first column is not empty: what looks for others names the column all the same.

    PostgreSQL writes all of a row's indexes with each change of one that is indexed, so rows that have nothing there
    stay out of it. SQLite and InnoDB write those whose columns change, and have all rows in it.
    """

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kwargs: Any) -> Any:
        if schema_editor.connection.vendor != "postgresql":
            return super().create_sql(model, schema_editor, using, **kwargs)
        given = ~Q(**{self.fields[0]: ""})
        index = models.Index(fields=self.fields, name=self.name, condition=given)
        return index.create_sql(model, schema_editor, using, **kwargs)


class _Beside:
    """Outside a transaction PostgreSQL makes and removes an index beside the work of others, who wait for nothing.

    A migration that was broken off there has made some of its indexes, and removed some; it is run again.
    """

    def _make(self, schema_editor: Any, model: Any, index: models.Index) -> None:
        self._drop(schema_editor, model, index)  # half of it may be there, of no use
        schema_editor.add_index(model, index, **_options(schema_editor))

    def _drop(self, schema_editor: Any, model: Any, index: models.Index) -> None:
        # By its name alone it would be another schema's, where this one's search path has several.
        if index.name in index_names(schema_editor.connection, model._meta.db_table):
            schema_editor.remove_index(model, index, **_options(schema_editor))


def _options(schema_editor: Any) -> dict[str, bool]:
    connection = schema_editor.connection
    if connection.vendor != "postgresql" or in_transaction(connection):
        return {}
    return {"concurrently": True}


class AddIndexBeside(_Beside, AddIndex):
    """Django's `AddIndex`, but that on PostgreSQL writers go on meanwhile; its migration has ``atomic = False``."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self._make(schema_editor, model, self.index)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self._drop(schema_editor, model, self.index)


class RemoveIndexBeside(_Beside, RemoveIndex):
    """Django's `RemoveIndex`, as `AddIndexBeside` is its `AddIndex`."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self._drop(schema_editor, model, _named(from_state, app_label, self))

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            self._make(schema_editor, model, _named(to_state, app_label, self))


def _named(state: Any, app_label: str, operation: Any) -> models.Index:
    index: models.Index = state.models[app_label, operation.model_name_lower].get_index_by_name(operation.name)
    return index
