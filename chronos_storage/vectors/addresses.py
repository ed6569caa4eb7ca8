"""`connect_vectors`: a vector store outside the settings, by its address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from django.core.management import CommandError, call_command
from django.utils.module_loading import import_string

from ..dsn import database_of, shown
from ..exceptions import ConfigurationError
from ..extras import advice
from .base import VectorStore

#: The stores over engines, by their addresses' schemes, as which each is given the address.
_QDRANT = "chronos_storage.vectors.qdrant.QdrantVectorStore"
_MILVUS = "chronos_storage.vectors.milvus.MilvusVectorStore"
_REDIS = "chronos_storage.vectors.redis.RedisVectorStore"
_WEAVIATE = "chronos_storage.vectors.weaviate.WeaviateVectorStore"
_PINECONE = "chronos_storage.vectors.pinecone.PineconeVectorStore"
SCHEMES = {
    "qdrant": (_QDRANT, "http"),
    "qdrant+http": (_QDRANT, "http"),
    "qdrant+https": (_QDRANT, "https"),
    "milvus": (_MILVUS, "http"),
    "milvus+http": (_MILVUS, "http"),
    "milvus+https": (_MILVUS, "https"),
    "weaviate": (_WEAVIATE, "http"),
    "weaviate+http": (_WEAVIATE, "http"),
    "weaviate+https": (_WEAVIATE, "https"),
    "pinecone": (_PINECONE, "https"),
    "pinecone+http": (_PINECONE, "http"),
    "pinecone+https": (_PINECONE, "https"),
    "redis": (_REDIS, "redis"),
    "rediss": (_REDIS, "rediss"),
}
#: What an address with a web server's scheme is meant for, as its port tells.
_PORTS = {6333: "qdrant", 19530: "milvus"}


def connect_vectors(dsn: str, *, migrate: bool = False, **options: Any) -> VectorStore:
    """Open the vector store that an address names.

    Args:
        dsn: ``qdrant://:key@host:6333`` or ``qdrant+https://…``, also ``http://host:6333``;
            ``milvus://user:password@host:19530/database`` or ``milvus+https://…``, also ``http://host:19530``;
            ``redis://:password@host:port`` or ``rediss://`` with TLS; ``weaviate://:key@host:8080`` or
            ``weaviate+https://…``; ``pinecone://:key@aws/us-east-1``; or a SQL
            database's address, as `chronos_storage.connect` takes it. The dotted path of a class of stores.
        migrate: make the tables first, or bring them up to date, where there are some.
        options: the arguments of the store; of a SQL database as those of `chronos_storage.connect`.

    Raises:
        ConfigurationError: the address's scheme is not known, it can't be read, or a library is missing; the message
            has the right spelling.
    """
    if not isinstance(dsn, str):
        raise ConfigurationError(f"the address must be a string, not {type(dsn).__name__}")
    scheme, mark, rest = dsn.partition("://")
    scheme = scheme.lower()
    if mark and scheme in ("http", "https"):
        scheme = f"{_meant(dsn)}+{scheme}"
    if mark and scheme in SCHEMES:
        backend, sent = SCHEMES[scheme]
        return _made(backend, shown(dsn), _READ[backend](f"{sent}://{rest}") | options)
    if not mark and "." in dsn and dsn.rpartition(".")[2][:1].isupper() and dsn.replace(".", "").isidentifier():
        return _made(dsn, dsn, options)
    return _over_database(dsn, migrate, options)


def _over_database(dsn: str, migrate: bool, options: dict[str, Any]) -> VectorStore:
    from .stores import database_store

    alias = database_of(dsn, options)
    if migrate:
        make_tables(alias)
    return database_store(using=alias)


def make_tables(alias: str) -> None:
    """Make the tables of vectors in a database, or bring them up to date.

    Raises:
        ConfigurationError: what Django says against it.
    """
    try:
        call_command("migrate", "chronos_vectors", database=alias, interactive=False, verbosity=0)
    except CommandError as error:
        raise ConfigurationError(str(error)) from error


def _made(name: str, where: str, options: dict[str, Any]) -> VectorStore:
    """The store that a class of this dotted path makes; `where` is for errors."""
    try:
        made = import_string(name)(**options)
    except ImportError as error:
        raise ConfigurationError(f"{where}: {name!r} can't be imported: {error}{advice(error)}") from error
    except TypeError as error:
        raise ConfigurationError(f"the options of {where} don't fit: {error}") from error
    if not isinstance(made, VectorStore):
        raise ConfigurationError(f"{where} is no VectorStore")
    return made


def _meant(dsn: str) -> str:
    try:
        port = urlsplit(dsn).port
    except ValueError:
        port = None
    if port not in _PORTS:
        raise ConfigurationError(
            f"which engine {shown(dsn)} is of is not said: write qdrant+http://… or qdrant+https://…"
        )
    return _PORTS[port]


def _split(address: str, engine: str, port: int) -> tuple[SplitResult, str]:
    """An address's parts, and it without who asks, a path and a query."""
    try:
        place = urlsplit(address)
        host = f"[{place.hostname}]" if ":" in (place.hostname or "") else place.hostname
        return place, f"{place.scheme}://{host}:{place.port or port}"
    except ValueError:
        raise ConfigurationError(f"the address can't be read: write {engine}://user:password@host:{port}") from None


def _qdrant(address: str) -> dict[str, Any]:
    place, url = _split(address, "qdrant", 6333)
    return {"url": f"{url}{place.path}", "api_key": unquote(place.password) if place.password else None}


def _milvus(address: str) -> dict[str, Any]:
    place, url = _split(address, "milvus", 19530)
    who = [unquote(each) for each in (place.username, place.password) if each]
    return {"url": url, "token": ":".join(who), "database": unquote(place.path.strip("/"))}


def _weaviate(address: str) -> dict[str, Any]:
    place, url = _split(address, "weaviate", 443 if address.startswith("https:") else 8080)
    return {"url": f"{url}{place.path.rstrip('/')}", "api_key": unquote(place.password) if place.password else None}


def _pinecone(address: str) -> dict[str, Any]:
    """Where new indexes are to be stands in the place of the host, unless that is where a server is."""
    try:
        place = urlsplit(address)
        key, host, port = unquote(place.password or ""), place.hostname or "", place.port
    except ValueError:
        raise ConfigurationError("the address can't be read: write pinecone://:key@aws/us-east-1") from None
    if port is not None or "." in host:
        return {"api_key": key, "url": f"{place.scheme}://{place.netloc.rpartition('@')[2]}"}
    said = {"cloud": host, "region": place.path.strip("/")}
    return {"api_key": key, **{name: value for name, value in said.items() if value}}


#: What each store is made with, of its address.
_READ: dict[str, Callable[[str], dict[str, Any]]] = {
    _QDRANT: _qdrant,
    _MILVUS: _milvus,
    _WEAVIATE: _weaviate,
    _PINECONE: _pinecone,
    _REDIS: lambda address: {"url": address},
}
