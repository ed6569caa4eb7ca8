"""Of the databases' aliases and connections."""

from __future__ import annotations

from asyncio import _get_running_loop  # which raises nothing where there is none: that takes longer than all else here
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import get_ident
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.utils.connection import ConnectionProxy

#: The alias of a connection with a server that is made to create or to remove a database.
NO_DATABASE: str = NO_DB_ALIAS

#: Django's method, which does nothing where there is a connection.
_ensure_connection: Any = BaseDatabaseWrapper.ensure_connection


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


def connection_on(alias: str) -> Any:
    """``connections[alias]``, in a fifth of the time where the thread has one and runs no event loop."""
    if _get_running_loop() is None:
        handler: Any = connections
        try:
            return getattr(handler._connections._storage, alias)
        except AttributeError:  # there is none yet
            pass
    return connections[alias]


def unused_connection(alias: str) -> BaseDatabaseWrapper:
    """A connection of nobody's to look at, made in any thread or event loop; the driver's own is not made."""
    connection: BaseDatabaseWrapper = connections.create_connection(alias)
    return connection


def open_connections() -> Sequence[BaseDatabaseWrapper]:
    """This thread's connections, as far as they were made."""
    return connections.all(initialized_only=True)


def settings_of(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """The entry of ``DATABASES`` that a connection was made of, with Django's defaults."""
    return connection.settings_dict


def in_transaction(connection: BaseDatabaseWrapper) -> bool:
    """Whether an `atomic` block is open."""
    return connection.in_atomic_block


def begins_with_lock(connection: BaseDatabaseWrapper) -> bool:
    """Whether it is SQLite and a transaction is open that took the lock of all writers as it began."""
    mode = settings_of(connection)["OPTIONS"].get("transaction_mode") or ""
    # One that goes on after `atomic`, with Django's autocommit off, was begun by the driver, which takes none.
    is_own = in_transaction(connection) and connection.commit_on_exit
    return is_own and mode.upper() in ("IMMEDIATE", "EXCLUSIVE")


@contextmanager
def begun_without_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """A transaction around the block, which on SQLite takes no lock of all writers, whatever the settings say."""
    wrapper: Any = connection
    mode = getattr(wrapper, "transaction_mode", None)
    with ExitStack() as stack:
        try:
            wrapper.transaction_mode = None
            stack.enter_context(transaction.atomic(using=connection.alias))
        finally:
            wrapper.transaction_mode = mode
        yield


def driver_connection(connection: BaseDatabaseWrapper) -> Any:
    """The driver's own connection; None before there is one."""
    return connection.connection


def is_closed(connection: BaseDatabaseWrapper) -> bool:
    """Whether the driver's connection is known to be of no more use; the drivers of MySQL say whether it is open."""
    driver = driver_connection(connection)
    return bool(getattr(driver, "closed", False)) or not getattr(driver, "open", True)


def connect(connection: BaseDatabaseWrapper) -> None:
    """Make the driver's connection if there is none, or none that is still good."""
    wrapper: Any = connection
    if wrapper.health_check_enabled:
        wrapper.close_if_health_check_failed()
    # Django forbids what waits in a running loop, and pytest-django puts a method in its place that forbids all.
    is_own = getattr(wrapper.ensure_connection, "__func__", None) is _ensure_connection
    if not is_own or wrapper.connection is None or _get_running_loop() is not None:
        wrapper.ensure_connection()


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


def is_watched(connection: BaseDatabaseWrapper) -> bool:
    """Whether somebody wants to be called with each statement, as `execute_wrapper` has it."""
    return bool(connection.execute_wrappers)


def is_logged(connection: BaseDatabaseWrapper) -> bool:
    """Whether Django keeps a log of the statements."""
    return connection.queries_logged


def validate(connection: BaseDatabaseWrapper) -> None:
    """Raise what a cursor of Django's raises where its connection is another thread's or its transaction is broken."""
    wrapper: Any = connection
    if wrapper._thread_ident != get_ident():
        wrapper.validate_thread_sharing()
    if wrapper.needs_rollback:
        wrapper.validate_no_broken_transaction()


def hold_nothing(cursor: Any) -> None:
    """Have a cursor of PostgreSQL's driver, psycopg 3, let go of its last statement's values and rows."""
    cursor._reset()


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


def server_version(connection: BaseDatabaseWrapper) -> tuple[int, ...]:
    """The server's version, its main number first."""
    wrapper: Any = connection
    version: tuple[int, ...] = wrapper.get_database_version()
    return version


def client_call(
    connection: BaseDatabaseWrapper, settings: dict[str, Any], parameters: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """How a program of the server's is called that is given these settings: arguments, without its name, and variables.

    The database's name stands after PostgreSQL's parameters, and before those of the others.
    """
    client: Any = connection.client
    arguments, variables = client.settings_to_cmd_args_env(settings, list(parameters))
    return arguments[1:], variables or {}
