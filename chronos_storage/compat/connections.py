"""Of the databases' aliases and connections."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.db import connections
from django.db.backends.base.base import NO_DB_ALIAS, BaseDatabaseWrapper
from django.utils.connection import ConnectionProxy

#: The alias of a connection with a server that is made to create or to remove a database.
NO_DATABASE: str = NO_DB_ALIAS


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
