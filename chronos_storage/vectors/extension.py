"""The migration operation that makes the extension pgvector on PostgreSQL."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.db import Error, router, transaction
from django.db.migrations.operations.base import Operation

from ..compat.connections import settings_of
from ..compat.schema import quoted


class CreateVectorExtension(Operation):
    """``CREATE EXTENSION vector`` where it is missing; nothing on other databases. Taken back, it stays.

    It is made in the schema ``public`` where that is on the search path: a database has an extension once, and where
    each tenant has a schema, all must see it. One that is there stays where it is.
    """

    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql" or not router.allow_migrate(connection.alias, app_label):
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT extnamespace::regnamespace::text, to_regtype('vector') IS NOT NULL"
                " FROM pg_available_extensions LEFT JOIN pg_extension ON extname = name WHERE name = 'vector'"
            )
            found = cursor.fetchone()
            if found is None:
                raise CommandError(_how_to_install(connection))
            schema, visible = found
            if visible:
                return
            if schema is not None:
                raise CommandError(_how_to_find(connection, schema))
            # Not in the first schema of the path, where it would be one tenant's: a database has it only once.
            cursor.execute(
                "SELECT CASE WHEN 'public' = ANY (current_schemas(false)) THEN 'public' ELSE current_schema() END"
            )
            place = quoted(connection, cursor.fetchone()[0])
            statement = f"CREATE EXTENSION IF NOT EXISTS vector SCHEMA {place}"
            try:
                with transaction.atomic(using=connection.alias):
                    cursor.execute(statement)
            except Error as error:
                raise CommandError(
                    f"The database {connection.alias!r} has no extension vector yet, and making it failed: {error}"
                    f"Let a superuser run {statement} in the database"
                    f" {settings_of(connection)['NAME']!r}, then migrate again."
                ) from error

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        pass

    def describe(self) -> str:
        return "Makes the extension vector on PostgreSQL"


def _how_to_find(connection: Any, schema: str) -> str:
    return (
        f"The extension vector of the database {connection.alias!r} is in the schema {schema}, which is not on the"
        f" search_path. Add {schema} to the path (with django-tenants, to PG_EXTRA_SEARCH_PATHS), or let its owner"
        f" run ALTER EXTENSION vector SET SCHEMA public; then migrate again."
    )


def _how_to_install(connection: Any) -> str:
    major = connection.pg_version // 10000
    return (
        f"chronos_storage.vectors needs the extension pgvector, and the server of the database {connection.alias!r}"
        f" (PostgreSQL {major}) doesn't have it. Install it there: the package postgresql-{major}-pgvector on Debian"
        f" and Ubuntu, pgvector_{major} on Red Hat, or from source (https://github.com/pgvector/pgvector); then"
        f" migrate again. To do without vectors, take chronos_storage.vectors out of INSTALLED_APPS, or keep its"
        f" migrations from this database with a router's allow_migrate. The app chronos_storage doesn't need it."
    )
