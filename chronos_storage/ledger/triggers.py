"""Database triggers that refuse UPDATE and DELETE on the ledger's tables, and the permit that opens DELETE, and the one
UPDATE that empties a row.

They are made after every migration rather than by one, so that they are there wherever the tables came from (a test
database made without migrations, a SQLite table rebuild), and again after it. The SQL of each database is in a
module of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from django.core.management.base import CommandError
from django.db import DatabaseError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import UniqueConstraint
from django.db.models.options import Options

from .. import codec
from ..compat.schema import column_names, table_names
from ..exceptions import ConfigurationError
from . import triggers_mysql, triggers_postgresql, triggers_sqlite
from .definitions import Guarded, Installed, Wanted
from .delegation import delegate
from .series import CHAINS

MESSAGE = "chronos_storage: ledger rows are append-only"


class Triggers(Protocol):
    """What a database's module has."""

    #: Whether a rollback takes the permit back, as it must where a failed transaction takes no more statements.
    PERMIT_ENDS_WITH_ROLLBACK: bool
    #: What the server may refuse a trigger with, by number, and what is to be done then.
    REFUSALS: dict[int, str]

    def wanted(self, connection: BaseDatabaseWrapper, tables: dict[str, Guarded], message: str) -> dict[str, Wanted]:
        """What these tables need, by name, and what each stands on before it."""

    def installed(self, connection: BaseDatabaseWrapper) -> dict[str, Installed]:
        """What is in the database, by name."""

    def removals(self, installed: dict[str, Installed], wanted: dict[str, Wanted]) -> list[str]:
        """The names of what is to go, in order, once all is made that is wanted."""

    def set_permit(self, connection: BaseDatabaseWrapper, given: bool) -> None:
        """Let this connection delete, until taken back or, where the database can, until the transaction ends."""


_VENDORS: dict[str, Triggers] = {
    "postgresql": triggers_postgresql,
    "sqlite": triggers_sqlite,
    "mysql": triggers_mysql,
}


def _tables(connection: BaseDatabaseWrapper) -> dict[str, Guarded]:
    """The ledger's tables that are there."""
    there = set(table_names(connection))
    found = {}
    for meta, series in ((model._meta, series) for model, series in CHAINS.items() if model._meta.db_table in there):
        unique = [["pk"], *(each.fields for each in meta.constraints if isinstance(each, UniqueConstraint))]
        blank = {_column(meta, name): _literal(value) for name, value in series.blank.items()}
        changing = {_column(meta, series.table.id), "erased", *blank}
        found[meta.db_table] = Guarded(
            keys=[[_column(meta, field) for field in fields] for fields in unique],
            kept=[str(field.column) for field in meta.concrete_fields if field.column not in changing],
            blank=blank if "erased" in column_names(connection, meta.db_table) else {},
            documents=[_column(meta, series.document)],
        )
    return found


def _literal(value: Any) -> str:
    """What stands in SQL for what an erasure leaves in a column."""
    return str(value) if isinstance(value, int) else f"'{value if isinstance(value, str) else codec.encode(value)}'"


def _column(meta: Options[Any], field: str) -> str:
    found: Any = meta.pk if field == "pk" else meta.get_field(field)
    return str(found.column)


def install(using: str) -> None:
    """Make what is missing or not as it should be in this database, then remove what other versions made.

    Where there are no tables any more, that is all of it. On PostgreSQL the functions of one version before stay, for
    workers that still run it.

    Raises:
        ConfigurationError: a MariaDB or MySQL server refuses this user a trigger; the message says what to grant.
    """
    connection = connections[using]
    if (vendor := _VENDORS.get(connection.vendor)) is None:
        return
    wanted, there = vendor.wanted(connection, _tables(connection), MESSAGE), vendor.installed(connection)
    for name in _lacking(wanted, there):
        # Where the database can't do both at once, one that was not as it should be guards nothing for a moment.
        whole = transaction.atomic(using=using) if connection.features.can_rollback_ddl else nullcontext()
        with whole, connection.cursor() as cursor:
            for statement in wanted[name].create:
                try:
                    cursor.execute(statement)
                except DatabaseError as error:
                    if refusal := vendor.REFUSALS.get(error.args[0]):
                        raise ConfigurationError(
                            f"the database {using!r} refuses the ledger's triggers: {refusal}; then migrate again"
                        ) from error
                    raise
    with connection.cursor() as cursor:
        for name in vendor.removals(there, wanted):
            cursor.execute(there[name].drop)
    delegate(using)


def missing(using: str) -> list[str]:
    """The names of the triggers and functions that should be in this database, and aren't or are others."""
    connection = connections[using]
    if (vendor := _VENDORS.get(connection.vendor)) is None:
        return []
    return sorted(_lacking(vendor.wanted(connection, _tables(connection), MESSAGE), vendor.installed(connection)))


def _lacking(wanted: dict[str, Wanted], installed: dict[str, Installed]) -> list[str]:
    return [
        name
        for name, each in wanted.items()
        if (found := installed.get(name)) is None or (found.text != each.text and not found.hidden)
    ]


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
    try:
        install(using)
    except ConfigurationError as error:
        raise CommandError(str(error)) from error
