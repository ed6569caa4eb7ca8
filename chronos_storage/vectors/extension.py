"""The migration operation that makes the extension pgvector on PostgreSQL."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from django.db import Error, router, transaction
from django.db.migrations.operations.base import Operation


class CreateVectorExtension(Operation):
    """``CREATE EXTENSION vector`` where it is missing; nothing on other databases. Taken back, it stays."""

    reversible = True

    def state_forwards(self, app_label: str, state: Any) -> None:
        pass

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        connection = schema_editor.connection
        if connection.vendor != "postgresql" or not router.allow_migrate(connection.alias, app_label):
            return
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT installed_version FROM pg_available_extensions WHERE name = 'vector'"
                " UNION ALL SELECT extversion FROM pg_extension WHERE extname = 'vector'"
            )
            versions = [row[0] for row in cursor.fetchall()]
            if not versions:
                raise CommandError(_how_to_install(connection))
            if any(versions):
                return
            try:
                with transaction.atomic(using=connection.alias):
                    cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
            except Error as error:
                raise CommandError(
                    f"The database {connection.alias!r} has no extension vector yet, and making it failed: {error}"
                    f"Let a superuser run CREATE EXTENSION vector in the database"
                    f" {connection.settings_dict['NAME']!r}, then migrate again."
                ) from error

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        pass

    def describe(self) -> str:
        return "Makes the extension vector on PostgreSQL"


def _how_to_install(connection: Any) -> str:
    major = connection.pg_version // 10000
    return (
        f"chronos_storage.vectors needs the extension pgvector, and the server of the database {connection.alias!r}"
        f" (PostgreSQL {major}) doesn't have it. Install it there: the package postgresql-{major}-pgvector on Debian"
        f" and Ubuntu, pgvector_{major} on Red Hat, or from source (https://github.com/pgvector/pgvector); then"
        f" migrate again. To do without vectors, take chronos_storage.vectors out of INSTALLED_APPS, or keep its"
        f" migrations from this database with a router's allow_migrate. The app chronos_storage doesn't need it."
    )
