"""Of what a database holds, and of what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.indexes import IndexExpression

#: Django's own look takes a table's whole definition apart, which is long for a migration that looks for each index.
_INDEX_NAMES = {
    "postgresql": "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = to_regclass(quote_ident(%s))",
    "sqlite": "SELECT name FROM pragma_index_list(%s)",
    "mysql": "SELECT DISTINCT index_name FROM information_schema.statistics"
    " WHERE table_schema = DATABASE() AND table_name = %s",
}


def quoted(connection: BaseDatabaseWrapper, name: str) -> str:
    """The name of a table or column as it stands in a statement."""
    return str(connection.ops.quote_name(name))


def table_names(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables that are there."""
    return connection.introspection.table_names()


def column_names(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """The columns of a table."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {quoted(connection, table)} LIMIT 0")  # noqa: S608 - as it stands in a statement
        return [column[0] for column in cursor.description]


def index_names(connection: BaseDatabaseWrapper, table: str) -> set[str]:
    """The indexes of a table."""
    with connection.cursor() as cursor:
        cursor.execute(_INDEX_NAMES[connection.vendor], [table])
        return {name for (name,) in cursor.fetchall()}


def index_statement(using: str, model: type[models.Model], index: Any, wrappers: Sequence[type[Any]]) -> str:
    """The statement that builds one of PostgreSQL's indexes beside the work of others.

    Args:
        wrappers: what stands around an index's expressions, in the order of SQL, as the app django.contrib.postgres
            says it, which a host need not have.
    """
    IndexExpression.register_wrappers(*wrappers)
    return str(index.create_sql(model, connections[using].schema_editor(), concurrently=True))


def unapplied(using: str, app_label: str) -> int:
    """How many of an app's migrations this database still lacks; raises the database's errors."""
    from django.db.migrations.executor import MigrationExecutor  # much, for a look that is rarely taken

    executor = MigrationExecutor(connections[using])
    return len(executor.migration_plan([node for node in executor.loader.graph.leaf_nodes() if node[0] == app_label]))
