"""Vectors in Weaviate. Experimental: it was never run against the real service."""

from __future__ import annotations

import hashlib
import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ..exceptions import ConfigurationError, NotFound, StoreFailure
from ..records import Collection
from .engine import EngineVectorStore, Row
from .fields import unpack
from .json_api import JsonApi, NotThere
from .terms import Condition, Every, Has, Some, Without

_METRICS = {"cosine": "cosine", "l2": "l2-squared", "inner_product": "dot"}
#: Rows of a page of a walk; and up to so many that a condition is true of are found without one.
_PAGE, _FEW = 500, 1_000
_NOWHERE = "00000000-0000-0000-0000-000000000000"
_WHOLE = ("vector", "content", "metadata", "user_id")
#: What our fields are called there, where some names are taken.
_NAMES = {"id": "key", "vector": "packed", "content": "content", "metadata": "metadata", "user_id": "user_id"}


class WeaviateVectorStore(EngineVectorStore):
    """Embeddings in Weaviate, a class there for each collection of ours, over its REST and GraphQL interfaces.

    Classes' names are digests of ours, which stand in their descriptions; ids there are UUIDs made of ours. All-or-none
    holds for what is checked before anything is sent, and for nothing else: Weaviate stores what it can of a request.

    Experimental: requests are tested against its published description, and never were against the real service.

    Args:
        url: where the server answers.
        api_key: what it asks for.
        prefix: what names of classes there begin with: a capital letter, then letters, digits and underscores.
        timeout: seconds to wait for an answer.
    """

    max_dimension = 65_535
    max_rows = 100
    max_bytes = 8 * 1024 * 1024
    max_hits = 10_000

    def __init__(
        self,
        url: str = "http://localhost:8080",
        *,
        api_key: str | None = None,
        prefix: str = "Chronos_",
        timeout: float = 30.0,
    ) -> None:
        if not (prefix.isidentifier() and prefix.isascii() and prefix[0].isupper()):
            raise ConfigurationError(
                "prefix must be of letters, digits and underscores, and begin with a capital letter"
            )
        self._url, self._prefix = f"{url.rstrip('/')}/v1", prefix
        self._api = JsonApi("Weaviate", {"Authorization": f"Bearer {api_key}"} if api_key else {}, timeout)

    def close(self) -> None:
        self._api.close()

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        return self._api.ask(method, f"{self._url}{path}", body=body)

    def _key(self, name: str) -> str:
        return f"{self._prefix}{hashlib.sha256(name.encode()).hexdigest()[:40]}"

    def _find(self, name: str) -> Collection | None:
        try:
            return _collection(self._ask("GET", f"/schema/{self._key(name)}"))
        except NotThere:
            return None

    def _create(self, collection: Collection) -> None:
        about = {"name": collection.name, "dimension": collection.dimension, "metric": collection.metric}
        schema = {
            "class": self._key(collection.name),
            "description": json.dumps(about),
            "vectorizer": "none",
            "vectorIndexType": "hnsw",
            "vectorIndexConfig": {"distance": _METRICS[collection.metric]},
            "properties": [
                *(_property(name, "text") for name in _NAMES.values()),
                _property("terms", "text[]", indexFilterable=True),
            ],
        }
        try:
            self._ask("POST", "/schema", schema)
        except StoreFailure:
            if self._find(collection.name) is None:  # or another has made it meanwhile
                # One that was written to just as it was dropped, Weaviate has made again by itself.
                self._ask("DELETE", f"/schema/{schema['class']}")
                self._ask("POST", "/schema", schema)

    def _drop(self, name: str) -> bool:
        if self._find(name) is None:
            return False
        self._ask("DELETE", f"/schema/{self._key(name)}")
        return True

    def _all(self) -> Iterable[Collection]:
        classes = self._ask("GET", "/schema")["classes"] or []
        ours = (each for each in classes if each["class"].startswith(self._prefix))
        return [found for found in map(_collection, ours) if found]

    def _put(self, collection: Collection, rows: Sequence[Row]) -> None:
        objects = [
            {
                "class": self._key(collection.name),
                "id": _id(row.id),
                "vector": unpack(row.vector).tolist(),
                "properties": {
                    "key": row.id,
                    "packed": b64encode(row.vector).decode(),
                    "content": row.content,
                    "metadata": row.metadata,
                    "user_id": row.user_id,
                    "terms": list(row.terms),
                },
            }
            for row in rows
        ]
        with self._of(collection):
            stored = self._ask("POST", "/batch/objects", {"objects": objects})
        for each in stored:
            if errors := each.get("result", {}).get("errors"):
                raise StoreFailure(f"Weaviate can't store an embedding: {json.dumps(errors)[:500]}")

    def _fetch(self, collection: Collection, ids: Sequence[str]) -> Iterable[Row]:
        return self._get(collection, _WHOLE, where=_with_ids(ids), limit=max(len(ids), 1))

    def _remove(self, collection: Collection, ids: Sequence[str]) -> int:
        match = {"class": self._key(collection.name), "where": _with_ids(ids, "valueTextArray")}
        with self._of(collection):
            result = self._ask("DELETE", "/batch/objects", {"match": match, "output": "minimal", "dryRun": False})
        if result["results"]["failed"]:
            raise StoreFailure(f"Weaviate can't remove {result['results']['failed']} embeddings")
        removed: int = result["results"]["successful"]
        return removed

    def _count(self, collection: Collection, where: Any = None) -> int:
        key = self._key(collection.name)
        asked = f"(where: {_literal(where)})" if where else ""
        found = self._graphql(collection, f"{{Aggregate{{{key}{asked}{{meta{{count}}}}}}}}")["Aggregate"][key]
        count: int = found[0]["meta"]["count"] if found else 0
        return count

    def _walk(self, collection: Collection, condition: Condition | None, fields: tuple[str, ...]) -> Iterator[Row]:
        if where := _where(condition):
            found = self._get(collection, fields, where=where, limit=_FEW)
            if len(found) < _FEW:
                yield from found
                return
        # Weaviate walks through all or nothing: it is the one who asks that looks at which match.
        after = ""
        while True:
            found = self._get(collection, fields, after=after, limit=_PAGE)
            yield from found
            if len(found) < _PAGE:
                return
            after = _id(found[-1].id)

    def _nearest(self, collection: Collection, vector: Any, count: int, condition: Condition | None) -> Sequence[Row]:
        where = _where(condition)
        rows = self._get(collection, _WHOLE, nearVector={"vector": vector.tolist()}, where=where, limit=count)
        if len(rows) < count and len(rows) < self._count(collection, where):
            return [*self._walk(collection, condition, _WHOLE)]  # an index may give fewer than it has
        return rows

    def _get(self, collection: Collection, fields: Iterable[str], **arguments: Any) -> list[Row]:
        key = self._key(collection.name)
        given = ", ".join(f"{name}: {_literal(value)}" for name, value in arguments.items() if value is not None)
        names = " ".join(_NAMES[field] for field in ("id", *fields))
        return [_row(each) for each in self._graphql(collection, f"{{Get{{{key}({given}){{{names}}}}}}}")["Get"][key]]

    def _graphql(self, collection: Collection, query: str) -> Any:
        with self._of(collection):
            answer = self._ask("POST", "/graphql", {"query": query})
            if errors := answer.get("errors"):
                raise StoreFailure(f"Weaviate can't do it: {json.dumps(errors)[:500]}")
        return answer["data"]

    @contextmanager
    def _of(self, collection: Collection) -> Iterator[None]:
        """A block that fails with `NotFound` where the collection is gone."""
        try:
            yield
        except StoreFailure:
            if self._find(collection.name) is None:
                raise NotFound(f"there is no collection {collection.name!r}") from None
            raise


def _property(name: str, type: str, *, indexFilterable: bool = False) -> dict[str, Any]:  # noqa: N803  (its name)
    return {
        "name": name,
        "dataType": [type],
        "tokenization": "field",
        "indexFilterable": indexFilterable,
        "indexSearchable": False,
    }


def _collection(found: Any) -> Collection | None:
    """The collection that a class is; None for one of somebody else's, or that Weaviate made by itself."""
    try:
        return Collection(**json.loads(found.get("description") or ""))
    except (ValueError, TypeError):
        return None


def _id(id: str) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(id.encode()).digest()[:16]))


def _with_ids(ids: Sequence[str], value: str = "valueText") -> dict[str, Any]:
    return {"path": ["id"], "operator": "ContainsAny", value: [*map(_id, ids)] or [_NOWHERE]}


def _row(found: Any) -> Row:
    fields = {name: found.get(_NAMES[name]) or "" for name in ("id", "content", "metadata", "user_id")}
    return Row(vector=b64decode(found.get("packed") or ""), **fields)


def _where(condition: Condition | None) -> dict[str, Any] | None:
    """What is true of all that a condition is true of; None where that is everything."""
    match condition:
        case Has():
            if not condition.terms:
                return {"path": ["id"], "operator": "Equal", "valueText": _NOWHERE}
            return {"path": ["terms"], "operator": "ContainsAny", "valueText": sorted(condition.terms)}
        case Every():
            parts = [part for each in condition.parts if (part := _where(each))]
            return _together("And", parts) if parts else None
        case Some():
            parts = [part for each in condition.parts if (part := _where(each))]
            return _together("Or", parts) if len(parts) == len(condition.parts) else None
        case Without() | None:  # which it has no word for
            return None
    raise TypeError(f"{condition!r} is no condition")


def _together(operator: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {"operator": operator, "operands": parts}


def _literal(value: Any) -> str:
    """A value in GraphQL, where names are without quotes; an operator is one of a few words."""
    match value:
        case dict():
            named = (f"{name}: {each if name == 'operator' else _literal(each)}" for name, each in value.items())
            return f"{{{', '.join(named)}}}"
        case list():
            return f"[{', '.join(map(_literal, value))}]"
    return json.dumps(value)
