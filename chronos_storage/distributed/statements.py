"""The statements that spread the tables of a database over workers, as far as they are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from ..compat.connections import settings_of
from ..compat.schema import quoted, table_names
from ..exceptions import ConfigurationError
from ..models import AuditLog
from .places import AUDIT_IDS, FIRST, PLACES, Place
from .state import distributed, has_citus

#: The database's own settings from then on: a transaction's permit reaches the workers, and tables may have triggers,
#: of which ours look at nothing but their own row.
_SETTINGS = {"citus.propagate_set_commands": "local", "citus.enable_unsafe_triggers": "on"}
#: Before everything else, in the transaction: they, and one connection with each worker, as keys refer to each other.
BEGIN = tuple(
    f"SET LOCAL {name} TO {value}"
    for name, value in {**_SETTINGS, "citus.multi_shard_modify_mode": "sequential"}.items()
)

#: The keys that an index has no room for with one more column: by name, the column that can be a digest in it, as the
#: other one tells nearly as much.
_LONG = {"chronos_head_series": "owner", "chronos_queueentry_key": "topic"}

_KEYS = """
    SELECT conrelid::regclass::text, conname, contype, pg_get_constraintdef(oid), confrelid::regclass::text,
        ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS key (attnum, place)
              JOIN pg_attribute ON attrelid = conrelid AND pg_attribute.attnum = key.attnum ORDER BY place)
    FROM pg_constraint
    WHERE contype IN ('p', 'u', 'f')
        AND (conrelid = ANY(%s::text[]::regclass[]) OR confrelid = ANY(%s::text[]::regclass[]))
    ORDER BY conrelid::regclass::text, conname"""


def lacking(connection: BaseDatabaseWrapper) -> list[Place]:
    """The tables that are there and are not spread.

    Raises:
        ConfigurationError: one is, but by another column.
    """
    done, there = distributed(connection), set(table_names(connection))
    for place in PLACES:
        if done.get(place.table, place.column) != place.column:
            raise ConfigurationError(
                f"the table {place.table} is distributed by {done[place.table]}, and must be by {place.column}"
            )
    return [place for place in PLACES if place.table in there and place.table not in done]


def statements(connection: BaseDatabaseWrapper, shards: int) -> list[str]:
    """What is to be done, in order and in one transaction; nothing where all is.

    Args:
        shards: into how many parts the tables are cut, where none is yet.

    Raises:
        ConfigurationError: the database has no Citus, or no tables, or another table refers to one of those.
    """
    if not has_citus(connection):
        raise ConfigurationError(f"the database {connection.alias!r} has no extension citus")
    if FIRST not in table_names(connection):
        raise ConfigurationError(f"the database {connection.alias!r} has no tables yet: run migrate first")
    return [*_settings(connection), *_spread(connection, lacking(connection), shards)]


def _settings(connection: BaseDatabaseWrapper) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT unnest(setconfig) FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase"
            " WHERE datname = current_database() AND setrole = 0"
        )
        known = {setting for (setting,) in cursor.fetchall()}
    database = quoted(connection, settings_of(connection)["NAME"])
    return [
        f"ALTER DATABASE {database} SET {name} TO {value}"
        for name, value in _SETTINGS.items()
        if f"{name}={value}" not in known
    ]


def _spread(connection: BaseDatabaseWrapper, places: list[Place], shards: int) -> Iterator[str]:
    if not places:
        return
    columns = {place.table: place.column for place in places}
    keys = _keys(connection, columns)
    yield from (f"ALTER TABLE {key.table} DROP CONSTRAINT {key.name}" for key in keys if key.kind == "f")
    yield from _owner_triggers(connection, columns)
    for key in keys:
        column = columns.get(key.table)
        if key.kind != "f" and column and column not in key.columns:
            yield from key.begun_with(column)
    for place in places:
        beside = f"shard_count := {shards}, colocate_with := 'none'"
        if place.table != FIRST:
            beside = f"colocate_with := '{FIRST}'"
        yield f"SELECT create_distributed_table('{place.table}', '{place.column}', {beside})"
    if AUDIT_IDS not in table_names(connection):
        entries = AuditLog._meta.db_table
        yield f'CREATE TABLE {AUDIT_IDS} (id character varying(255) COLLATE "C" PRIMARY KEY)'
        yield f"SELECT create_distributed_table('{AUDIT_IDS}', 'id', colocate_with := '{FIRST}')"
        yield f"INSERT INTO {AUDIT_IDS} (id) SELECT id FROM {entries}"  # noqa: S608
    for key in keys:
        if key.kind == "f":
            # Django's are checked at the end of a transaction, which Citus knows nothing of.
            definition = key.definition.removesuffix(" DEFERRABLE INITIALLY DEFERRED")
            yield f"ALTER TABLE {key.table} ADD CONSTRAINT {key.name} {definition}"


class _Key:
    """A constraint of a table."""

    def __init__(self, table: str, name: str, kind: str, definition: str, other: str, columns: list[str]) -> None:
        self.table, self.name, self.kind, self.definition = table, name, kind, definition
        self.other, self.columns = other, columns

    def begun_with(self, column: str) -> Iterator[str]:
        """What makes the same key anew, with another column before its own."""
        if long := _LONG.get(self.name):
            # Not as a constraint, which has columns alone.
            others = ", ".join([*(name for name in self.columns if name != long), f"md5({long})"])
            yield f"ALTER TABLE {self.table} DROP CONSTRAINT {self.name}"
            yield f"CREATE UNIQUE INDEX {self.name} ON {self.table} ({column}, {others})"
        else:
            kind = {"p": "PRIMARY KEY", "u": "UNIQUE"}[self.kind]
            yield (
                f"ALTER TABLE {self.table} DROP CONSTRAINT {self.name},"
                f" ADD CONSTRAINT {self.name} {kind} ({', '.join([column, *self.columns])})"
            )


def _keys(connection: BaseDatabaseWrapper, columns: Iterable[str]) -> list[_Key]:
    """The keys of these tables, and those that refer to them.

    Raises:
        ConfigurationError: one of another table refers to them.
    """
    tables = list(columns)
    with connection.cursor() as cursor:
        cursor.execute(_KEYS, [tables, tables])
        found = [_Key(*row) for row in cursor.fetchall()]
    known = {place.table for place in PLACES}
    if others := sorted({key.table for key in found} - known):
        raise ConfigurationError(
            f"{', '.join(others)} can't be distributed, and refers to what is to be: give its foreign key"
            " db_constraint=False, or keep it in another database"
        )
    return found


def _owner_triggers(connection: BaseDatabaseWrapper, tables: Iterable[str]) -> list[str]:
    """What removes the triggers that fill in owners for workers of a version before: a row is routed by its owner
    before a trigger could see it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT format('DROP TRIGGER %%I ON %%s', tgname, tgrelid::regclass) FROM pg_trigger"
            " WHERE tgrelid = ANY(%s::text[]::regclass[]) AND tgname = tgrelid::regclass::text || '_owner'",
            [list(tables)],
        )
        rows: list[Any] = cursor.fetchall()
    return [statement for (statement,) in rows]
