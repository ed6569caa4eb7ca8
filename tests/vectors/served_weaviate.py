"""A server that answers as Weaviate's does, for what a store asks it; its objects are in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy
from graphql import GraphQLSyntaxError, parse
from graphql.language import ast

from tests.vectors.serving import BOOLEAN, NUMBER, OBJECT, TEXT, Operation, Served, one_of, record, several

_CLASS = {"type": "string", "pattern": "^[A-Z][_0-9A-Za-z]*$"}
_WHERE = record(
    {"path": several(TEXT), "operator": one_of("Equal", "ContainsAny")}, valueText=TEXT, valueTextArray=several(TEXT)
)
_PROPERTY = record(
    {
        "name": {"type": "string", "pattern": "^[_A-Za-z][_0-9A-Za-z]{0,230}$", "not": one_of("id", "vector")},
        "dataType": several(one_of("text", "text[]"), minItems=1, maxItems=1),
    },
    tokenization=one_of("word", "lowercase", "whitespace", "field"),
    indexFilterable=BOOLEAN,
    indexSearchable=BOOLEAN,
)
_SCHEMA = record(
    {"class": _CLASS, "properties": several(_PROPERTY)},
    description=TEXT,
    vectorizer=TEXT,
    vectorIndexType=one_of("hnsw", "flat", "dynamic"),
    vectorIndexConfig=record(distance=one_of("cosine", "dot", "l2-squared", "manhattan", "hamming")),
)
_OBJECT = record(
    {"class": _CLASS, "id": {"type": "string", "format": "uuid"}, "properties": OBJECT}, vector=several(NUMBER)
)
_DELETE = record(
    {"match": record({"class": _CLASS, "where": _WHERE})}, output=one_of("minimal", "verbose"), dryRun=BOOLEAN
)


@dataclass
class _Class:
    schema: dict[str, Any]
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)

    def found(self, arguments: dict[str, Any]) -> list[dict[str, Any]]:
        """The objects that a query's arguments find, in its order."""
        assert arguments.keys() <= {"where", "limit", "after", "nearVector"}
        # Which Weaviate has nothing together with.
        assert "after" not in arguments or arguments.keys() == {"after", "limit"}
        where = arguments.get("where")
        found = [each for id, each in sorted(self.objects.items()) if where is None or _is_true(where, id, each)]
        if "after" in arguments:
            found = [each for each in found if each["id"] > arguments["after"]]
        if near := arguments.get("nearVector"):
            assert near.keys() == {"vector"}
            metric, asked = self.schema["vectorIndexConfig"]["distance"], numpy.array(near["vector"], "f4")
            found.sort(key=lambda each: _distance(metric, asked, numpy.array(each["vector"], "f4")))
        return found[: arguments.get("limit", 100)]


def served_weaviate(key: str | None = None) -> Served:
    """A new server, which has no class.

    Args:
        key: that it asks for.
    """
    classes: dict[str, _Class] = {}

    def all_classes(query: Any, body: Any) -> tuple[int, Any]:
        return 200, {"classes": [each.schema for each in classes.values()]}

    def make(query: Any, body: Any) -> tuple[int, Any]:
        if body["class"] in classes:
            return 422, {"error": [{"message": f"class name {body['class']} already exists"}]}
        classes[body["class"]] = _Class(body)
        return 200, body

    def one(name: str, query: Any, body: Any) -> tuple[int, Any]:
        return (200, classes[name].schema) if name in classes else (404, None)

    def drop(name: str, query: Any, body: Any) -> tuple[int, Any]:
        classes.pop(name, None)
        return 200, None

    def put(query: Any, body: Any) -> tuple[int, Any]:
        stored = []
        for each in body["objects"]:
            # One of a class that it does not know, Weaviate makes.
            kept = classes.setdefault(each["class"], _Class({"class": each["class"], "properties": []}))
            known = {name["name"] for name in kept.schema["properties"]}
            assert each["properties"].keys() <= known or not known
            kept.objects[each["id"]] = each
            stored.append({**each, "result": {"status": "SUCCESS"}})
        return 200, stored

    def delete(query: Any, body: Any) -> tuple[int, Any]:
        match = body["match"]
        if match["class"] not in classes:
            return 422, {"error": [{"message": "class not found"}]}
        objects = classes[match["class"]].objects
        gone = [id for id, each in objects.items() if _is_true(match["where"], id, each)]
        for id in gone:
            del objects[id]
        results = {"matches": len(gone), "limit": 10_000, "successful": len(gone), "failed": 0}
        return 200, {**body, "results": results}

    def graphql(query: Any, body: Any) -> tuple[int, Any]:
        try:
            return 200, {"data": dict(_answered(classes, each) for each in _selected(parse(body["query"])))}
        except (GraphQLSyntaxError, LookupError) as error:
            return 200, {"data": None, "errors": [{"message": str(error)}]}

    return Served(
        [
            Operation("GET", "/v1/schema", all_classes),
            Operation("POST", "/v1/schema", make, _SCHEMA),
            Operation("GET", "/v1/schema/{name}", one),
            Operation("DELETE", "/v1/schema/{name}", drop),
            Operation("POST", "/v1/batch/objects", put, record({"objects": several(_OBJECT)})),
            Operation("DELETE", "/v1/batch/objects", delete, _DELETE),
            Operation("POST", "/v1/graphql", graphql, record({"query": TEXT}, operationName=TEXT, variables=OBJECT)),
        ],
        classes.clear,
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


def _selected(node: Any) -> list[Any]:
    """What a query, or a field of one, asks for."""
    if isinstance(node, ast.DocumentNode):
        (node,) = node.definitions
    return [*node.selection_set.selections] if node.selection_set else []


def _answered(classes: dict[str, _Class], kind: Any) -> tuple[str, Any]:
    answers = {}
    for asked in _selected(kind):
        name, arguments = asked.name.value, {each.name.value: _value(each.value) for each in asked.arguments or ()}
        if name not in classes:
            raise LookupError(f'Cannot query field "{name}" on type "{kind.name.value}ObjectsObj".')
        if kind.name.value == "Aggregate":
            assert arguments.keys() <= {"where"}
            answers[name] = [{"meta": {"count": len(classes[name].found({**arguments, "limit": None}))}}]
        else:
            fields = [each.name.value for each in _selected(asked)]
            found = classes[name].found(arguments)
            answers[name] = [{field: each["properties"][field] for field in fields} for each in found]
    return kind.name.value, answers


def _value(node: Any) -> Any:
    match node:
        case ast.ObjectValueNode():
            return {each.name.value: _value(each.value) for each in node.fields}
        case ast.ListValueNode():
            return [_value(each) for each in node.values]
        case ast.IntValueNode():
            return int(node.value)
        case ast.FloatValueNode():
            return float(node.value)
    return node.value


def _is_true(where: dict[str, Any], id: str, each: dict[str, Any]) -> bool:
    if where["operator"] in ("And", "Or"):
        assert where.keys() == {"operator", "operands"}
        parts = (_is_true(part, id, each) for part in where["operands"])
        return all(parts) if where["operator"] == "And" else any(parts)
    assert where["operator"] in ("Equal", "ContainsAny")
    (name,) = where["path"]
    asked = where.get("valueText", where.get("valueTextArray"))
    assert where.keys() <= {"path", "operator", "valueText", "valueTextArray"}
    assert isinstance(asked, str if where["operator"] == "Equal" else list)
    has = {id} if name == "id" else set(each["properties"][name])
    return bool(has & ({asked} if isinstance(asked, str) else set(asked)))


def _distance(metric: str, first: Any, second: Any) -> float:
    match metric:
        case "cosine":
            return 1 - float(first @ second / numpy.linalg.norm(first) / numpy.linalg.norm(second))
        case "dot":
            return -float(first @ second)
    return float(((first - second) ** 2).sum())
