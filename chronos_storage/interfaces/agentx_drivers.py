"""AgentX' drivers: which store its persistence, or its queue, is to open."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..dsn import connect, file_path
from ..facade import Storage
from .agentx_originals import refuse_original


@dataclass(frozen=True, slots=True)
class Driver:
    """Which store a persistence is to open.

    Attributes:
        address: the store's, as `connect` takes it.
        is_file: whether that is the path of a file, which AgentX itself may have written.
        options: what `connect` takes besides.
    """

    address: str
    is_file: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


def memory_driver(name: str = "") -> Driver:
    """In this process's memory: a store of its own, or with a name the one that all drivers of this name share."""
    return Driver(f"memory://{name}")


def sqlite_driver(path: str | Path) -> Driver:
    """In a SQLite file, which is made with its folders where it isn't there."""
    return Driver(os.fspath(path), is_file=True)


def fs_driver(base: str | Path) -> Driver:
    """In JSON files in a folder, which is made with those above it where it isn't there."""
    return Driver(file_path(os.fspath(base)).as_uri())


def postgresql_driver(connection_string: str) -> Driver:
    """In PostgreSQL: ``postgres://user:password@host:port/name``."""
    return Driver(connection_string)


def mysql_driver(uri: str) -> Driver:
    """In MariaDB or MySQL: ``mysql://user:password@host:port/name``."""
    return Driver(uri)


def redis_driver(url: str, base: str = "agentx") -> Driver:
    """In Redis: ``redis://:password@host:port/database``; all keys begin with the base."""
    mark = "&" if "?" in url else "?"
    return Driver(f"{url}{mark}base={quote(base, safe='')}")


def mongodb_driver(connection_string: str, database_name: str = "agentx", collection_name: str = "storage") -> Driver:
    """In a collection of MongoDB's: ``mongodb://user:password@host:port``."""
    return Driver(connection_string, options={"database": database_name, "collection": collection_name})


def opened(driver: Driver) -> Storage:
    """The storage that a driver names, ready for use; asynchronous calls have connections of their own.

    Raises:
        ConfigurationError: the address can't be used, or names a file of AgentX' own.
    """
    if driver.is_file:
        refuse_original(driver.address)
    storage = connect(driver.address, migrate=True, **driver.options)
    storage.close()
    return storage
