"""Ago's configuration, and the database that it describes: a pool of connections with one schema of PostgreSQL's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from django.db import DatabaseError, connections

from ..compat.connections import settings_of
from ..compat.schema import quoted, table_names
from ..dsn import connect
from ..exceptions import ConfigurationError

if TYPE_CHECKING:
    from ..facade import Storage

_PUBLIC = "public"
_TABLE = "chronos_storage_session"


@dataclass(slots=True, kw_only=True)
class Config:
    """How Ago's storage is opened. What is empty or 0 has its default.

    Attributes:
        database_url: ``postgres://…``; empty is in memory.
        max_conns: how many connections the pool may have; what the URL says as ``pool_max_conns``, or 10.
        min_conns: how many of them are kept open while idle; what the URL says as ``pool_min_conns``, or 2, or
            max_conns where that is less.
        schema: where the tables are; ``public``.
        auto_migrate: make the schema and its tables, or bring them up to date.
    """

    database_url: str = ""
    max_conns: int = 0
    min_conns: int = 0
    schema: str = ""
    auto_migrate: bool = True


def open_database(config: Config) -> Storage:
    """The storage in PostgreSQL that a configuration describes.

    Raises:
        ConfigurationError: it can't be right, the database can't be used, or there are no tables and none are made.
    """
    if urlsplit(config.database_url).scheme not in ("postgres", "postgresql"):
        raise ConfigurationError("database_url must be a postgres:// address; over another store use Service(storage)")
    schema, pool = _schema(config), _pool(config)
    # Tables are made while no other schema is in sight: those of another would be taken for them.
    bare = _connect(config.database_url, [schema], pool=None)
    connection: Any = connections[bare.alias]
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema])
            if config.auto_migrate and cursor.fetchone() is None:
                cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(connection, schema)}")
        if config.auto_migrate:
            bare.migrate()
        with connection.cursor() as cursor:
            if _TABLE not in table_names(connection):
                raise ConfigurationError(f"the schema {schema!r} lacks the tables, and auto_migrate is off")
            cursor.execute(
                "SELECT nspname FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace"
                " WHERE extname = 'vector'"
            )
            (vectors,) = cursor.fetchone() or (_PUBLIC,)
    except DatabaseError as error:
        raise ConfigurationError(f"the database can't be used: {error}") from error
    finally:
        bare.close()
    return _connect(config.database_url, [schema, vectors], pool=pool)


def _schema(config: Config) -> str:
    schema = config.schema or _PUBLIC
    if '"' in schema or "\x00" in schema or len(schema.encode()) > 63:
        raise ConfigurationError(f"schema must be a name of at most 63 bytes without quotation marks, not {schema!r}")
    return schema


def _pool(config: Config) -> dict[str, int]:
    storage = connect(config.database_url)
    given = settings_of(connections[storage.alias])["OPTIONS"].get("pool", {})
    largest = config.max_conns or given.get("max_size", 10)
    smallest = config.min_conns or min(given.get("min_size", 2), largest)
    if not 0 <= smallest <= largest:
        raise ConfigurationError(f"min_conns must be between 0 and max_conns, {largest}; it is {smallest}")
    return {"min_size": smallest, "max_size": largest}


def _connect(url: str, schemas: list[str], *, pool: dict[str, int] | None) -> Storage:
    path = ",".join(f'"{name}"' for name in dict.fromkeys(schemas))
    given = parse_qs(urlsplit(url).query).get("options", [""])[-1]
    escaped = path.replace("\\", "\\\\").replace(" ", "\\ ")
    return connect(url, options={"options": f"{given} -c search_path={escaped}".strip(), "pool": pool})
