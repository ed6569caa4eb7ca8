"""Vectors in Pinecone. Experimental: it was never run against the real service."""

from __future__ import annotations

import hashlib
import json
import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..exceptions import NotFound, NotSupported, StoreFailure
from ..records import Collection
from .base import Capability
from .engine import EngineVectorStore, Row, batched
from .fields import pack, unpack
from .json_api import JsonApi, NotThere
from .terms import Condition, Every, Has, Some, Without

_METRICS = {"cosine": "cosine", "l2": "euclidean", "inner_product": "dotproduct"}
_OURS = {theirs: ours for ours, theirs in _METRICS.items()}
#: The version of Pinecone's interface that requests are written for.
_VERSION = "2025-10"
#: The most bytes of what is kept beside a vector.
_METADATA = 40 * 1024
_PAGE = 100
#: Seconds between two looks whether an index is ready.
_LOOK = 1.0
_ROWS, _ABOUT = "rows", "about"


class PineconeVectorStore(EngineVectorStore):
    """Embeddings in Pinecone, a serverless index there for each collection of ours.

    Indexes' names are digests of ours, which stand in a namespace of their own; ids there are digests too. Content,
    metadata and their terms have 40 kB together at most. All-or-none holds for what is checked before anything is sent,
    and for each request of 100 embeddings. Pinecone is eventually consistent: what was written is found some seconds
    later.

    Experimental: requests are tested against its published description, and never were against the real service.

    Args:
        api_key: whose project it is.
        url: where indexes are made; each then has an address of its own.
        cloud: where a new one is to be: ``aws``, ``gcp`` or ``azure``.
        region: of that cloud.
        prefix: what names of indexes there begin with; small letters, digits and hyphens.
        timeout: seconds to wait for an answer, and for a new index.
    """

    lacks: frozenset[Capability] = frozenset({Capability.REINDEX, Capability.LARGE_RECORDS})
    max_dimension = 19_999
    max_rows = 100
    max_bytes = 1_500_000
    max_hits = 10_000

    def __init__(
        self,
        api_key: str = "",
        *,
        url: str = "https://api.pinecone.io",
        cloud: str = "aws",
        region: str = "us-east-1",
        prefix: str = "chronos-",
        timeout: float = 60.0,
    ) -> None:
        self._url, self._prefix, self._timeout = url.rstrip("/"), prefix, timeout
        self._place = {"cloud": cloud, "region": region}
        self._api = JsonApi("Pinecone", {"Api-Key": api_key, "X-Pinecone-Api-Version": _VERSION}, timeout)
        #: Where indexes answer, by their names.
        self._hosts: dict[str, str] = {}

    def close(self) -> None:
        self._api.close()

    def _key(self, name: str) -> str:
        return f"{self._prefix}{hashlib.sha256(name.encode()).hexdigest()[:32]}"

    def _index(self, key: str) -> Any:
        """What is said of an index, or None."""
        try:
            found = self._api.ask("GET", f"{self._url}/indexes/{key}")
        except NotThere:
            self._hosts.pop(key, None)
            return None
        self._hosts[key] = found["host"]
        return found

    def _ask(self, key: str, method: str, path: str, body: Any = None, query: Sequence[tuple[str, str]] = ()) -> Any:
        host = self._hosts[key] if key in self._hosts else (self._index(key) or {"host": ""})["host"]
        address = host if "://" in host else f"https://{host}"
        try:
            if not host:
                raise NotThere
            return self._api.ask(method, f"{address}{path}", body=body, query=query)
        except NotThere:
            raise NotFound("there is no such collection any more") from None

    def _find(self, name: str) -> Collection | None:
        found = self._index(self._key(name))
        return None if found is None else _collection(name, found)

    def _create(self, collection: Collection) -> None:
        key = self._key(collection.name)
        dimension = collection.dimension + (collection.metric != "cosine")
        asked = {"name": key, "dimension": dimension, "metric": _METRICS[collection.metric]}
        try:
            self._api.ask("POST", f"{self._url}/indexes", body={**asked, "spec": {"serverless": self._place}})
        except StoreFailure:
            if self._index(key) is None:  # or another has made it meanwhile
                raise
        self._await(key)
        about = {"id": _ABOUT, "values": [1.0] * dimension, "metadata": {"name": collection.name}}
        self._ask(key, "POST", "/vectors/upsert", {"vectors": [about], "namespace": _ABOUT})

    def _await(self, key: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not (found := self._index(key)) or not found["status"]["ready"]:
            if time.monotonic() > deadline:
                raise StoreFailure(f"Pinecone takes more than {self._timeout:g} seconds to make an index")
            time.sleep(_LOOK)

    def _drop(self, name: str) -> bool:
        if self._find(name) is None:
            return False
        self._api.ask("DELETE", f"{self._url}/indexes/{self._key(name)}")
        self._hosts.pop(self._key(name), None)
        return True

    def _all(self) -> Iterable[Collection]:
        for index in self._api.ask("GET", f"{self._url}/indexes")["indexes"]:
            key = index["name"]
            if key.startswith(self._prefix):
                self._hosts[key] = index["host"]
                about = self._vectors(key, _ABOUT, [_ABOUT]).get(_ABOUT)
                if about:  # or it is just being made
                    yield _collection(about["metadata"]["name"], index)

    def _vectors(self, key: str, namespace: str, ids: Sequence[str]) -> dict[str, Any]:
        query = [*(("ids", id) for id in ids), ("namespace", namespace)]
        found: dict[str, Any] = self._ask(key, "GET", "/vectors/fetch", query=query)["vectors"]
        return found

    def _refuse(self, row: Row) -> None:
        if (size := len(json.dumps(_kept(row), ensure_ascii=False).encode())) > _METADATA:
            raise NotSupported(f"content and metadata need {size:,} bytes; Pinecone keeps at most {_METADATA:,}")

    def _put(self, collection: Collection, rows: Sequence[Row]) -> None:
        vectors = [
            {"id": _id(row.id), "values": _padded(unpack(row.vector), collection), "metadata": _kept(row)}
            for row in rows
        ]
        key = self._key(collection.name)
        self._ask(key, "POST", "/vectors/upsert", {"vectors": vectors, "namespace": _ROWS})

    def _fetch(self, collection: Collection, ids: Sequence[str]) -> Iterable[Row]:
        return self._with_ids(collection, [*map(_id, ids)])

    def _with_ids(self, collection: Collection, ids: Sequence[str]) -> Iterator[Row]:
        for some in batched(ids, _PAGE):
            found = self._vectors(self._key(collection.name), _ROWS, some)
            yield from (_row(found[id], collection) for id in some if id in found)

    def _remove(self, collection: Collection, ids: Sequence[str]) -> int:
        key, wanted = self._key(collection.name), [*map(_id, ids)]
        there = self._vectors(key, _ROWS, wanted)
        if there:
            self._ask(key, "POST", "/vectors/delete", {"ids": [*there], "namespace": _ROWS})
        return len(there)

    def _count(self, collection: Collection) -> int:
        found = self._ask(self._key(collection.name), "POST", "/describe_index_stats", {})
        count: int = found.get("namespaces", {}).get(_ROWS, {}).get("vectorCount", 0)
        return count

    def _walk(self, collection: Collection, condition: Condition | None, fields: tuple[str, ...]) -> Iterator[Row]:
        # Pinecone walks through all or nothing: it is the one who asks that looks at which match.
        query = [("namespace", _ROWS), ("limit", str(_PAGE))]
        after: list[tuple[str, str]] = []
        while True:
            page = self._ask(self._key(collection.name), "GET", "/vectors/list", query=[*query, *after])
            yield from self._with_ids(collection, [each["id"] for each in page.get("vectors") or []])
            token = (page.get("pagination") or {}).get("next")
            if not token:
                return
            after = [("paginationToken", token)]

    def _nearest(self, collection: Collection, vector: Any, count: int, condition: Condition | None) -> Sequence[Row]:
        asked: dict[str, Any] = {"namespace": _ROWS, "vector": _padded(vector, collection), "topK": count}
        if collection.metric == "inner_product" and vector.any():
            asked["vector"][-1] = 0.0  # beside which small products would vanish
        if (tree := _filter(condition)) is not None:
            asked["filter"] = tree
        # Without what belongs to them: an answer has 4 MB at most.
        asked |= {"includeValues": False, "includeMetadata": False}
        found = self._ask(self._key(collection.name), "POST", "/query", asked)
        return [*self._with_ids(collection, [each["id"] for each in found["matches"]])]


def _collection(name: str, index: Any) -> Collection:
    metric = _OURS[index["metric"]]
    return Collection(name=name, dimension=index["dimension"] - (metric != "cosine"), metric=metric)


def _id(id: str) -> str:
    return hashlib.sha256(id.encode()).hexdigest()[:40]


def _padded(vector: Any, collection: Collection) -> list[float]:
    """With a number behind that changes no order, as Pinecone takes no vector of zeros."""
    return [*vector.tolist(), *([] if collection.metric == "cosine" else [1.0])]


def _kept(row: Row) -> dict[str, Any]:
    fields = {"key": row.id, "content": row.content, "metadata": row.metadata, "user_id": row.user_id}
    return {**fields, "terms": list(row.terms)}


def _row(found: Any, collection: Collection) -> Row:
    kept = found["metadata"]
    vector = pack(array("f", found["values"][: collection.dimension]))
    return Row(
        id=kept["key"], vector=vector, content=kept["content"], metadata=kept["metadata"], user_id=kept["user_id"]
    )


def _filter(condition: Condition | None) -> dict[str, Any] | None:
    """What is true of all that a condition is true of; None where that is everything."""
    match condition:
        case Has():
            return {"terms": {"$in": sorted(condition.terms) or ["-"]}}
        case Every():
            parts = [part for each in condition.parts if (part := _filter(each))]
            return {"$and": parts} if parts else None
        case Some():
            parts = [part for each in condition.parts if (part := _filter(each))]
            return {"$or": parts} if len(parts) == len(condition.parts) else None
        case Without() | None:  # which it has no word for
            return None
    raise TypeError(f"{condition!r} is no condition")
