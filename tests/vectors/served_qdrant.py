"""A server that answers as Qdrant's does, by its client's local mode."""

from __future__ import annotations

from typing import Any

from qdrant_client import QdrantClient, models

from tests.vectors.serving import BOOLEAN, INTEGER, NUMBER, OBJECT, TEXT, Operation, Served, one_of, record, several

_ID = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "format": "uuid"}]}
_DISTANCE = one_of("Cosine", "Euclid", "Dot", "Manhattan")
_FILTER: dict[str, Any] = {
    **record(**{name: several({"$ref": "#/$defs/condition"}) for name in ("must", "should", "must_not")}),
}
_CONDITION = {
    "anyOf": [
        record({"key": TEXT, "match": record({"any": several(TEXT)})}),
        {"$ref": "#/$defs/filter"},
    ]
}
_DEFINED = {"$defs": {"condition": _CONDITION, "filter": _FILTER}}
_WITH_PAYLOAD = {"anyOf": [BOOLEAN, several(TEXT)]}
_VECTOR = several(NUMBER)
_LIMIT = {"type": "integer", "minimum": 1}
_WAIT = {"wait": False, "ordering": False, "timeout": False}


def _body(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {**record(required, **optional), **_DEFINED}


def served_qdrant() -> Served:
    """A new server, which has no collection."""
    local = QdrantClient(":memory:")

    def forget() -> None:
        for each in local.get_collections().collections:
            local.delete_collection(each.name)

    def done(result: Any) -> tuple[int, Any]:
        if isinstance(result, list):
            result = [each.model_dump(mode="json") for each in result]
        elif hasattr(result, "model_dump"):
            result = result.model_dump(mode="json")
        return 200, {"result": result, "status": "ok", "time": 0.001}

    def within(call: Any) -> Any:
        """An operation on a collection, which must be there."""

        def answer(collection: str, **given: Any) -> tuple[int, Any]:
            if not local.collection_exists(collection):
                return 404, {"status": {"error": f"Not found: Collection `{collection}` doesn't exist!"}, "time": 0.0}
            return done(call(collection, **given))

        return answer

    def create(collection: str, query: Any, body: Any) -> tuple[int, Any]:
        if local.collection_exists(collection):
            return 409, {"status": {"error": f"Wrong input: Collection `{collection}` already exists!"}, "time": 0.0}
        vectors = body["vectors"]
        return done(
            local.create_collection(collection, vectors_config=models.VectorParams(**vectors) if vectors else {})
        )

    def put(collection: str, query: Any, body: Any) -> Any:
        return local.upsert(collection, [models.PointStruct(**each) for each in body["points"]])

    def retrieve(collection: str, query: Any, body: Any) -> Any:
        return local.retrieve(collection, body["ids"], with_payload=body["with_payload"])

    def delete(collection: str, query: Any, body: Any) -> Any:
        return local.delete(collection, models.PointIdsList(points=body["points"]))

    def scroll(collection: str, query: Any, body: Any) -> Any:
        points, after = local.scroll(
            collection,
            scroll_filter=models.Filter(**body["filter"]) if body.get("filter") else None,
            limit=body["limit"],
            offset=body.get("offset"),
            with_payload=body["with_payload"],
        )
        return models.ScrollResult(
            points=[models.Record(**each.model_dump()) for each in points], next_page_offset=after
        )

    def nearest(collection: str, query: Any, body: Any) -> Any:
        return local.query_points(
            collection,
            query=body["query"]["nearest"],
            limit=body["limit"],
            query_filter=models.Filter(**body["filter"]) if body.get("filter") else None,
            with_payload=body["with_payload"],
        )

    def exists(collection: str, query: Any, body: Any) -> tuple[int, Any]:
        return done(models.CollectionExistence(exists=local.collection_exists(collection)))

    one, points = "/collections/{collection}", "/collections/{collection}/points"
    updated = models.UpdateResult(operation_id=1, status=models.UpdateStatus.COMPLETED)
    return Served(
        [
            Operation("GET", "/collections", lambda query, body: done(local.get_collections())),
            Operation("GET", one, within(lambda name, **_: local.get_collection(name))),
            Operation("GET", f"{one}/exists", exists),
            Operation(
                "PUT",
                one,
                create,
                record({"vectors": {"anyOf": [record({"size": INTEGER, "distance": _DISTANCE}), record()]}}),
                {"timeout": False},
            ),
            Operation("DELETE", one, within(lambda name, **_: local.delete_collection(name)), query={"timeout": False}),
            Operation(
                "PUT",
                f"{one}/index",
                within(lambda name, **_: updated),
                record({"field_name": TEXT, "field_schema": one_of("keyword")}),
                _WAIT,
            ),
            Operation(
                "PUT",
                points,
                within(put),
                record(
                    {
                        "points": several(
                            record({"id": _ID, "vector": {"anyOf": [_VECTOR, record()]}, "payload": OBJECT})
                        )
                    }
                ),
                _WAIT,
            ),
            Operation(
                "POST",
                points,
                within(retrieve),
                record({"ids": several(_ID), "with_payload": _WITH_PAYLOAD}, with_vector=BOOLEAN),
                {"consistency": False, "timeout": False},
            ),
            Operation("POST", f"{points}/delete", within(delete), record({"points": several(_ID)}), _WAIT),
            Operation(
                "POST",
                f"{points}/count",
                within(lambda name, **_: local.count(name)),
                record({"exact": BOOLEAN}),
                {"timeout": False},
            ),
            Operation(
                "POST",
                f"{points}/scroll",
                within(scroll),
                _body(
                    {"limit": _LIMIT, "with_payload": _WITH_PAYLOAD},
                    filter={"$ref": "#/$defs/filter"},
                    offset=_ID,
                    with_vector=BOOLEAN,
                ),
                {"consistency": False, "timeout": False},
            ),
            Operation(
                "POST",
                f"{points}/query",
                within(nearest),
                _body(
                    {
                        "query": record({"nearest": _VECTOR}),
                        "limit": {"type": "integer", "minimum": 1},
                        "with_payload": _WITH_PAYLOAD,
                    },
                    filter={"$ref": "#/$defs/filter"},
                    params=record(exact=BOOLEAN, hnsw_ef=INTEGER),
                    with_vector=BOOLEAN,
                ),
                {"consistency": False, "timeout": False},
            ),
        ],
        forget,
    )
