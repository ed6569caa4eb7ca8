"""What no store takes: the same error on each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ...exceptions import InvalidRecord, NotFound
from ...records import Embedding
from ...vectors.base import Metric, VectorStore
from ..conformance.helpers import case
from ..conformance.plain import odd
from .helpers import ids

_BAD_VECTORS: list[Any] = [
    [],
    [1],
    [1, 2, 3],
    [1, math.nan],
    [math.inf, 1],
    [1, -math.inf],
    [1e39, 1],
    [1e30, 1e30],
    [10**400, 1],
    ["1", "2"],
    [None, 1],
    [True, False],
    [[1, 2]],
    "12",
    b"12",
    12,
    None,
    {1: 2, 3: 4},
]


class BadVectorContract:
    def test_a_vector_that_cannot_be_kept(self, vector_store: VectorStore) -> None:
        metrics: tuple[Metric, ...] = ("cosine", "l2")
        for metric in metrics:
            vector_store.create_collection(metric, 2, metric=metric)
            for vector in _BAD_VECTORS:
                with case(metric, vector), pytest.raises(InvalidRecord) as raised:
                    vector_store.upsert(metric, [Embedding(id="e", vector=vector)])
                assert raised.value.field == "vector", vector
                with case(metric, vector), pytest.raises(InvalidRecord) as raised:
                    vector_store.search(metric, vector)
                assert raised.value.field == "query", vector
            assert vector_store.count(metric) == 0

    def test_a_zero_vector_under_cosine(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 2)
        for vector in ([0, 0], [0.0, -0.0], [1e-30, 0]):
            with pytest.raises(InvalidRecord, match=r"^vector: "):
                vector_store.upsert("c", [Embedding(id="e", vector=vector)])
            with pytest.raises(InvalidRecord, match=r"^query: "):
                vector_store.search("c", vector)

    def test_a_record_that_cannot_be_kept(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        refused: list[tuple[dict[str, Any], str]] = [
            ({"id": "\x00"}, "id"),
            ({"id": "\ud800"}, "id"),
            ({"id": "x" * 256}, "id"),
            ({"id": 1}, "id"),
            ({"content": None}, "content"),
            ({"content": "\x00"}, "content"),
            ({"metadata": None}, "metadata"),
            ({"metadata": {"a": math.nan}}, "metadata.a"),
            ({"metadata": {"a": 2**63}}, "metadata.a"),
            ({"metadata": {"a": 1e300}}, "metadata.a"),
            ({"metadata": {1: 2}}, "metadata"),
            ({"metadata": {"a": {"\x00": 1}}}, "metadata.a"),
            ({"user_id": "\ud800"}, "user_id"),
        ]
        for fields, field in refused:
            with case(fields), pytest.raises(InvalidRecord) as raised:
                vector_store.upsert("c", [Embedding(vector=[1]), Embedding(**{"vector": [1], **fields})])
            assert raised.value.field == field
        with pytest.raises(InvalidRecord):
            vector_store.upsert("c", [{"id": "e", "vector": [1]}])  # type: ignore[list-item]
        assert vector_store.count("c") == 0

    def test_a_collection_that_cannot_be(self, vector_store: VectorStore) -> None:
        refused: list[tuple[Any, Any, Any, str]] = [
            ("", 1, "cosine", "name"),
            ("x" * 256, 1, "cosine", "name"),
            ("\x00", 1, "cosine", "name"),
            (None, 1, "cosine", "name"),
            ("c", 0, "cosine", "dimension"),
            ("c", -1, "cosine", "dimension"),
            ("c", 1_000_000, "cosine", "dimension"),
            ("c", 1.5, "cosine", "dimension"),
            ("c", True, "cosine", "dimension"),
            ("c", "1", "cosine", "dimension"),
            ("c", 1, "manhattan", "metric"),
            ("c", 1, "", "metric"),
            ("c", 1, None, "metric"),
        ]
        for name, dimension, metric, field in refused:
            with case(name, dimension, metric), pytest.raises(InvalidRecord) as raised:
                vector_store.create_collection(name, dimension, metric=metric)
            assert raised.value.field == field
        assert vector_store.list_collections() == []


class BadVectorQuestionContract:
    def test_an_unknown_collection(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        for name in ("nobody", "", "'", "%s", "c ", "C", "a:b/c", "\U0001f642", odd("nobody")):
            asked: list[Callable[[], Any]] = [
                partial(vector_store.upsert, name, [Embedding(vector=[1])]),
                partial(vector_store.search, name, [1]),
                partial(vector_store.get, name, "e"),
                partial(vector_store.delete, name, ["e"]),
                partial(vector_store.count, name),
                partial(vector_store.count, name, filter={"a": 1}),
                partial(vector_store.get_many, name, ["e"]),
                partial(vector_store.list, name),
                partial(vector_store.delete_where, name, {}),
                partial(vector_store.search, name, None, text="word"),
            ]
            for ask in asked:
                with case(name, ask), pytest.raises(NotFound, match=re.escape(repr(str.__str__(name)))):
                    ask()
            assert vector_store.drop_collection(name) is False
        assert vector_store.count("c") == 0

    def test_a_filter_that_is_not_in_the_grammar(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        refused: list[tuple[Any, str]] = [
            ([], "filter"),
            ("a", "filter"),
            ({"$nor": []}, "filter.$nor"),
            ({"$": 1}, "filter.$"),
            ({"a": {"$like": "x"}}, "filter.a.$like"),
            ({"a": {"$gt": 1, "b": 2}}, "filter.a.b"),
            ({"a": {"$gt": None}}, "filter.a.$gt"),
            ({"a": {"$gt": True}}, "filter.a.$gt"),
            ({"a": {"$lt": [1]}}, "filter.a.$lt"),
            ({"a": {"$in": 1}}, "filter.a.$in"),
            ({"a": {"$nin": "abc"}}, "filter.a.$nin"),
            ({"a": {"$exists": 1}}, "filter.a.$exists"),
            ({"a": {"$contains_any": "abc"}}, "filter.a.$contains_any"),
            ({"a": {"$contains_all": {"b": 1}}}, "filter.a.$contains_all"),
            ({"a": {"$contains_none": []}}, "filter.a.$contains_none"),
            ({"a": {"$prefix": 1}}, "filter.a.$prefix"),
            ({"a": {"$prefix": None}}, "filter.a.$prefix"),
            ({"$and": {}}, "filter.$and"),
            ({"$and": []}, "filter.$and"),
            ({"$or": [1]}, "filter.$or[0]"),
            ({"$not": []}, "filter.$not"),
            ({"$and": [{"a": {"$x": 1}}]}, "filter.$and[0].a.$x"),
            ({"a": math.nan}, "filter.a"),
            ({"a": 2**63}, "filter.a"),
            ({"a": "\x00"}, "filter.a"),
            ({"\ud800": 1}, "filter"),
            ({1: 1}, "filter"),
            ({"a": {1, 2}}, "filter.a"),
        ]
        for wrong, field in refused:
            with case(wrong), pytest.raises(InvalidRecord) as raised:
                vector_store.search("c", [1], filter=wrong)
            assert raised.value.field == field
            for ask in (vector_store.list, vector_store.count, vector_store.delete_where):
                with case(wrong, ask), pytest.raises(InvalidRecord) as raised:
                    ask("c", filter=wrong)
                assert raised.value.field == field
        with pytest.raises(InvalidRecord, match=r"^filter: "):
            vector_store.delete_where("c", None)  # type: ignore[arg-type]

    def test_other_arguments(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        bad: list[tuple[str, Any]] = [("top_k", -1), ("top_k", 1.5), ("top_k", None), ("text", 1), ("text", "\x00")]
        bad += [("offset", -1), ("offset", "1"), ("offset", None), ("group_by", 1), ("group_by", "\x00")]
        bad += [("group_by", ".".join("a" * 101)), ("include_vectors", None), ("include_vectors", 1)]
        for name, value in bad:
            with pytest.raises(InvalidRecord, match=f"^{name}: "):
                vector_store.search("c", [1], **{name: value})
        with pytest.raises(InvalidRecord, match=r"^query: "):
            vector_store.search("c", None)
        with pytest.raises(InvalidRecord, match=r"^query: "):
            vector_store.search("c", [1, 2], text="word")
        bad = [("limit", -1), ("limit", "1"), ("after", 1), ("after", "\x00"), ("after", ["a"])]
        for name, value in bad:
            with pytest.raises(InvalidRecord, match=f"^{name}: "):
                vector_store.list("c", **{name: value})
        with pytest.raises(InvalidRecord, match=r"^ids: "):
            vector_store.delete("c", "e")
        with pytest.raises(InvalidRecord, match=r"^id: "):
            vector_store.get("c", 1)  # type: ignore[arg-type]
        with pytest.raises(InvalidRecord, match=r"^collection: "):
            vector_store.count(None)  # type: ignore[arg-type]

    def test_what_is_no_name_no_list_and_no_record(self, vector_store: VectorStore) -> None:
        """It never means "any", and no method answers it with an error of Python's own."""
        store = vector_store
        store.create_collection("c", 1)
        store.upsert("c", [Embedding(id="e", vector=[1])])
        wrong: Any
        for wrong in (None, 1, ["c"], {"c": 1}, b"c"):
            asked: list[tuple[str, Callable[[], Any]]] = [
                ("name", lambda: store.create_collection(wrong, 1)),  # noqa: B023  (called before the next)
                ("name", lambda: store.drop_collection(wrong)),  # noqa: B023
                ("collection", lambda: store.upsert(wrong, [])),  # noqa: B023
                ("collection", lambda: store.search(wrong, [1])),  # noqa: B023
                ("collection", lambda: store.get(wrong, "e")),  # noqa: B023
                ("collection", lambda: store.delete(wrong, ["e"])),  # noqa: B023
                ("collection", lambda: store.count(wrong)),  # noqa: B023
                ("id", lambda: store.get("c", wrong)),  # noqa: B023
                ("embeddings", lambda: store.upsert("c", wrong)),  # noqa: B023
                ("embeddings", lambda: store.upsert("c", [wrong])),  # noqa: B023
            ]
            for field, ask in asked:
                with pytest.raises(InvalidRecord, match=f"^{field}: "):
                    ask()
        for wrong in (None, 1, "e", b"e", [None]):
            with pytest.raises(InvalidRecord, match=r"^ids: "):
                store.delete("c", wrong)
            with pytest.raises(InvalidRecord, match=r"^ids: "):
                store.get_many("c", wrong)
        assert ids(store.search("c", [1])) == ["e"]
