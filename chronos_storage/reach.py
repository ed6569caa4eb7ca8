"""The stores of the settings that ``migrate`` does not reach by itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections

from .aliases import is_connected
from .backends.handler import DEFAULT_ALIAS, AliasHandler
from .compat.connections import settings_of
from .compat.schema import unapplied
from .exceptions import ConfigurationError
from .facade.stores import storages
from .queues.handler import queue_handler
from .vectors.handler import vector_stores

#: The sections of the settings, each with the app that has its tables.
_SECTIONS: tuple[tuple[AliasHandler[Any], str], ...] = (
    (storages, "chronos_storage"),
    (queue_handler, "chronos_storage"),
    (vector_stores, "chronos_vectors"),
)


class Elsewhere(NamedTuple):
    """A configured store that keeps its tables in another database than ``migrate`` migrates.

    Attributes:
        database: the alias.
        app_label: the app that has the tables.
        text: where the settings name the store, and its database.
        remedy: what makes its tables.
    """

    database: str
    app_label: str
    text: str
    remedy: str


def elsewhere(migrated: str = DEFAULT_DB_ALIAS) -> Iterator[Elsewhere]:
    """The stores of the settings in other databases than this one."""
    for handler, alias, database, app_label in in_databases():
        if database != migrated:
            yield _found(handler, alias, database, app_label)


def in_databases() -> Iterator[tuple[AliasHandler[Any], str, str, str]]:
    """The stores of the settings that have a database: the section, the store's alias, the database's, and the app."""
    there = {app.label for app in apps.get_app_configs()}
    for handler, app_label in _SECTIONS:
        for alias in _aliases(handler) if app_label in there else ():
            if (database := database_of(handler, alias)) is not None:
                yield handler, alias, database, app_label


def _aliases(handler: AliasHandler[Any]) -> list[str]:
    try:
        return list(handler)
    except ConfigurationError:  # which other checks say
        return []


def _found(handler: AliasHandler[Any], alias: str, database: str, app_label: str) -> Elsewhere:
    place, ways = database, ["chronos_migrate", f"migrate --database {database}"]
    if is_connected(database):
        place, ways = settings_of(connections[database])["NAME"], ways[:1]
    if handler is storages:
        ways.insert(1, "storage.migrate()" if alias == DEFAULT_ALIAS else f'storages["{alias}"].migrate()')
    text = f"{handler.where(alias)} keeps its tables in the database {place!r}"
    return Elsewhere(database, app_label, text, f"Run {' or '.join(ways)}.")


def database_of(handler: AliasHandler[Any], alias: str) -> str | None:
    """The alias of the database of a configured store; None of one that has none, or can't be made."""
    try:
        store: Any = handler[alias]
        database: str | None = store.backend.using if handler is storages else getattr(store, "alias", None)
    except ConfigurationError:  # which other checks say
        return None
    return database


def after_migration(using: str, verbosity: int, stdout: Any = None, **kwargs: Any) -> None:
    """The receiver of post_migrate: closes the command's output with the stores that still lack their tables."""
    if verbosity < 1 or stdout is None:
        return
    for found in elsewhere(using):
        if problem := _problem(found):
            stdout.write(f"Not migrated: {found.text}, {problem}. {found.remedy}")


def _problem(found: Elsewhere) -> str:
    try:
        count = unapplied(found.database, found.app_label)
    except DatabaseError as error:
        return f"which can't be reached ({str(error).strip()})"
    return f"where {count} migrations are not applied" if count else ""
