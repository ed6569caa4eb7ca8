"""Vectors in Redis with its search module."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from ..backends.document.driver import Unavailable
from ..exceptions import ConfigurationError, NotFound, StoreFailure
from ..extras import require
from ..records import Collection
from .engine import EngineVectorStore, Row, batched
from .metrics import prolonged
from .terms import Condition, Every, Has, Some, Without

require("RedisVectorStore", "redis")

from ..backends.document.redis_server import open_server  # noqa: E402  (that redis is there is seen to first)

T = TypeVar("T")

_METRICS = {"cosine": "COSINE", "l2": "L2", "inner_product": "IP"}
#: Up to so many embeddings a search compares with all of them.
_EXACT_ROWS = 10_000
#: For how long it need not be looked whether a collection has more.
_FRESH_SECONDS = 1.0
#: Candidates that a search of the index looks at, at least.
_EF = 200
#: Rows of a page of a walk.
_PAGE = 1_000
_FIELDS = ("vector", "content", "metadata", "user_id")
#: A term of every row, and one of none.
_ALL, _NONE = "all", "none"

# A collection that was dropped meanwhile, or made anew, takes nothing more. The arguments: its name, what stands under
# it, and in turn a row's key and its fields.
_PUT = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
for n = 3, #ARGV, 6 do
    redis.call('HSET', ARGV[n], 'vector', ARGV[n + 1], 'content', ARGV[n + 2], 'metadata', ARGV[n + 3],
        'user_id', ARGV[n + 4], 'terms', ARGV[n + 5])
end
return 1
"""
_REMOVE = """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return -1 end
local removed = 0
for n = 3, #ARGV do removed = removed + redis.call('DEL', ARGV[n]) end
return removed
"""


class RedisVectorStore(EngineVectorStore):
    """Embeddings in Redis 7 or later with its search module (Redis Stack, Redis 8), in hashes with an HNSW index.

    Up to 10,000 embeddings, searches compare with all of them. All-or-none holds for what is checked before anything is
    sent, and for each request of 1,000 embeddings or 32 MiB. A cluster is not supported, nor another database than 0,
    which is the module's.

    Args:
        host, password: where the server answers, and what it asks for.
        options: ``url`` (``redis://user:password@host:port``, ``rediss://`` with TLS) instead; ``base``, with which the
            keys begin; ``timeout`` in seconds, ``max_connections`` and ``ssl_…`` of the connections.
    """

    max_dimension = 32_768
    max_rows = 1_000
    max_bytes = 32 * 1024 * 1024
    max_hits = 100_000

    def __init__(self, host: str = "localhost:6379", password: str = "", **options: Any) -> None:
        self._server, base = open_server(host, password, 0, **options)
        if options.get("cluster"):
            raise ConfigurationError("a vector store takes no cluster: Redis' search module knows one server only")
        if not base or {"{", "}"} & set(base):
            raise ConfigurationError("base, with which the keys begin, must be some text without braces")
        self._prefix = f"{base}:vectors:"
        self._collections = f"{self._prefix}collections"
        #: Milliseconds after which the module answers with what it has so far: nobody waits for that long.
        self._timeout = str(1000 + int(2000 * float(options.get("timeout", 30.0))))
        #: By names, as they were read last.
        self._places: dict[str, _Place] = {}
        #: Whether collections are small, by their keys, and until when on `time.monotonic` that is taken for true.
        self._small: dict[str, tuple[bool, float]] = {}

    def __repr__(self) -> str:
        return f"RedisVectorStore({str(self._server)!r})"

    def close(self) -> None:
        self._server.close()

    def _ask(self, function: Callable[[Any], T]) -> T:
        try:
            return self._server.ask(function)
        except Unavailable as error:
            raise StoreFailure(str(error)) from error

    def _send(self, *command: Any) -> Any:
        return self._ask(lambda client: client.execute_command(*command))

    def _run(self, script: str, collection: Collection, arguments: list[Any]) -> Any:
        try:
            return self._server.run(
                script, self._collections, [collection.name, self._place(collection).kept, *arguments]
            )
        except Unavailable as error:
            raise StoreFailure(str(error)) from error

    def _find(self, name: str) -> Collection | None:
        found = self._send("HGET", self._collections, name)
        return None if found is None else self._known(name, found)

    def _known(self, name: str, kept: bytes) -> Collection:
        fields = json.loads(kept)
        collection = Collection(name=name, dimension=fields["dimension"], metric=fields["metric"])
        self._places[name] = _Place(collection, fields["key"], kept)
        return collection

    def _place(self, collection: Collection) -> _Place:
        """Where a collection's rows are: if it was made anew with the same shape, where those of the new one are."""
        place = self._places.get(collection.name)
        if place is None or place.collection != collection:
            raise _no_collection(collection)
        return place

    def _create(self, collection: Collection) -> None:
        key = uuid4().hex
        kept = json.dumps({"key": key, "dimension": collection.dimension, "metric": collection.metric})
        vector = ["TYPE", "FLOAT32", "DIM", collection.dimension, "DISTANCE_METRIC", _METRICS[collection.metric]]
        schema = ["terms", "TAG", "SEPARATOR", ",", "vector", "VECTOR", "HNSW", len(vector), *vector]
        # The index first, as a collection without one can't be searched; an index without a collection is no harm.
        self._send("FT.CREATE", self._index(key), "ON", "HASH", "PREFIX", 1, self._rows(key), "SCHEMA", *schema)
        if not self._send("HSETNX", self._collections, collection.name, kept):
            self._send("FT.DROPINDEX", self._index(key))

    def _drop(self, name: str) -> bool:
        found = self._find(name)
        if found is None or not self._send("HDEL", self._collections, name):
            return False
        self._send("FT.DROPINDEX", self._index(self._place(found).key), "DD")
        return True

    def _all(self) -> Iterable[Collection]:
        found = self._send("HGETALL", self._collections)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return [self._known(name.decode(), kept) for name, kept in pairs]

    def _put(self, collection: Collection, rows: Sequence[Row]) -> None:
        begin = self._rows(self._place(collection).key)
        arguments: list[Any] = []
        for row in rows:
            arguments += [begin + row.id, row.vector, row.content, row.metadata, row.user_id]
            arguments.append(",".join([_ALL, *row.terms]))
        if not self._run(_PUT, collection, arguments):
            raise _no_collection(collection)

    def _fetch(self, collection: Collection, ids: Sequence[str]) -> Iterable[Row]:
        return self._read(collection, ids, _FIELDS)

    def _read(self, collection: Collection, ids: Sequence[str], fields: Sequence[str]) -> list[Row]:
        begin = self._rows(self._place(collection).key)

        def read(client: Any) -> Any:
            pipeline = client.pipeline(transaction=False)
            for id in ids:
                pipeline.hmget(begin + id, ["user_id", *fields])  # which is never missing
            return pipeline.execute()

        found = zip(ids, self._ask(read), strict=True)
        return [_row(id, dict(zip(fields, values, strict=True))) for id, (there, *values) in found if there is not None]

    def _remove(self, collection: Collection, ids: Sequence[str]) -> int:
        begin = self._rows(self._place(collection).key)
        removed: int = self._run(_REMOVE, collection, [begin + id for id in ids])
        if removed < 0:
            raise _no_collection(collection)
        return removed

    def _count(self, collection: Collection) -> int:
        found = self._search(collection, "*", "LIMIT", 0, 0)
        count: int = found[0]
        return count

    def _walk(self, collection: Collection, condition: Condition | None, fields: tuple[str, ...]) -> Iterator[Row]:
        index, begin = self._index(self._place(collection).key), len(self._rows(self._place(collection).key).encode())
        # What is written meanwhile comes once more: at the end of its terms' lists, but beyond what a denial goes over.
        seen: set[str] = set()
        ask = partial(self._of, collection)
        (_, *page), cursor = ask(
            *(
                "FT.AGGREGATE",
                index,
                _query(_affirmed(condition) or Has(frozenset([_ALL]))),
                "LOAD",
                1,
                "@__key",
                "TIMEOUT",
                self._timeout,
                "DIALECT",
                2,
            ),
            *("WITHCURSOR", "COUNT", _PAGE),
        )
        try:
            while True:
                ids = [id for each in page if (id := each[1][begin:].decode()) not in seen]
                seen.update(ids)
                for some in batched(ids, self.max_rows if len(fields) < 2 else 100):
                    yield from self._read(collection, some, fields)
                if not cursor:
                    return
                (_, *page), cursor = ask("FT.CURSOR", "READ", index, cursor, "COUNT", _PAGE)
        except GeneratorExit:  # who asked has enough, and the server keeps a few cursors only
            with suppress(StoreFailure):
                self._send("FT.CURSOR", "DEL", index, cursor)
            raise

    def _nearest(self, collection: Collection, vector: Any, count: int, condition: Condition | None) -> Sequence[Row]:
        is_small = self._is_small(collection)
        found = self._knn(collection, vector, count, condition, exactly=is_small)
        if len(found) < count and not is_small:  # which an index may do that has more
            found = self._knn(collection, vector, count, condition, exactly=True)
        return found

    def _knn(
        self, collection: Collection, vector: Any, count: int, condition: Condition | None, *, exactly: bool
    ) -> list[Row]:
        wanted = "*" if condition is None else f"({_query(condition)})"
        how = f" EF_RUNTIME {max(_EF, count)}"
        if exactly:
            # A policy is taken only beside a condition.
            wanted, how = f"@terms:{{{_ALL}}}" if condition is None else wanted, " HYBRID_POLICY ADHOC_BF"
        elif condition is not None:
            how = ""
        if collection.metric == "inner_product":
            vector = prolonged(vector)  # the distance is 1 less the product, in float32: of a small one nothing is left
        parameters = ("PARAMS", 2, "vector", vector.astype("<f4").tobytes())
        begin = len(self._rows(self._place(collection).key).encode())
        _, *found = self._search(
            collection,
            f"{wanted}=>[KNN {count} @vector $vector{how} AS distance]",
            *(*parameters, "SORTBY", "distance", "RETURN", len(_FIELDS), *_FIELDS, "LIMIT", 0, count),
        )
        rows = zip(found[::2], found[1::2], strict=True)
        return [
            _row(key[begin:].decode(), {n.decode(): v for n, v in zip(values[::2], values[1::2], strict=True)})
            for key, values in rows
            if values  # of what was removed meanwhile there is nothing
        ]

    def _is_small(self, collection: Collection) -> bool:
        key = self._place(collection).key
        is_small, until = self._small.get(key, (True, 0.0))
        if until < time.monotonic():
            is_small = self._count(collection) <= _EXACT_ROWS
            self._small[key] = is_small, time.monotonic() + _FRESH_SECONDS
        return is_small

    def _search(self, collection: Collection, query: str, *arguments: Any) -> Any:
        # Without a time of ours the module answers with what it has after half a second.
        index = self._index(self._place(collection).key)
        return self._of(collection, "FT.SEARCH", index, query, *arguments, "TIMEOUT", self._timeout, "DIALECT", 2)

    def _of(self, collection: Collection, *command: Any) -> Any:
        try:
            return self._send(*command)
        except StoreFailure:
            if self._send("HGET", self._collections, collection.name) != self._place(collection).kept:
                raise _no_collection(collection) from None
            raise

    def _index(self, key: str) -> str:
        return f"{self._prefix}i:{key}"

    def _rows(self, key: str) -> str:
        return f"{self._prefix}r:{key}:"


class _Place(NamedTuple):
    """Where a collection is.

    Attributes:
        key: what its index and the keys of its rows are named by; another if it is made anew.
        kept: what stands under its name.
    """

    collection: Collection
    key: str
    kept: bytes


def _no_collection(collection: Collection) -> NotFound:
    return NotFound(f"there is no collection {collection.name!r}")


def _row(id: str, values: dict[str, bytes]) -> Row:
    texts = {name: value.decode() for name, value in values.items() if name != "vector"}
    return Row(id=id, vector=values.get("vector", b""), **texts)


def _affirmed(condition: Condition | None) -> Condition | None:
    """A condition without what it denies, true of more; None where it is true of everything."""
    match condition:
        case Every():
            parts = [part for each in condition.parts if (part := _affirmed(each))]
            return Every(tuple(parts)) if parts else None
        case Some():
            parts = [part for each in condition.parts if (part := _affirmed(each))]
            return Some(tuple(parts)) if len(parts) == len(condition.parts) else None
        case Without():
            return None
    return condition


def _query(condition: Condition | None) -> str:
    match condition:
        case None:
            return "*"
        case Has():
            return f"@terms:{{{'|'.join(sorted(condition.terms)) or _NONE}}}"
        case Every():
            return f"({' '.join(map(_query, condition.parts))})"
        case Some():
            return f"({' | '.join(map(_query, condition.parts))})"
        case Without():
            return f"(-{_query(condition.part)})"
    raise TypeError(f"{condition!r} is no condition")
