"""`connect`: a store outside the settings, by its address."""

from __future__ import annotations

import atexit
import hashlib
import os
import sqlite3
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import dj_database_url
from django.db import connections

from .exceptions import ConfigurationError

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from .backends.base import Storage

MEMORY = ":memory:"
MEMORY_SCHEME = "memory://"
#: What the names of databases in memory have that all connections of the process share, with locks as on a file.
SHARED_MEMORY = "vfs=memdb"
_SQL_SCHEMES = {
    "sqlite": "sqlite",
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
}

_SQLITE = "django.db.backends.sqlite3"
#: The driver's option that refuses writes, and what it has to hold.
_READ_ONLY = {
    "postgres": ("options", " -c default_transaction_read_only=on"),
    "mysql": ("init_command", "SET SESSION TRANSACTION READ ONLY"),
}

#: What SQLite needs so that several processes can write; see `chronos_storage.checks`.
SQLITE_OPTIONS = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL",
}


def connect(dsn: str, *, migrate: bool = False, **options: Any) -> Storage:
    """Open the store that an address names.

    Args:
        dsn: ``memory://`` (in this process's memory, a store of its own for each call) or ``memory://name`` (the same
            for each call); ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or a bare file name (folders are made,
            the file is in WAL mode); ``:memory:`` (SQLite in memory, a store of its own for each call, kept until the
            process ends); ``postgres://user:password@host:port/name``; ``mysql://user:password@host:port/name``.
        migrate: bring the store's tables up to date first.
        options: the database alias's own settings, as in Django's DATABASES, in small letters (``conn_max_age``), and
            under ``options`` those of its driver.

    Returns:
        A storage, for SQL on a database alias of its own; the same alias for the same address and options.

    Raises:
        ConfigurationError: the address's scheme is not known, or it can't be read.
    """
    if dsn.startswith(MEMORY_SCHEME):
        return _memory(dsn.removeprefix(MEMORY_SCHEME), options)
    from .backends.orm import OrmStorage

    settings = _settings(dsn)
    driver_options = options.pop("options", {})
    settings |= {name.upper(): value for name, value in options.items()}
    settings["OPTIONS"] = {**settings.get("OPTIONS", {}), **driver_options}
    storage = OrmStorage(using=_alias(settings))
    if migrate:
        storage.migrate()
    return storage


def connect_read_only(dsn: str) -> BaseDatabaseWrapper:
    """A connection with the SQL database that an address names, on which nothing can be written.

    Raises:
        ConfigurationError: the address's scheme is not SQL's, it can't be read, or it names a file that isn't there.
    """
    if "://" not in dsn or urlsplit(dsn).scheme == "sqlite":
        name = unquote(urlsplit(dsn).path[1:]) if "://" in dsn else dsn
        path = Path(os.path.abspath(name))  # noqa: PTH100
        if not path.is_file():
            raise ConfigurationError(f"there is no file {name}")
        return connections[_alias({"ENGINE": _SQLITE, "NAME": f"file:{quote(str(path))}?mode=ro"})]
    settings = _settings(dsn)
    options = settings.setdefault("OPTIONS", {})
    name, clause = _READ_ONLY[_SQL_SCHEMES[urlsplit(dsn).scheme]]
    options[name] = f"{options.get(name, '')}{clause}"
    return connections[_alias(settings)]


def _alias(settings: dict[str, Any]) -> str:
    """The database alias of these settings; the same again for the same."""
    key = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:16]
    alias = f"chronos_{key}"
    if alias not in connections.settings:
        connections.settings |= connections.configure_settings(
            {"default": connections.settings["default"], alias: settings}
        )
    return alias


def _memory(name: str, options: dict[str, Any]) -> Storage:
    from .backends.document import MemoryStorage

    if options:
        raise ConfigurationError(f"{MEMORY_SCHEME} knows no option {', '.join(options)}")
    return MemoryStorage(unquote(name))


def _settings(dsn: str) -> dict[str, Any]:
    """What Django's DATABASES would say of this address."""
    if "://" not in dsn:
        return _sqlite(dsn)
    scheme = urlsplit(dsn).scheme
    if scheme not in _SQL_SCHEMES:
        known = ", ".join([MEMORY_SCHEME, *(f"{name}://" for name in _SQL_SCHEMES)])
        raise ConfigurationError(f"{scheme}:// is no store that connect() knows; it knows {known} and file names")
    try:
        settings: dict[str, Any] = dict(dj_database_url.parse(_SQL_SCHEMES[scheme] + dsn[len(scheme) :]))
    except ValueError as error:
        raise ConfigurationError(f"the {scheme}:// address can't be read") from error
    if _SQL_SCHEMES[scheme] == "sqlite":
        return _sqlite(str(settings["NAME"]), **settings.get("OPTIONS", {}))
    if _SQL_SCHEMES[scheme] == "mysql":
        _provide_mysqldb()
    return settings


def _sqlite(name: str, **options: Any) -> dict[str, Any]:
    defaults = SQLITE_OPTIONS
    if name == MEMORY:
        name, defaults = _new_memory(), {**SQLITE_OPTIONS, "init_command": ""}
    else:
        path = Path(os.path.abspath(name))  # noqa: PTH100 - a symbolic link may point to a file that is yet to be made
        path.parent.mkdir(parents=True, exist_ok=True)
        name = str(path)
    return {"ENGINE": _SQLITE, "NAME": name, "OPTIONS": {**defaults, **options}}


def _new_memory() -> str:
    """The name of a new database in memory: a plain ":memory:" is another one for each thread."""
    if sqlite3.sqlite_version_info < (3, 36):
        raise ConfigurationError(f"{MEMORY} needs SQLite 3.36 or later; this is {sqlite3.sqlite_version}")
    name = f"file:/chronos-{uuid.uuid4().hex}?{SHARED_MEMORY}"
    # It is there as long as a connection is.
    atexit.register(sqlite3.connect(name, uri=True, check_same_thread=False).close)
    return name


def _provide_mysqldb() -> None:
    """Django's MySQL backend imports MySQLdb; PyMySQL, the extra "mysql", can stand in for it."""
    try:
        import MySQLdb  # noqa: F401
    except ImportError:
        try:
            import pymysql
        except ImportError as error:
            raise ConfigurationError("a mysql:// store needs PyMySQL: install chronos-storage[mysql]") from error
        pymysql.install_as_MySQLdb()
