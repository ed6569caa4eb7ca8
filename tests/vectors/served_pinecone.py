"""A server that answers as Pinecone's do, for what a store asks them; its vectors are in memory, and found at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy

from tests.vectors.serving import BOOLEAN, NUMBER, OBJECT, TEXT, Operation, Served, one_of, record, several

_NAME = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 45}
_METADATA = {
    "type": "object",
    "additionalProperties": {"anyOf": [TEXT, NUMBER, BOOLEAN, several(TEXT)]},
}
_CREATE = record(
    {
        "name": _NAME,
        "dimension": {"type": "integer", "minimum": 1, "maximum": 20_000},
        "metric": one_of("cosine", "euclidean", "dotproduct"),
        "spec": record({"serverless": record({"cloud": one_of("aws", "gcp", "azure"), "region": TEXT})}),
    }
)
_ID = {"type": "string", "minLength": 1, "maxLength": 512}
_VECTOR = record({"id": _ID, "values": several(NUMBER, minItems=1, maxItems=20_000)}, metadata=_METADATA)
_UPSERT = record({"vectors": several(_VECTOR, minItems=1, maxItems=1000)}, namespace=TEXT)
_DELETE = record({"ids": several(_ID, minItems=1, maxItems=1000)}, namespace=TEXT)
_QUERY = record(
    {"topK": {"type": "integer", "minimum": 1, "maximum": 10_000}, "vector": several(NUMBER)},
    namespace=TEXT,
    filter=OBJECT,
    includeValues=BOOLEAN,
    includeMetadata=BOOLEAN,
)


@dataclass
class _Index:
    about: dict[str, Any]
    namespaces: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


def served_pinecone(key: str) -> Served:
    """A new server, which has no index; those that are made answer at paths of their own.

    Args:
        key: that it asks for.
    """
    indexes: dict[str, _Index] = {}

    def at(call: Any) -> Any:
        """An operation on an index, which must be there."""

        def answer(name: str, query: Any, body: Any) -> tuple[int, Any]:
            if name not in indexes:
                return 404, {"error": {"code": "NOT_FOUND", "message": f"Resource {name} not found"}, "status": 404}
            return 200, call(indexes[name], query, body)

        return answer

    def make(query: Any, body: Any) -> tuple[int, Any]:
        if body["name"] in indexes:
            return 409, {"error": {"code": "ALREADY_EXISTS", "message": "Resource already exists"}, "status": 409}
        host = f"{served.url}/at/{body['name']}"
        about = {**body, "host": host, "status": {"ready": True, "state": "Ready"}, "vector_type": "dense"}
        indexes[body["name"]] = _Index({**about, "deletion_protection": "disabled"})
        return 201, indexes[body["name"]].about

    def drop(name: str, query: Any, body: Any) -> tuple[int, Any]:
        return (202, None) if indexes.pop(name, None) else (404, None)

    def upsert(index: _Index, query: Any, body: Any) -> Any:
        kept = index.namespaces.setdefault(body["namespace"], {})
        for each in body["vectors"]:
            assert len(each["values"]) == index.about["dimension"]
            assert any(each["values"]), "Pinecone takes no vector of zeros"
            kept[each["id"]] = each | {"values": numpy.array(each["values"], "f4").tolist()}
        return {"upsertedCount": len(body["vectors"])}

    def fetch(index: _Index, query: Any, body: Any) -> Any:
        kept = index.namespaces.get(query["namespace"][0], {})
        found = {id: kept[id] for id in query["ids"] if id in kept}
        return {"vectors": found, "namespace": query["namespace"][0], "usage": {"readUnits": 1}}

    def delete(index: _Index, query: Any, body: Any) -> Any:
        for id in body["ids"]:
            index.namespaces.get(body["namespace"], {}).pop(id, None)
        return {}

    def listed(index: _Index, query: Any, body: Any) -> Any:
        ids, limit = sorted(index.namespaces.get(query["namespace"][0], {})), int(query["limit"][0])
        assert 1 <= limit <= 100
        ids = [id for id in ids if id > query.get("paginationToken", [""])[0]]
        page = ids[:limit]
        more = {"pagination": {"next": page[-1]}} if len(ids) > limit else {}
        return {"vectors": [{"id": id} for id in page], "namespace": query["namespace"][0], **more}

    def nearest(index: _Index, query: Any, body: Any) -> Any:
        assert len(body["vector"]) == index.about["dimension"]
        asked, metric = numpy.array(body["vector"], "f4"), index.about["metric"]
        kept = index.namespaces.get(body["namespace"], {}).values()
        found = [
            {"id": each["id"], "score": _score(metric, asked, numpy.array(each["values"], "f4"))}
            for each in kept
            if "filter" not in body or _is_true(body["filter"], each["metadata"])
        ]
        sign = 1 if metric == "euclidean" else -1  # where less is nearer
        return {"matches": sorted(found, key=lambda each: sign * each["score"])[: body["topK"]]}

    def stats(index: _Index, query: Any, body: Any) -> Any:
        counts = {name: {"vectorCount": len(kept)} for name, kept in index.namespaces.items() if kept}
        return {"namespaces": counts, "dimension": index.about["dimension"], "indexFullness": 0}

    one = "/at/{name}"
    served = Served(
        [
            Operation(
                "GET", "/indexes", lambda query, body: (200, {"indexes": [each.about for each in indexes.values()]})
            ),
            Operation("POST", "/indexes", make, _CREATE),
            Operation("GET", "/indexes/{name}", at(lambda index, query, body: index.about)),
            Operation("DELETE", "/indexes/{name}", drop),
            Operation("POST", f"{one}/vectors/upsert", at(upsert), _UPSERT),
            Operation("GET", f"{one}/vectors/fetch", at(fetch), query={"ids": True, "namespace": False}),
            Operation("POST", f"{one}/vectors/delete", at(delete), _DELETE),
            Operation(
                "GET",
                f"{one}/vectors/list",
                at(listed),
                query={"namespace": False, "limit": False, "paginationToken": False, "prefix": False},
            ),
            Operation("POST", f"{one}/query", at(nearest), _QUERY),
            Operation("POST", f"{one}/describe_index_stats", at(stats), record(filter=OBJECT)),
        ],
        indexes.clear,
        headers={"Api-Key": key, "X-Pinecone-Api-Version": "2025-10"},
    )
    return served


def _is_true(tree: dict[str, Any], metadata: dict[str, Any]) -> bool:
    ((operator, value),) = tree.items()
    if operator in ("$and", "$or"):
        parts = (_is_true(part, metadata) for part in value)
        return all(parts) if operator == "$and" else any(parts)
    assert value.keys() == {"$in"}
    assert 0 < len(value["$in"]) <= 10_000
    return bool(set(metadata[operator]) & set(value["$in"]))


def _score(metric: str, first: Any, second: Any) -> float:
    match metric:
        case "cosine":
            return float(first @ second / numpy.linalg.norm(first) / numpy.linalg.norm(second))
        case "dotproduct":
            return float(first @ second)
    return float(((first - second) ** 2).sum())
