"""Database triggers that refuse UPDATE and DELETE on the ledger's tables, and the permit that opens DELETE.

They are made after every migration rather than by one, so that they are there wherever the tables came from (a test
database made without migrations, a SQLite table rebuild), and again after it. The SQL of each database is in a
module of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.options import Options

from ..exceptions import ConfigurationError
from . import postgresql, triggers_mysql, triggers_postgresql, triggers_sqlite
from .guards import LedgerModel
from .series import SERIES

MESSAGE = "chronos_storage: ledger rows are append-only"


class Triggers(Protocol):
    """What a database's module has."""

    #: Whether a rollback takes the permit back, as it must where a failed transaction takes no more statements.
    PERMIT_ENDS_WITH_ROLLBACK: bool

    def create(self, table: str, keys: list[list[str]], message: str) -> dict[str, list[str]]:
        """Statements that make each trigger of `table`, by the trigger's name.

        Args:
            keys: the columns of each unique key.
        """

    def installed(self, connection: BaseDatabaseWrapper) -> set[str]:
        """The names of the triggers that are in the database and enabled."""

    def set_permit(self, connection: BaseDatabaseWrapper, given: bool) -> None:
        """Let this connection delete, until taken back or, where the database can, until the transaction ends."""


_VENDORS: dict[str, Triggers] = {
    "postgresql": triggers_postgresql,
    "sqlite": triggers_sqlite,
    "mysql": triggers_mysql,
}


def _models(connection: BaseDatabaseWrapper) -> list[type[LedgerModel]]:
    tables = set(connection.introspection.table_names())
    return [model for model in SERIES if model._meta.db_table in tables]


def _column(meta: Options[LedgerModel], field: str) -> str:
    found: Any = meta.pk if field == "pk" else meta.get_field(field)
    return str(found.column)


def _statements(connection: BaseDatabaseWrapper) -> dict[str, list[str]]:
    statements: dict[str, list[str]] = {}
    for model in _models(connection):
        meta = model._meta
        unique = [["pk"], *(constraint.fields for constraint in meta.total_unique_constraints)]
        keys = [[_column(meta, field) for field in fields] for fields in unique]
        statements |= _VENDORS[connection.vendor].create(meta.db_table, keys, MESSAGE)
        if connection.vendor == "postgresql":
            series = SERIES[model]
            statements[postgresql.function_name(series)] = [postgresql.create_function(series)]
    return statements


def install(using: str) -> None:
    """Make the triggers that are missing in this database.

    Raises:
        ConfigurationError: a MySQL server lets this user make none; the message says what it needs.
    """
    connection = connections[using]
    with connection.cursor() as cursor:
        for name in missing(using):
            for statement in _statements(connection)[name]:
                try:
                    cursor.execute(statement)
                except DatabaseError as error:
                    if error.args[:1] == (triggers_mysql.NO_TRIGGERS_UNDER_BINARY_LOG,):
                        raise ConfigurationError(triggers_mysql.GRANT) from error
                    raise


def missing(using: str) -> list[str]:
    """The names of the triggers that should be in this database and aren't."""
    connection = connections[using]
    if connection.vendor not in _VENDORS:
        return []
    return sorted(_statements(connection).keys() - _VENDORS[connection.vendor].installed(connection))


@contextmanager
def deletion_permitted(using: str) -> Iterator[None]:
    """The triggers let this connection delete; on PostgreSQL a transaction must be open, which ends it too."""
    connection = connections[using]
    vendor = _VENDORS[connection.vendor]
    vendor.set_permit(connection, True)
    try:
        yield
    except BaseException:
        if not vendor.PERMIT_ENDS_WITH_ROLLBACK:
            vendor.set_permit(connection, False)
        raise
    vendor.set_permit(connection, False)


def after_migration(using: str, **kwargs: Any) -> None:
    """The receiver of post_migrate."""
    install(using)
