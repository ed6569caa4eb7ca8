"""Indexes, and how a migration makes them while the tables are in use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.db.migrations.operations.base import Operation
from django.db.models import Q

from .compat.connections import in_transaction
from .compat.schema import index_names
from .failures import failed


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


class FailedIndex(models.Index):
    """An index of the rows that are failures, which no other row's writer pays for; MariaDB, which has none such, goes
    without.
    """

    def create_sql(self, model: Any, schema_editor: Any, using: str = "", **kwargs: Any) -> Any:
        if not schema_editor.connection.features.supports_partial_indexes:
            return "DO 0"  # which does nothing, where Django wants something to execute
        index = models.Index(fields=self.fields, name=self.name, condition=Q(failed(model)))
        return index.create_sql(model, schema_editor, using, **kwargs)


class ReplaceIndexesBeside(Operation):
    """Makes some of a model's indexes, and removes those whose place they take, while others write to its table.

    Outside a transaction, where a migration with ``atomic = False`` is, nobody waits for it on PostgreSQL. One that was
    broken off there has made some of its indexes, or removed some; it is run again.

    Django's operations are of one index each, and each makes anew all models that are related to this one, which took
    more than all else in making the tables of a new database.
    """

    def __init__(self, model_name: str, added: Sequence[models.Index], removed: Sequence[str]) -> None:
        self.model_name = model_name
        self.added = added
        self.removed = removed

    def state_forwards(self, app_label: str, state: Any) -> None:
        options = state.models[app_label, self.model_name].options
        left = [index for index in options["indexes"] if index.name not in self.removed]
        options["indexes"] = [*left, *self.added]
        state.reload_model(app_label, self.model_name, delay=True)

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._replace(app_label, schema_editor, to_state, self._removed(app_label, from_state), self.added)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        self._replace(app_label, schema_editor, to_state, self.added, self._removed(app_label, to_state))

    def describe(self) -> str:
        return f"Make indexes of {self.model_name}: {', '.join(index.name for index in self.added)}"

    @property
    def migration_name_fragment(self) -> str:
        return f"{self.model_name}_indexes"

    def _removed(self, app_label: str, state: Any) -> list[models.Index]:
        return [state.models[app_label, self.model_name].get_index_by_name(name) for name in self.removed]

    def _replace(
        self,
        app_label: str,
        schema_editor: Any,
        state: Any,
        former: Sequence[models.Index],
        latter: Sequence[models.Index],
    ) -> None:
        model, connection = state.apps.get_model(app_label, self.model_name), schema_editor.connection
        if not self.allow_migrate_model(connection.alias, model):
            return
        beside = connection.vendor == "postgresql" and not in_transaction(connection)
        options = {"concurrently": True} if beside else {}

        def drop(index: models.Index) -> None:
            # By its name alone it would be another schema's, where this one's search path has several.
            if index.name in index_names(connection, model._meta.db_table):
                schema_editor.remove_index(model, index, **options)

        for index in latter:
            drop(index)  # half of it may be there, of no use
            schema_editor.add_index(model, index, **options)
        for index in former:
            drop(index)
