"""What an alias of the settings or an address names: a storage, the queue beside it, and vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections

from .. import conf
from ..aliases import is_connected
from ..backends.orm import OrmBackend
from ..compat.connections import settings_of
from ..dsn import connect, file_path, shown
from ..exceptions import ConfigurationError, StoreFailure
from ..facade import Storage
from ..facade.stores import storages
from ..queues.base import EventQueue
from ..queues.beside import queue_beside
from ..vectors.addresses import SCHEMES, connect_vectors, make_tables
from ..vectors.base import VectorStore
from ..vectors.handler import vector_stores

_APP = "chronos_storage.vectors"


@dataclass(frozen=True, slots=True)
class Place:
    """What is kept in one place.

    Attributes:
        name: the alias, or the address without its password.
        address: the address; empty for an alias.
        storage: the records; None where an address names a vector store.
    """

    name: str
    address: str
    storage: Storage | None

    def prepare(self, *, make: bool) -> None:
        """See that the records can be read.

        Args:
            make: whether what an address names is made, and its tables brought up to date.

        Raises:
            StoreFailure: it can't be reached, or its tables are not up to date.
        """
        if self.storage is None:
            return
        if make and self.address:
            self.storage.migrate()
        if problems := self.storage.health().problems:
            raise StoreFailure(f"{self.name}: {'; '.join(problems)}")

    def queue(self) -> EventQueue | None:
        """The queue beside the records; None if there is none."""
        try:
            return None if self.storage is None else queue_beside(self.storage)
        except ConfigurationError:  # of a backend that queues know nothing of
            return None

    def vectors(self, *, make: bool = False) -> VectorStore | None:
        """The vector store: of this alias or at this address, or in the database of the records; None if there is none.

        Args:
            make: whether the tables that it needs in a database are made.
        """
        if not self.address and self.name in conf.section("VECTOR_STORES"):
            return _with_tables(vector_stores[self.name], make)
        if self.storage is not None and isinstance(self.storage.backend, OrmBackend):
            if not apps.is_installed(_APP):
                return None
            from ..vectors.stores import database_store

            return _with_tables(database_store(using=self.storage.alias), make)
        return connect_vectors(self.address) if _scheme(self.address) in SCHEMES else None

    def is_same(self, other: Place) -> bool:
        """Whether both are one and the same place, as far as can be told."""
        if self.name == other.name and self.address == other.address:
            return True
        if self.storage is None or other.storage is None:
            return False
        return self.storage.backend is other.storage.backend or (
            (mine := _database(self.storage)) is not None and mine == _database(other.storage)
        )


def place_of(name: str, *, make: bool = False) -> Place:
    """The place of an alias in ``CHRONOS_STORAGE``, or of an address as `connect` and `connect_vectors` take it.

    Args:
        make: whether a file that an address names need not be there yet.

    Raises:
        ConfigurationError: it is neither; or there is no such file.
    """
    if name in storages:
        return Place(name, "", storages[name])
    if name in vector_stores:
        return Place(name, "", None)
    if not any(mark in name for mark in ("://", ".", "/", "\\", ":")):
        known = ", ".join(sorted({*storages, *vector_stores}))
        raise ConfigurationError(f"{name!r} is no alias in the settings, which have {known}, and no address")
    if _scheme(name) in SCHEMES and not _scheme(name).startswith("redis"):
        return Place(shown(name), name, None)
    if not make:
        _require_file(name)
    return Place(shown(name), name, connect(name))


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower() if "://" in address else ""


def _require_file(address: str) -> None:
    """Refuse the address of a SQLite file that isn't there, and that `connect` would make."""
    name = address.partition("://")[2].partition("?")[0] if "://" in address else address
    if _scheme(address) == "sqlite":
        name = name.removeprefix("/")
    elif _scheme(address) or name == ":memory:":
        return
    if not Path(file_path(name)).is_file():
        raise ConfigurationError(f"there is no file {name}")


def _database(storage: Storage) -> tuple[Any, ...] | None:
    if not isinstance(storage.backend, OrmBackend):
        return None
    connection = connections[storage.alias]
    settings = settings_of(connection)
    name = str(settings["NAME"])
    if connection.vendor == "sqlite":
        return connection.vendor, str(file_path(name))
    return connection.vendor, name, settings["HOST"], str(settings["PORT"])


def _with_tables(store: VectorStore, make: bool) -> VectorStore | None:
    """The store; None if it has no tables in its database, and is to make none."""
    if not isinstance(alias := getattr(store, "alias", None), str):
        return store
    if not make:
        from ..vectors.models import Embedding

        with connections[alias].cursor() as cursor:
            is_there = Embedding._meta.db_table in connections[alias].introspection.table_names(cursor)
        return store if is_there else None
    if is_connected(alias):
        make_tables(alias)
    return store


def configured_vector_stores() -> list[VectorStore]:
    """The vector stores of the settings; that of the database only where its app is installed."""
    named = conf.section("VECTOR_STORES")
    return [vector_stores[alias] for alias in vector_stores if alias in named or apps.is_installed(_APP)]
