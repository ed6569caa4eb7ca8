"""How much room a store takes, as far as it can tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db import connections

from ..facade import Storage
from ..sqlite_files import file_of

_APPS = ("chronos_storage", "chronos_vectors")


def sizes(storage: Storage) -> dict[str, int]:
    """Bytes, by the name of the table, or of the file; empty where the store can't tell."""
    alias = storage.backend.using
    if alias is None:
        folder = getattr(getattr(storage.backend, "driver", None), "folder", None)
        return {} if folder is None else {str(folder): _size_of(Path(folder))}
    connection = connections[alias]
    return _VENDORS.get(connection.vendor, _unknown)(connection)


def _size_of(folder: Path) -> int:
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # it was removed meanwhile
            continue
    return found


def _tables() -> tuple[str, ...]:
    configs = (each for each in apps.get_app_configs() if each.label in _APPS)
    return tuple(sorted(model._meta.db_table for config in configs for model in config.get_models()))


def _sqlite(connection: Any) -> dict[str, int]:
    name = file_of(connection)
    files = (name.with_name(name.name + ending) for ending in ("", "-wal"))
    return {path.name: path.stat().st_size for path in files if path.is_file()}


def _postgresql(connection: Any) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class WHERE relname = ANY(%s) AND relkind = 'r'"
            " AND pg_table_is_visible(oid) ORDER BY 1",
            [list(_tables())],
        )
        return dict(cursor.fetchall())


def _mysql(connection: Any) -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, data_length + index_length FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_name IN %s ORDER BY 1",
            [_tables()],
        )
        return {name: int(size or 0) for name, size in cursor.fetchall()}


def _unknown(connection: Any) -> dict[str, int]:
    return {}


_VENDORS: dict[str, Callable[[Any], dict[str, int]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mysql": _mysql,
}
