"""What the tables have besides what a model can say: indexes for metadata and words, made after every migration.

They are not made by a migration, so that they are there wherever the tables came from (a test database made without
migrations, a SQLite table rebuild, which drops triggers). The SQL of each database is in a module of its own.
"""

from __future__ import annotations

from typing import Any, Protocol

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.schema import table_names
from . import schema_mysql, schema_postgresql, schema_sqlite
from .models import Embedding


class Schema(Protocol):
    """What a database's module has."""

    def install(self, connection: BaseDatabaseWrapper) -> None:
        """Make what is missing."""

    def remove(self, connection: BaseDatabaseWrapper) -> None:
        """Remove what did not go with the table."""


_VENDORS: dict[str, Schema] = {
    "postgresql": schema_postgresql,
    "sqlite": schema_sqlite,
    "mysql": schema_mysql,
}


def install(using: str) -> None:
    """Make what is missing in this database; where it has no table of embeddings, remove what was left behind."""
    connection = connections[using]
    if (vendor := _VENDORS.get(connection.vendor)) is None:
        return
    if Embedding._meta.db_table in table_names(connection):
        vendor.install(connection)
    else:
        vendor.remove(connection)


def after_migration(using: str, **kwargs: Any) -> None:
    """The receiver of post_migrate."""
    install(using)
