"""Vectors in Milvus."""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..exceptions import ConfigurationError, NotFound, NotSupported, StoreFailure
from ..extras import require
from ..records import Collection
from .base import Capability
from .clients import SharedClient
from .engine import EngineVectorStore, Row
from .fields import pack, unpack
from .terms import Condition, Every, Has, Some, Without

require("MilvusVectorStore", "pymilvus")

from grpc import RpcError  # noqa: E402  (that it is installed is seen to first)
from pymilvus import DataType, MilvusClient  # noqa: E402
from pymilvus.exceptions import MilvusException  # noqa: E402

_METRICS = {"cosine": "COSINE", "l2": "L2", "inner_product": "IP"}
#: The most bytes of a text, a list's items and their bytes, as Milvus has them; and of an id of the longest.
_TEXT, _ITEMS, _ITEM, _ID = 65_535, 4_096, 32, 1_024
#: The fewest dimensions of a vector; one of fewer gets zeros, which change no distance.
_LEAST = 2
#: Candidates that a search of the index looks at, at least.
_EF = 200
#: For how long it is not looked whether a collection is still there: whoever asks what is gone is told so.
_FRESH_SECONDS = 1.0
#: Seconds between attempts to make a collection, the last of which counts.
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 0.0)
#: What says which collection of ours one is.
_PROPERTY = "chronos.collection"
_NO_COLLECTION, _UNREACHABLE = 100, 2
_WHOLE = ("id", "vector", "content", "metadata", "user_id")


class MilvusVectorStore(EngineVectorStore):
    """Embeddings in Milvus, a collection there for each of ours, with an HNSW index.

    Their names and keys there are digests of ours. Contents and metadata have 65,535 bytes each at most. All-or-none
    holds for what is checked before anything is sent, and for each request of 250 embeddings. What was written is read
    at once (consistency level "Strong").

    Args:
        url: where the server answers.
        token: what it asks for: an API key, or ``user:password``.
        database: one of the server's databases.
        prefix: what names of collections there begin with; letters, digits and underscores.
        timeout: seconds to wait for an answer.
    """

    lacks: frozenset[Capability] = frozenset({Capability.REINDEX, Capability.LARGE_RECORDS})
    max_dimension = 32_768
    max_rows = 250
    max_bytes = 16 * 1024 * 1024
    max_hits = 16_384

    def __init__(
        self,
        url: str = "http://localhost:19530",
        *,
        token: str = "",
        database: str = "",
        prefix: str = "chronos_",
        timeout: float = 30.0,
    ) -> None:
        if not prefix.isidentifier() or not prefix.isascii():
            raise ConfigurationError("prefix must be of letters, digits and underscores, and begin with no digit")
        self._where: dict[str, Any] = {"uri": url, "token": token, "db_name": database, "timeout": timeout}
        self._prefix = prefix
        #: The collections that were read last, by name, and until when on `time.monotonic` they are taken for true.
        self._known: dict[str, tuple[Collection, float]] = {}
        # Not one that other stores of the same address share, and close.
        self._shared = SharedClient(lambda: MilvusClient(**self._where, dedicated=True))

    def close(self) -> None:
        self._shared.close()

    @contextmanager
    def _client(self, collection: Collection | None = None) -> Iterator[MilvusClient]:
        try:
            with self._shared.use() as client:
                yield client
        except MilvusException as error:
            if collection is not None and self._is_gone(collection, error):
                raise NotFound(f"there is no collection {collection.name!r}") from None
            what = "can't be reached" if error.code == _UNREACHABLE else "can't do it"
            raise StoreFailure(f"Milvus {what}: {error.message}") from None
        except RpcError as error:
            raise StoreFailure(f"Milvus can't be reached: {error}") from None

    def _is_gone(self, collection: Collection, error: MilvusException) -> bool:
        self._known.pop(collection.name, None)
        # What a server says of one that is dropped just now is its own.
        return error.code == _NO_COLLECTION or (error.code != _UNREACHABLE and self._find(collection.name) is None)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{hashlib.sha256(name.encode()).hexdigest()[:40]}"

    def _find(self, name: str) -> Collection | None:
        known, until = self._known.get(name, (None, 0.0))
        if until < time.monotonic():
            with self._client() as client:
                known = self._read(client, self._key(name))
            if known:
                self._known[name] = known, time.monotonic() + _FRESH_SECONDS
        return known

    def _read(self, client: MilvusClient, key: str) -> Collection | None:
        if not client.has_collection(key):
            return None
        try:
            found: Any = client.describe_collection(key)
        except MilvusException as error:
            if error.code == _NO_COLLECTION:  # by now
                return None
            raise
        return Collection(**json.loads(found["properties"][_PROPERTY]))

    def _create(self, collection: Collection) -> None:
        fields = {"name": collection.name, "dimension": collection.dimension, "metric": collection.metric}
        key = self._key(collection.name)
        with self._client() as client:
            index: Any = client.prepare_index_params()
            index.add_index(
                "vector",
                index_type="HNSW",
                metric_type=_METRICS[collection.metric],
                params={"M": 16, "efConstruction": 200},
            )
            schema = _schema(max(collection.dimension, _LEAST))
            for pause in _PAUSES:
                try:
                    if not client.has_collection(key):
                        properties = {_PROPERTY: json.dumps(fields)}
                        client.create_collection(key, schema=schema, consistency_level="Strong", properties=properties)
                    if not client.list_indexes(key):
                        client.create_index(key, index, sync=False)  # which would wait half a second
                    client.load_collection(key)
                    return
                except MilvusException as error:  # perhaps as another is just making it
                    if not pause or error.code == _UNREACHABLE:
                        raise
                    time.sleep(pause)

    def _drop(self, name: str) -> bool:
        if self._find(name) is None:
            return False
        with self._client() as client:
            client.drop_collection(self._key(name))
        self._known.pop(name, None)
        return True

    def _all(self) -> Iterable[Collection]:
        with self._client() as client:
            keys = [key for key in client.list_collections() if key.startswith(self._prefix)]
            return [found for found in (self._read(client, key) for key in keys) if found]

    def _refuse(self, row: Row) -> None:
        for field, text in (("content", row.content), ("metadata", row.metadata)):
            if (size := len(text.encode())) > _TEXT:
                raise NotSupported(f"{field} has {size:,} bytes; Milvus keeps at most {_TEXT:,}")

    def _put(self, collection: Collection, rows: Sequence[Row]) -> None:
        data = [
            {
                "key": _digest(row.id),
                "id": row.id,
                "vector": _padded(unpack(row.vector)),
                "content": row.content,
                "metadata": row.metadata,
                "user_id": row.user_id,
                "terms": list(row.terms),
            }
            for row in rows
        ]
        with self._client(collection) as client:
            client.upsert(self._key(collection.name), data)

    def _fetch(self, collection: Collection, ids: Sequence[str]) -> Iterable[Row]:
        with self._client(collection) as client:
            found = client.get(self._key(collection.name), ids=[*map(_digest, ids)], output_fields=list(_WHOLE))
        return [_row(entity, collection) for entity in found]

    def _remove(self, collection: Collection, ids: Sequence[str]) -> int:
        key, wanted = self._key(collection.name), [*map(_digest, ids)]
        with self._client(collection) as client:
            there = client.get(key, ids=wanted, output_fields=["key"])
            client.delete(key, ids=wanted)
        return len(there)

    def _count(self, collection: Collection, condition: Condition | None = None) -> int:
        with self._client(collection) as client:
            found: Any = client.query(self._key(collection.name), filter=_filter(condition), output_fields=["count(*)"])
        count: int = found[0]["count(*)"]
        return count

    def _walk(self, collection: Collection, condition: Condition | None, fields: tuple[str, ...]) -> Iterator[Row]:
        with self._client(collection) as client:
            pages: Any = client.query_iterator(
                self._key(collection.name),
                batch_size=self.max_rows,
                filter=_filter(condition),
                output_fields=["id", *fields],
            )
            try:
                while found := pages.next():
                    yield from (_row(entity, collection) for entity in found)
            finally:
                pages.close()

    def _nearest(self, collection: Collection, vector: Any, count: int, condition: Condition | None) -> Sequence[Row]:
        with self._client(collection) as client:
            found: Any = client.search(
                self._key(collection.name),
                data=[_padded(vector.tolist())],
                anns_field="vector",
                limit=count,
                filter=_filter(condition),
                output_fields=list(_WHOLE),
                search_params={"metric_type": _METRICS[collection.metric], "params": {"ef": max(_EF, count)}},
            )
        rows = [_row(hit["entity"], collection) for hit in found[0]]
        if len(rows) < min(count, self._count(collection)) and len(rows) < self._count(collection, condition):
            return [*self._walk(collection, condition, _WHOLE[1:])]  # an index may give fewer than it has
        return rows


def _schema(dimension: int) -> Any:
    schema: Any = MilvusClient.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("key", DataType.VARCHAR, max_length=64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    for name, length in (("id", _ID), ("content", _TEXT), ("metadata", _TEXT), ("user_id", _ID)):
        schema.add_field(name, DataType.VARCHAR, max_length=length)
    schema.add_field("terms", DataType.ARRAY, element_type=DataType.VARCHAR, max_capacity=_ITEMS, max_length=_ITEM)
    return schema


def _digest(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()[:40]


def _padded(vector: Any) -> list[float]:
    numbers = list(vector)
    return numbers + [0.0] * (_LEAST - len(numbers))


def _row(entity: Any, collection: Collection) -> Row:
    fields = {name: entity.get(name, "") for name in ("id", "content", "metadata", "user_id")}
    vector = array("f", entity.get("vector", ())[: collection.dimension])
    return Row(vector=pack(vector), **fields)


def _filter(condition: Condition | None) -> str:
    match condition:
        case None:
            return ""
        case Has():
            if not condition.terms:
                return 'key == ""'
            terms = ", ".join(f'"{term}"' for term in sorted(condition.terms))
            return f"array_contains_any(terms, [{terms}])"
        case Every():
            return " and ".join(f"({_filter(each)})" for each in condition.parts)
        case Some():
            return " or ".join(f"({_filter(each)})" for each in condition.parts)
        case Without():
            return f"not ({_filter(condition.part)})"
    raise TypeError(f"{condition!r} is no condition")
