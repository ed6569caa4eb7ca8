"""Vectors in Qdrant."""

from __future__ import annotations

import hashlib
import threading
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from ..exceptions import NotFound, StoreFailure
from ..extras import require
from ..records import Collection
from .clients import SharedClient
from .engine import EngineVectorStore, Row
from .fields import unpack
from .terms import Condition, Every, Has, Some, Without

require("QdrantVectorStore", "qdrant_client")

from qdrant_client import QdrantClient, models  # noqa: E402  (that it is installed is seen to first)
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse  # noqa: E402

_METRICS = {
    "cosine": models.Distance.COSINE,
    "l2": models.Distance.EUCLID,
    "inner_product": models.Distance.DOT,
}
_DISTANCES = {distance: metric for metric, distance in _METRICS.items()}
#: Rows of a page of a walk.
_PAGE = 1_000
#: Up to so many embeddings, and where so many hits are asked for, a search compares with all of them.
_EXACT_ROWS = 10_000


class QdrantVectorStore(EngineVectorStore):
    """Embeddings in Qdrant, a collection there for each of ours.

    Their names there are made of a digest of ours, which stand in a collection of their own; ids there are UUIDs made
    of ours. Vectors are kept a second time as they were given, as Qdrant makes those of length 1 that it compares by
    cosine. All-or-none holds for what is checked before anything is sent, and for each request of 500 embeddings.

    Args:
        url: where the server answers.
        api_key: what it asks for.
        path: a folder to keep everything in, or ``:memory:``, without a server: the client's local mode, for one
            process and small collections.
        prefix: what names of collections there begin with.
        timeout: seconds to wait for an answer.
    """

    max_dimension = 65_536
    max_rows = 500
    max_bytes = 8 * 1024 * 1024
    max_hits = 100_000

    def __init__(
        self,
        url: str = "http://localhost:6333",
        *,
        api_key: str | None = None,
        path: str | None = None,
        prefix: str = "chronos_",
        timeout: int = 30,
    ) -> None:
        self._prefix = prefix
        self._names = f"{prefix}names"
        self._where: dict[str, Any] = {"location": ":memory:"} if path == ":memory:" else {"path": path}
        if path is None:
            self._where = {"url": url, "api_key": api_key, "timeout": timeout, "check_compatibility": False}
        self._is_local = path is not None
        self._lock = threading.RLock()
        self._shared = SharedClient(lambda: QdrantClient(**self._where))

    def close(self) -> None:
        if self._where.get("location") is None:  # or what is in memory alone would be lost
            self._shared.close()

    @contextmanager
    def _client(self) -> Iterator[QdrantClient]:
        try:
            with self._shared.use() as client, self._lock if self._is_local else nullcontext():
                yield client  # in its local mode, which is not made for threads, one after the other
        except UnexpectedResponse as error:
            if error.status_code == 404:
                raise _Gone from None
            raise StoreFailure(f"Qdrant answers {error.status_code}: {error.content[:500]!r}") from None
        except ApiException as error:
            raise StoreFailure(f"Qdrant can't be reached: {error}") from None
        except ValueError as error:
            if self._is_local and "not found" in str(error):
                raise _Gone from None
            raise

    def _key(self, name: str) -> str:
        return f"{self._prefix}{hashlib.sha256(name.encode()).hexdigest()[:40]}"

    def _find(self, name: str) -> Collection | None:
        try:
            with self._client() as client:
                return _collection(name, client.get_collection(self._key(name)))
        except _Gone:
            return None

    def _create(self, collection: Collection) -> None:
        key = self._key(collection.name)
        with self._client() as client:
            if not client.collection_exists(self._names):
                self._make(client, self._names, {})
            # First, so that there is none without a name; a name alone is not listed.
            named = models.PointStruct(
                id=_id(collection.name), vector={}, payload={"name": collection.name, "key": key}
            )
            client.upsert(self._names, [named], wait=True)
            size = models.VectorParams(size=collection.dimension, distance=_METRICS[collection.metric])
            self._make(client, key, size)
            if not self._is_local:
                client.create_payload_index(key, "terms", models.PayloadSchemaType.KEYWORD, wait=True)

    def _make(self, client: QdrantClient, key: str, vectors: Any) -> None:
        try:
            client.create_collection(key, vectors_config=vectors)
        except (UnexpectedResponse, ValueError):
            if not client.collection_exists(key):  # or another has made it meanwhile
                raise

    def _drop(self, name: str) -> bool:
        if self._find(name) is None:
            return False
        with self._client() as client:
            return bool(client.delete_collection(self._key(name)))

    def _all(self) -> Iterable[Collection]:
        with self._client() as client:
            there = {each.name for each in client.get_collections().collections}
        if self._names not in there:
            return []
        names = (
            payload["name"] for payload in self._pages(self._names, None, ["name", "key"]) if payload["key"] in there
        )
        return [found for found in map(self._find, names) if found]

    def _put(self, collection: Collection, rows: Sequence[Row]) -> None:
        points = [
            models.PointStruct(
                id=_id(row.id),
                vector=unpack(row.vector).tolist(),
                payload={
                    "id": row.id,
                    "vector": b64encode(row.vector).decode(),
                    "content": row.content,
                    "metadata": row.metadata,
                    "user_id": row.user_id,
                    "terms": list(row.terms),
                },
            )
            for row in rows
        ]
        with self._of(collection) as client:
            client.upsert(self._key(collection.name), points, wait=True)

    def _fetch(self, collection: Collection, ids: Sequence[str]) -> Iterable[Row]:
        with self._of(collection) as client:
            found = client.retrieve(self._key(collection.name), [_id(id) for id in ids], with_payload=_WHOLE)
        return [_row(point.payload or {}) for point in found]

    def _remove(self, collection: Collection, ids: Sequence[str]) -> int:
        wanted: list[Any] = [_id(id) for id in ids]
        with self._of(collection) as client:
            there = client.retrieve(self._key(collection.name), wanted, with_payload=False)
            client.delete(self._key(collection.name), models.PointIdsList(points=wanted), wait=True)
        return len(there)

    def _count(self, collection: Collection) -> int:
        with self._of(collection) as client:
            return client.count(self._key(collection.name), exact=True).count

    def _walk(self, collection: Collection, condition: Condition | None, fields: tuple[str, ...]) -> Iterator[Row]:
        try:
            for payload in self._pages(self._key(collection.name), condition, ["id", *fields]):
                yield _row(payload)
        except _Gone:
            raise _no_collection(collection) from None

    def _pages(self, key: str, condition: Condition | None, fields: list[str]) -> Iterator[dict[str, Any]]:
        after: Any = None
        while True:
            with self._client() as client:
                points, after = client.scroll(
                    key, scroll_filter=_filter(condition), limit=_PAGE, offset=after, with_payload=fields
                )
            yield from (point.payload or {} for point in points)
            if after is None:
                return

    def _nearest(self, collection: Collection, vector: Any, count: int, condition: Condition | None) -> Sequence[Row]:
        key = self._key(collection.name)
        with self._of(collection) as client:
            parameters = None
            if not self._is_local:
                is_small = client.count(key, exact=False).count <= _EXACT_ROWS
                parameters = models.SearchParams(exact=is_small, hnsw_ef=max(128, count))
            found = client.query_points(
                key,
                query=vector.tolist(),
                limit=count,
                query_filter=_filter(condition),
                search_params=parameters,
                with_payload=_WHOLE,
            )
        return [_row(point.payload or {}) for point in found.points]

    @contextmanager
    def _of(self, collection: Collection) -> Iterator[QdrantClient]:
        try:
            with self._client() as client:
                yield client
        except _Gone:
            raise _no_collection(collection) from None


class _Gone(Exception):
    """There is no such collection."""


_WHOLE = ["id", "vector", "content", "metadata", "user_id"]


def _no_collection(collection: Collection) -> NotFound:
    return NotFound(f"there is no collection {collection.name!r}")


def _collection(name: str, found: Any) -> Collection:
    vectors = found.config.params.vectors
    return Collection(name=name, dimension=vectors.size, metric=_DISTANCES[vectors.distance])


def _id(id: str) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(id.encode()).digest()[:16]))


def _row(payload: dict[str, Any]) -> Row:
    fields = {name: payload.get(name, "") for name in ("id", "content", "metadata", "user_id")}
    return Row(vector=b64decode(payload.get("vector", "")), **fields)


def _filter(condition: Condition | None) -> models.Filter | None:
    return None if condition is None else models.Filter(must=[_part(condition)])


def _part(condition: Condition) -> Any:
    match condition:
        case Has():
            return models.FieldCondition(key="terms", match=models.MatchAny(any=sorted(condition.terms)))
        case Every():
            return models.Filter(must=[_part(each) for each in condition.parts])
        case Some():
            return models.Filter(should=[_part(each) for each in condition.parts])
        case Without():
            return models.Filter(must_not=[_part(condition.part)])
    raise TypeError(f"{condition!r} is no condition")
