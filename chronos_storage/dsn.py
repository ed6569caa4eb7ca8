"""`connect`: a store outside the settings, by its address."""

from __future__ import annotations

import atexit
import os
import re
import sqlite3
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import dj_database_url
from django.db import connections
from django.utils.module_loading import import_string

from .aliases import connected_alias
from .exceptions import ConfigurationError
from .extras import advice, require
from .pools import move_pool
from .sqlite_files import SHARED_MEMORY, keep_whole

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

    from .facade import Storage

MEMORY = ":memory:"
MEMORY_SCHEME = "memory://"
_SQL_SCHEMES = {
    "sqlite": "sqlite",
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mysql",
}
#: The backends of other stores, by their addresses' schemes: each takes the address as `url`.
_BACKENDS = {
    "file": "chronos_storage.backends.document.filesystem.FilesystemBackend",
    "redis": "chronos_storage.backends.document.redis.RedisBackend",
    "rediss": "chronos_storage.backends.document.redis.RedisBackend",
    "mongodb": "chronos_storage.backends.document.mongodb.MongoBackend",
    "mongodb+srv": "chronos_storage.backends.document.mongodb.MongoBackend",
    "dynamodb": "chronos_storage.backends.document.dynamodb.DynamoBackend",
}

_SQLITE = "django.db.backends.sqlite3"
#: What other stores' addresses look like without their scheme, and the names of stores: files are rarely called so.
_HOST_AND_PORT = re.compile(r"[^/\\]*:[0-9]+(/.*)?")
_STORES = frozenset(_SQL_SCHEMES) | {"memory", "redis", "mongo", "mongodb", "dynamo", "dynamodb", "filesystem", "none"}
REGION = re.compile("[a-z]{2}(-[a-z]+)+-[0-9]")
_KEYWORDS = re.compile(r"(?i)([^/]*[\s;])?(host|hostaddr|server|dbname|user|password|pwd|service)\s*=")
#: A class that is named by its dotted path, and no file: those rarely end with a capitalised word.
_CLASS = re.compile(r"([A-Za-z_]\w*\.)+[A-Z]\w*")
_USER = re.compile(r"[^/\\]*:[^/\\]*@")

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
            for each call); ``file:///folder`` (JSON files in a folder, by its absolute path, which is made where it
            isn't there); ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or a bare file name (folders are made,
            the file is in WAL mode); ``:memory:`` (SQLite in memory, a store of its own for each call, kept until the
            process ends); ``postgres://user:password@host:port/name``; ``mysql://user:password@host:port/name``. With
            ``?pool_max_size=20`` (and ``pool_min_size``) PostgreSQL's connections are a pool's, to which `close` gives
            a thread's back at the end of its work. ``redis://:password@host:port/database`` or ``rediss://`` with TLS.
            ``mongodb://user:password@host:port/name``. ``dynamodb://region/table``.
            The dotted path of a `Backend`.
        migrate: bring the store's tables up to date first.
        options: the database alias's own settings, as in Django's DATABASES, in small letters (``conn_max_age``), and
            under ``options`` those of its driver; of other stores the arguments of their backend.

    Returns:
        A storage, for SQL on a database alias of its own; the same alias for the same address and options. SQLite files
        are whole once the process has ended: all that was written is in the file, and no log lies beside it.

    Raises:
        ConfigurationError: the address's scheme is not known, it can't be read, or it would become another store than
            it looks like; the message has the right spelling.
    """
    if not isinstance(dsn, str):
        raise ConfigurationError(f"the address must be a string, not {type(dsn).__name__}")
    from .facade.observing import observed

    return observed(_opened(dsn, migrate, options))


def _opened(dsn: str, migrate: bool, options: dict[str, Any]) -> Storage:
    if dsn.startswith(MEMORY_SCHEME):
        return _memory(dsn.removeprefix(MEMORY_SCHEME), options)
    if _CLASS.fullmatch(dsn):
        return _custom(dsn, migrate, options)
    if backend := _BACKENDS.get(dsn.partition("://")[0].lower() if "://" in dsn else ""):
        return _over(backend, f"a {shown(dsn)} store", migrate, {"url": dsn, **options})
    from .backends.orm import OrmBackend
    from .facade import Storage

    storage = Storage(OrmBackend(using=database_of(dsn, options)))
    if migrate:
        storage.migrate()
    return storage


def database_of(dsn: str, options: dict[str, Any]) -> str:
    """The alias of the SQL database that an address names, made with its first use; `options` as of `connect`."""
    settings = _settings(dsn)
    driver_options = options.pop("options", {})
    settings |= {name.upper(): value for name, value in options.items()}
    settings["OPTIONS"] = {**settings.get("OPTIONS", {}), **driver_options}
    alias = connected_alias(settings)
    if settings["ENGINE"] == _SQLITE and SHARED_MEMORY not in str(settings["NAME"]):
        keep_whole(alias)
    return alias


def shown(dsn: str) -> str:
    """An address for people to read: without its password, and without what its query says."""
    scheme, mark, rest = dsn.partition("://") if "://" in dsn else ("", "", dsn)
    place, query_mark, query = _split(rest)
    user, at, host = place.rpartition("@")
    if not at and "@" in query and ":" in place:  # a password that should have been quoted
        user, at, host, query_mark, query = place, "@", "***", "", ""
    if ":" in user:
        user = f"{user.partition(':')[0]}:***"
    return f"{scheme}{mark}{user}{at}{host}{query_mark}{re.sub('=[^&]*', '=***', query)}"


def _split(address: str) -> tuple[str, str, str]:
    """An address without its scheme: what is before its query or fragment, the mark that begins it, and the rest."""
    found = re.search("[?#]", address)
    return (address, "", "") if found is None else (address[: found.start()], found[0], address[found.end() :])


def connect_read_only(dsn: str) -> BaseDatabaseWrapper:
    """A connection with the SQL database that an address names, on which nothing can be written.

    Raises:
        ConfigurationError: the address's scheme is not SQL's, it can't be read, or it names a file that isn't there.
    """
    scheme = dsn.partition("://")[0].lower() if "://" in dsn else "sqlite"
    if scheme == "sqlite":
        _refuse_host(dsn)
        name = unquote(urlsplit(dsn).path[1:]) if "://" in dsn else dsn
        path = file_path(name)
        if not path.is_file():
            raise ConfigurationError(f"there is no file {name}")
        return connections[connected_alias({"ENGINE": _SQLITE, "NAME": f"file:{quote(str(path))}?mode=ro"})]
    settings = _settings(dsn)
    options = settings["OPTIONS"]
    options.pop("pool", None)  # it is one connection
    name, clause = _READ_ONLY[_SQL_SCHEMES[scheme]]
    options[name] = f"{options.get(name, '')}{clause}"
    return connections[connected_alias(settings)]


def _memory(name: str, options: dict[str, Any]) -> Storage:
    from .backends.document import MemoryBackend
    from .facade import Storage

    if options:
        raise ConfigurationError(f"{MEMORY_SCHEME} knows no option {', '.join(options)}")
    return Storage(MemoryBackend(unquote(name)))


def _custom(name: str, migrate: bool, options: dict[str, Any]) -> Storage:
    """A storage over the backend that a dotted path names."""
    try:
        return _over(name, repr(name), migrate, options)
    except ImportError as error:
        raise ConfigurationError(
            f"{name!r} can't be imported: {error}{advice(error)}; write ./{name} if it is a file"
        ) from error


def _over(name: str, where: str, migrate: bool, options: dict[str, Any]) -> Storage:
    """A storage over the backend of this dotted path; `where` is for errors."""
    from .facade.stores import over

    try:
        made = import_string(name)(**options)
    except ImportError as error:
        if not (extra := advice(error)):
            raise
        raise ConfigurationError(f"{where} needs {error.name}{extra}") from error
    except TypeError as error:
        raise ConfigurationError(f"the options of {where} don't fit: {error}") from error
    storage = over(made, where)
    if migrate:
        storage.migrate()
    return storage


def _settings(dsn: str) -> dict[str, Any]:
    """What Django's DATABASES would say of this address."""
    if "://" not in dsn:
        _refuse_no_file(dsn)
        return _sqlite(dsn)
    scheme, _, rest = dsn.partition("://")
    scheme = scheme.lower()
    kind = _SQL_SCHEMES.get(scheme)
    if kind is None:
        known = ", ".join([MEMORY_SCHEME, *(f"{name}://" for name in (*_SQL_SCHEMES, *_BACKENDS))])
        raise ConfigurationError(f"{scheme}:// is no store that connect() knows; it knows {known} and file names")
    if kind == "sqlite":
        _refuse_host(dsn)
    try:
        settings: dict[str, Any] = dict(dj_database_url.parse(f"{kind}://{rest}"))
    except ValueError:  # whose message may have parts of the password
        raise ConfigurationError(f"the {scheme}:// address can't be read") from None
    move_pool(kind, settings.setdefault("OPTIONS", {}))
    if kind == "sqlite":
        return _sqlite(str(settings["NAME"]), **settings.get("OPTIONS", {}))
    if kind == "mysql":
        _provide_mysqldb()
    else:
        require(f"a {scheme}:// store", "psycopg")
    return settings


def _refuse_host(dsn: str) -> None:
    """Refuse a SQLite address that begins with a host, which would become a database in memory."""
    _, _, rest = dsn.partition("://")
    if rest and not rest.startswith(("/", "?", MEMORY)):
        raise ConfigurationError(
            f"{shown(dsn)} names a host and no file: write sqlite:///{shown(rest)}, which is relative to the working"
            f" directory, sqlite:////… with an absolute path, or {MEMORY}"
        )


def _refuse_no_file(name: str) -> None:
    """Refuse what would become a SQLite file of this name, and is meant for something else."""
    word = re.split(":|//", name, maxsplit=1)[0]
    if not name:
        raise ConfigurationError(f"the address is empty: write a file name, {MEMORY} or an address with its scheme")
    if name == "memory":
        right = f"{MEMORY_SCHEME} or {MEMORY}"
    elif _HOST_AND_PORT.fullmatch(name) or (_USER.match(name) and word not in _STORES):
        right = f"the store's scheme before it, as in redis://{shown(name)} or postgres://{shown(name)}"
    elif word == "filesystem" or name.startswith("file:"):
        right = "file:///folder"
    elif word in _STORES:
        right = f"the whole address, as in {word}://…"
    elif REGION.fullmatch(name):
        right = f"dynamodb://{name}/table"
    elif _KEYWORDS.match(name):
        right = "postgres://user:password@host:port/name"
    else:
        return
    raise ConfigurationError(
        f"{_name_shown(name)} would be a file of that name: write {right}, or ./ before it if it is a file"
    )


def _name_shown(name: str) -> str:
    return re.sub("(?s)=.*", "=***", shown(name))  # a value may have blanks


def file_path(name: str) -> Path:
    """Where a SQLite file of this name is; in the user's home if it begins with ``~/``."""
    # A symbolic link may point to a file that is yet to be made.
    return Path(os.path.abspath(os.path.expanduser(name)))  # noqa: PTH100, PTH111


def _sqlite(name: str, **options: Any) -> dict[str, Any]:
    defaults = SQLITE_OPTIONS
    if name == MEMORY:
        name, defaults = _new_memory(), {**SQLITE_OPTIONS, "init_command": ""}
    else:
        path = file_path(name)
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
