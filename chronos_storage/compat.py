"""What is used of Django and the drivers without being documented: here and nowhere else below the admin and the API.

Each has a test in ``tests/unit/test_compat.py`` that fails where an upgrade changes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NoReturn, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.indexes import IndexExpression
from django.db.models.query import QuerySet
from django.db.models.sql import Query
from django.dispatch import Signal
from django.utils.connection import ConnectionProxy

M = TypeVar("M", bound=models.Model)
F = TypeVar("F", bound=Callable[..., Any])

# Aliases


def add_database(alias: str, settings: dict[str, Any]) -> None:
    """Make a database known to this process that the host's settings don't name.

    Args:
        settings: as an entry of ``DATABASES``; what is left out gets Django's defaults.
    """
    handler: Any = connections
    known = handler.settings  # which is the host's own DATABASES, and stays as it is
    handler.settings = known | handler.configure_settings({"default": known["default"], alias: settings})


def alias_proxy(handler: Any, alias: str) -> Any:
    """What stands for ``handler[alias]``, which is asked for with each use."""
    return ConnectionProxy(handler, alias)


def close_connections() -> None:
    """Close all of this thread's connections."""
    connections.close_all()


def open_connections() -> Sequence[BaseDatabaseWrapper]:
    """This thread's connections, as far as they were made."""
    return connections.all(initialized_only=True)


def unapplied(using: str, app_label: str) -> int:
    """How many of an app's migrations this database still lacks; raises the database's errors."""
    from django.db.migrations.executor import MigrationExecutor  # much, for a look that is rarely taken

    executor = MigrationExecutor(connections[using])
    return len(executor.migration_plan([node for node in executor.loader.graph.leaf_nodes() if node[0] == app_label]))


# Connections


def settings_of(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """The entry of ``DATABASES`` that a connection was made of, with Django's defaults."""
    return connection.settings_dict


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether an `atomic` block is open."""
    return connection.in_atomic_block


def driver_connection(connection: BaseDatabaseWrapper) -> Any:
    """The driver's own connection; None before there is one."""
    return connection.connection


def connect(connection: BaseDatabaseWrapper) -> None:
    """Make the driver's connection if there is none, or none that is still good."""
    connection.close_if_health_check_failed()
    connection.ensure_connection()


def pool_of(connection: BaseDatabaseWrapper) -> Any:
    """psycopg's pool that a connection is taken from, or None."""
    return getattr(connection, "pool", None)


def unwrapped_connection(using: str, **defaults: Any) -> Any:
    """A new connection of PostgreSQL's driver with the alias's settings, not from its pool and in autocommit.

    Args:
        defaults: parameters that the settings may have others for.
    """
    wrapper: Any = connections.create_connection(using)
    return wrapper.Database.connect(**{**defaults, **wrapper.get_connection_params(), "autocommit": True})


def close_anywhere(connection: BaseDatabaseWrapper) -> None:
    """Close a connection that another thread has made."""
    connection.inc_thread_sharing()
    connection.close()


def database_errors(connection: BaseDatabaseWrapper) -> AbstractContextManager[None]:
    """Within the block the driver's errors become those of `django.db`."""
    errors: AbstractContextManager[None] = connection.wrap_database_errors
    return errors


def wrapped_cursor(connection: BaseDatabaseWrapper, cursor: Any) -> Any:
    """A cursor of the driver's as Django gives it: errors are its own, and queries are logged or forbidden."""
    return connection._prepare_cursor(cursor)  # type: ignore[attr-defined]


def streaming_cursor(connection: BaseDatabaseWrapper) -> Any:
    """A cursor that doesn't fetch all rows at once, where the driver has one."""
    return connection.chunked_cursor()


def is_in_memory(connection: BaseDatabaseWrapper) -> bool:
    """Whether it is SQLite, and no file."""
    wrapper: Any = connection
    return bool(wrapper.is_in_memory_db())


def is_mariadb(connection: BaseDatabaseWrapper) -> bool:
    """Whether a server of the vendor "mysql" is MariaDB."""
    wrapper: Any = connection
    return bool(wrapper.mysql_is_mariadb)


def server(connection: BaseDatabaseWrapper) -> str:
    """The server's name and version."""
    wrapper: Any = connection
    return f"{wrapper.display_name} {'.'.join(map(str, wrapper.get_database_version()))}"


# The schema


def quoted(connection: BaseDatabaseWrapper, name: str) -> str:
    """The name of a table or column as it stands in a statement."""
    return str(connection.ops.quote_name(name))


def table_names(connection: BaseDatabaseWrapper) -> list[str]:
    """The tables that are there."""
    return connection.introspection.table_names()


def column_names(connection: BaseDatabaseWrapper, table: str) -> list[str]:
    """The columns of a table."""
    with connection.cursor() as cursor:
        return [column.name for column in connection.introspection.get_table_description(cursor, table)]


def constraint_names(connection: BaseDatabaseWrapper, table: str) -> set[str]:
    """The constraints and indexes of a table."""
    with connection.cursor() as cursor:
        return set(connection.introspection.get_constraints(cursor, table))


def index_statement(using: str, model: type[models.Model], index: Any, wrappers: Sequence[type[Any]]) -> str:
    """The statement that builds one of PostgreSQL's indexes beside the work of others.

    Args:
        wrappers: what stands around an index's expressions, in the order of SQL, as the app django.contrib.postgres
            says it, which a host need not have.
    """
    IndexExpression.register_wrappers(*wrappers)
    return str(index.create_sql(model, connections[using].schema_editor(), concurrently=True))


# Queries


def statement(rows: QuerySet[Any]) -> tuple[str, Sequence[Any]]:
    """The text of a queryset's statement and its parameters.

    Raises:
        EmptyResultSet: no row can match, and so there is none.
    """
    sql, parameters = rows.query.get_compiler(using=rows.db).as_sql()
    return sql, parameters


def each_once(rows: QuerySet[Any]) -> QuerySet[Any]:
    """The same rows by a statement that neither groups them nor drops repeats."""
    if not rows.query.distinct and rows.query.group_by is None:
        return rows
    once: QuerySet[Any] = rows.model._default_manager.using(rows.db).filter(pk__in=rows.order_by().values("pk"))
    return once


def expression_sql(using: str, model: type[models.Model], expression: Any) -> str:
    """The text of an expression over a model's columns, which have no table's name before them."""
    query = Query(model, alias_cols=False)
    return str(query.get_compiler(using).compile(expression.resolve_expression(query))[0])


def selected(rows: QuerySet[Any]) -> tuple[str, Sequence[Any], Sequence[Any]]:
    """The text of the expressions that a queryset's statement selects, their parameters, and the expressions."""
    compiler = rows.query.get_compiler(using=rows.db)
    compiler.setup_query()
    expressions, texts, _ = zip(*compiler.select, strict=True)
    return ", ".join(sql for sql, _ in texts), [each for _, parameters in texts for each in parameters], expressions


#: Gives the rows of a cursor.
Read = Callable[[Any], list[tuple[Any, ...]]]
#: Gives what columns hold of a queryset's rows.
Fetch = Callable[[QuerySet[Any], Sequence[str]], Iterator[tuple[Any, ...]]]


def read_all(cursor: Any) -> list[tuple[Any, ...]]:
    """All that are left."""
    found: list[tuple[Any, ...]] = cursor.fetchall()
    return found


def fetch_values(rows: QuerySet[Any], columns: Sequence[str], read: Read = read_all) -> Iterator[tuple[Any, ...]]:
    """What columns hold, as ``rows.values_list(*columns)`` gives it, in half the time."""
    compiler = rows.values_list(*columns).query.get_compiler(using=rows.db)
    try:
        sql, parameters = compiler.as_sql()
    except EmptyResultSet:
        return iter(())
    return fetch_statement(rows, sql, parameters, [each[0] for each in compiler.select], read)


def fetch_statement(
    rows: QuerySet[Any], sql: str, parameters: Sequence[Any], expressions: Sequence[Any], read: Read = read_all
) -> Iterator[tuple[Any, ...]]:
    """What a statement selects, where the queryset is.

    Django's converters are the same, but are called a column at a time, not row by row, and PostgreSQL's times come as
    ISO 8601, which Python reads six times as fast as Django's loader does; a field must take them.

    Args:
        expressions: those that the statement selects.
    """
    connection = connections[rows.db]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _take_times_as_text(cursor)
        cursor.execute(sql, parameters)
        found: list[Any] = list(zip(*read(cursor), strict=True))
    if not found:
        return iter(())
    for position, (converters, expression) in rows.query.get_compiler(rows.db).get_converters(expressions).items():
        for convert in converters:
            found[position] = [convert(value, expression, connection) for value in found[position]]
    return zip(*found, strict=True)


def _take_times_as_text(cursor: Any) -> None:
    from django.db.backends.postgresql import psycopg_any  # it needs the driver

    if psycopg_any.is_psycopg3:
        cursor.adapters.register_loader("timestamptz", psycopg_any.TextLoader)


# Models


def for_writing(rows: QuerySet[M]) -> QuerySet[M]:
    """The rows where a write would go: on the alias that was chosen, or else the routers' for writing."""
    found: Any = rows.all()
    found._for_write = True
    chosen: QuerySet[M] = found.using(found.db)
    return chosen


def delete_unseen(rows: QuerySet[Any], using: str) -> int:
    """Delete rows in one statement, without looking at them: no signal is sent, and nothing cascades."""
    return QuerySet._raw_delete(rows, using) or 0


class GuardedQuerySet(models.QuerySet[M]):
    """A queryset that is asked before Django itself writes in the ways that `delete` and `update` don't see."""

    def _refuse_removal(self) -> NoReturn:
        """Raise an error, instead of deleting without a look."""
        raise NotImplementedError

    def _changed(self, values: Iterable[tuple[Any, Any]]) -> int:
        """What becomes of the rows of a model that is saved and may be stored already; returns how many there are.

        Args:
            values: the fields, each with its value.
        """
        raise NotImplementedError

    def _raw_delete(self, using: str | None) -> NoReturn:
        self._refuse_removal()

    def _update(self, values: Any, returning_fields: Any = None) -> Any:
        count = self._changed([(field, value) for field, _, value in values])
        return count if returning_fields is None else [()] * count


class GuardedModel:
    """In front of a model's class: `save_base` asks `save` too; what loads fixtures calls Django's own."""

    save: Callable[[], None]

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        self.save()


def looking_at_few(on_delete: F) -> F:
    """Make it an ``on_delete`` for which Django does not load all the rows that refer to what is deleted."""
    on_delete.lazy_sub_objs = True  # type: ignore[attr-defined]
    return on_delete


class Column:
    """In front of a field's class: no check of Django's, and a say in the collation and in how it is selected."""

    def collation(self, connection: BaseDatabaseWrapper) -> str | None:
        """The column's collation; None for the database's."""
        return None

    def selected(self, connection: BaseDatabaseWrapper, sql: str) -> str:
        """The column as the outermost statement selects it."""
        return sql

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)  # type: ignore[misc]
        collation = self.collation(connection)
        return parameters if collation is None else {**parameters, "collation": collation}

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        return None

    def select_format(self, compiler: Any, sql: str, params: Any) -> Any:
        return (sql if compiler.query.subquery else self.selected(compiler.connection, sql)), params


def is_heard(signal: Signal, sender: type[Any]) -> bool:
    """Whether there is a receiver for what this sender sends."""
    return signal.has_listeners(sender)


def renew_lock(signal: Signal) -> None:
    """Give a signal a new lock, in a forked child where another thread of its parent may have held it."""
    signal.lock = threading.Lock()
