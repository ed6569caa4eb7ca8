"""Filters: the same rows as the grammar evaluated in Python."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ... import filters
from ...exceptions import InvalidRecord
from ...records import Embedding
from ...vectors.base import VectorStore
from .helpers import ODD_STRINGS, found, numbers, points

_KEYS = ["a", "b", "0", "", "é", "'", "%s", '"', "a b", "$"]
_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, -1, 2, 1.0, 0.5, 1e-7, 2**53 + 1, 2**63 - 1, -(2**63), 9007199254740992.0]),
    st.sampled_from(["", "0", "1", "true", "null", "a", "B", "é", "z", "\U0001f642", "'; --", "%s", "\\", '"']),
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(_KEYS[:-1]), inner, max_size=2)
    ),
    max_leaves=3,
)
_METADATA = st.dictionaries(st.sampled_from(_KEYS[:-1]), _VALUES, max_size=3)
_OPERANDS = st.one_of(_SCALARS, st.sampled_from([1e16, -1e300, 1e23, -0.0, 1.2345678901234567e18]))
_FIELDS = st.lists(st.sampled_from(_KEYS[:-1]), min_size=1, max_size=2).map(".".join)
_ORDERED = st.one_of(st.integers(-2, 2), st.sampled_from([0.5, 1e23, "", "a", "B", "é", "z"]))
_BEGINNINGS = st.sampled_from(["", "0", "t", "tr", "a", "e", "\U0001f642", "%", "'", "\\"])
_LISTS = st.lists(_OPERANDS, max_size=3)
_OPERATIONS = st.one_of(
    st.fixed_dictionaries({}, optional={"$eq": _VALUES, "$ne": _OPERANDS}),
    st.fixed_dictionaries({}, optional={"$gt": _ORDERED, "$lte": _ORDERED, "$gte": _ORDERED, "$lt": _ORDERED}),
    st.fixed_dictionaries({}, optional={"$in": st.lists(_OPERANDS, max_size=3), "$nin": st.lists(_VALUES, max_size=3)}),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$contains": _VALUES}),
    st.fixed_dictionaries({}, optional={"$contains_any": st.lists(_VALUES, max_size=3), "$prefix": _BEGINNINGS}),
    st.fixed_dictionaries({}, optional={"$contains_all": st.lists(_VALUES, max_size=2), "$contains_any": _LISTS}),
    _VALUES,
)
_FILTERS = st.recursive(
    st.dictionaries(_FIELDS, _OPERATIONS, max_size=2),
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"$or": st.lists(inner, min_size=1, max_size=2)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=4,
)

_ROWS: list[dict[str, Any]] = [
    {},
    {"n": 1},
    {"n": 1.0},
    {"n": True},
    {"n": "1"},
    {"n": None},
    {"n": [1]},
    {"n": {"m": 1}},
    {"n": {"0": 5}},
    {"n": [5, 6]},
    {"n": 2},
    {"n": "b"},
    {"n": {"m": {"o": "deep"}}},
]

#: Filters, and the places of the rows that they match.
_MATCHES: list[tuple[Any, list[int]]] = [
    ({}, list(range(13))),
    (None, list(range(13))),
    ({"n": 1}, [1, 2]),
    ({"n": {"$eq": 1.0}}, [1, 2]),
    ({"n": True}, [3]),
    ({"n": "1"}, [4]),
    ({"n": None}, [5]),
    ({"n": [1]}, [6]),
    ({"n": [True]}, []),
    ({"n": {"m": 1}}, [7]),
    ({"n.m": 1}, [7]),
    ({"n.0": 5}, [8]),
    ({"n.m.o": "deep"}, [12]),
    ({"n.m": {"o": "deep"}}, [12]),
    ({"n": {"$ne": 1}}, [0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    ({"n": {"$gt": 1}}, [10]),
    ({"n": {"$gte": 1}}, [1, 2, 10]),
    ({"n": {"$lt": 2, "$gt": 0}}, [1, 2]),
    ({"n": {"$gt": "1"}}, [11]),
    ({"n": {"$lte": "b"}}, [4, 11]),
    ({"n": {"$in": [1, "1", None]}}, [1, 2, 4, 5]),
    ({"n": {"$in": []}}, []),
    ({"n": {"$nin": [1, "1", None]}}, [0, 3, 6, 7, 8, 9, 10, 11, 12]),
    ({"n": {"$contains": 1}}, [6]),
    ({"n": {"$contains": 6.0}}, [9]),
    ({"n": {"$contains": [1]}}, []),
    ({"n": {"$contains": True}}, []),
    ({"n": {"$contains_any": [1, 6]}}, [6, 9]),
    ({"n": {"$contains_any": []}}, []),
    ({"n": {"$contains_all": [6, 5, 5]}}, [9]),
    ({"n": {"$contains_all": [5, "5"]}}, []),
    ({"n": {"$contains_all": []}}, [6, 9]),
    ({"n": {"$prefix": ""}}, [4, 11]),
    ({"n": {"$prefix": "b"}}, [11]),
    ({"n.m.o": {"$prefix": "de"}}, [12]),
    ({"n.m.o": {"$prefix": "D"}}, []),
    ({"$not": {"n": {"$contains": 5}}}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12]),
    ({"n": {"$exists": True}}, list(range(1, 13))),
    ({"n": {"$exists": False}}, [0]),
    ({"n.m": {"$exists": True}}, [7, 12]),
    ({"$not": {"n": {"$gt": 1}}}, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12]),
    ({"$or": [{"n": 1}, {"n": "1"}]}, [1, 2, 4]),
    ({"$and": [{"n": 1}, {"n": "1"}]}, []),
    ({"n": 1, "$not": {"x": 1}}, [1, 2]),
]


class FilterContract:
    def test_the_grammar(self, vector_store: VectorStore) -> None:
        points(vector_store, *_ROWS)
        for wanted, expected in _MATCHES:
            assert found(vector_store, wanted) == [str(place) for place in expected], wanted

    def test_one_of_very_many_values(self, vector_store: VectorStore) -> None:
        rows: list[Any] = [{"n": 1}, {"n": 1.0}, {"n": True}, {"n": "1"}, {"n": None}, {"n": [1.0]}, {"n": 0.5}, {}]
        points(vector_store, *rows)
        many: list[Any] = [*range(10, 35_010), *map(str, range(10, 35_010))]
        assert found(vector_store, {"n": {"$in": [*many, 1, "1", None, [1]]}}) == ["0", "1", "3", "4", "5"]
        assert found(vector_store, {"n": {"$nin": [*many, True, 0.5]}}) == ["0", "1", "3", "4", "5", "7"]

    def test_items_of_a_list(self, vector_store: VectorStore) -> None:
        """Against: an object that is taken for another which has more keys, a list that is taken for its item."""
        rows: list[Any] = [{"l": [1, {"a": 1, "b": 2}]}, {"l": [{"a": 1}, [2, 3]]}, {"l": {"a": 1}}, {"l": [[2]]}]
        points(vector_store, *rows, {"l": ["é", "x%"]}, {"l": [None, True, 1.0]}, {"l": "é"}, {"o": {"l": [1]}})
        many: list[Any] = [*range(10, 35_010)]
        for wanted, expected in (
            ({"l": {"$contains": {"a": 1}}}, ["1"]),
            ({"l": {"$contains": {"b": 2.0, "a": 1}}}, ["0"]),
            ({"l": {"$contains": [2]}}, ["3"]),
            ({"l": {"$contains": 2}}, []),
            ({"l": {"$contains": "é"}}, ["4"]),
            ({"l": {"$contains": None}}, ["5"]),
            ({"l": {"$contains_all": [1, {"a": 1, "b": 2}]}}, ["0"]),
            ({"l": {"$contains_all": [True, None]}}, ["5"]),
            ({"l": {"$contains_any": [*many, 1, [3, 2]]}}, ["0", "5"]),
            ({"l": {"$contains_any": [{"a": 1}, "x%"]}}, ["1", "4"]),
            ({"l": {"$contains_all": [*many, 1]}}, []),
            ({"o.l": {"$contains": 1}}, ["7"]),
        ):
            assert found(vector_store, wanted) == expected, str(wanted)[:100]

    def test_beginnings_of_strings(self, vector_store: VectorStore) -> None:
        points(vector_store, *({"s": string} for string in ODD_STRINGS))
        for wanted in ODD_STRINGS[:40]:
            begun = [str(place) for place, string in enumerate(ODD_STRINGS) if string.startswith(wanted)]
            assert found(vector_store, {"s": {"$prefix": wanted}}) == begun

    def test_no_filter_is_too_large_for_some_stores_only(self, vector_store: VectorStore) -> None:
        points(vector_store, {"a": 1}, {"n": 5})
        most = {"$or": [{"n": n} for n in range(1_000)]}
        assert found(vector_store, most) == ["1"]
        assert found(vector_store, {".".join("a" * 100): {"$exists": False}}) == ["0", "1"]
        for wrong, problem in (
            ({"$and": [most, {"n": 1}]}, "has 1,001 conditions; at most 1,000"),
            ({".".join("a" * 101): 1}, "has a path of 101 names; .* at most 100"),
            ({"a" + "." * 3_000: {"$gt": 1}}, "has a path of 3,001 names"),
            ({"n": {"$in": ["x" * 1_000] * 5_000}}, "bytes of JSON; at most 4,194,304"),
        ):
            with pytest.raises(InvalidRecord, match=f"^filter: .*{problem}"):
                vector_store.search("c", [0.0], filter=wrong)

    def test_strings_are_compared_by_code_point(self, vector_store: VectorStore) -> None:
        points(vector_store, *({"s": string} for string in ODD_STRINGS))
        for wanted in ODD_STRINGS:
            equal = [str(place) for place, string in enumerate(ODD_STRINGS) if string == wanted]
            less = [str(place) for place, string in enumerate(ODD_STRINGS) if string < wanted]
            assert found(vector_store, {"s": wanted}) == equal
            assert found(vector_store, {"s": {"$lt": wanted}}) == less

    def test_any_name_is_a_field(self, vector_store: VectorStore) -> None:
        names = [name for name in ODD_STRINGS if "." not in name and not name.startswith("$")]
        points(vector_store, *({name: 1} for name in names))
        for place, name in enumerate(names):
            assert found(vector_store, {name: 1}) == [str(place)]
            assert found(vector_store, {name: {"$gt": 0}}) == [str(place)]
            assert found(vector_store, {name: {"$exists": True}}) == [str(place)]

    def test_a_filter_does_not_take_from_top_k(self, vector_store: VectorStore) -> None:
        """Against: what is filtered after the nearest were found leaves too few."""
        vector_store.create_collection("c", 4, metric="l2")
        vector_store.upsert(
            "c",
            [
                Embedding(id=f"{place}", vector=vector, metadata={"rare": place % 50 == 0})
                for place, vector in enumerate(numbers(2_000, 4))
            ],
        )
        for query in numbers(3, 4, seed=1):
            results = vector_store.search("c", query, 40, filter={"rare": True})
            assert sorted(int(each.id) for each in results) == list(range(0, 2_000, 50))

    def test_filters_match_what_the_grammar_says(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1, metric="l2")

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(_METADATA, min_size=4, max_size=8), st.lists(_FILTERS, min_size=4, max_size=8))
        def check(rows: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
            vector_store.delete("c", [str(place) for place in range(8)])
            vector_store.upsert(
                "c",
                [Embedding(id=str(place), vector=[1], metadata=metadata) for place, metadata in enumerate(rows)],
            )
            for each in wanted:
                tree = filters.parse(each)
                expected = [str(place) for place, metadata in enumerate(rows) if tree.matches(metadata)]
                assert found(vector_store, each) == expected, json.dumps([each, rows])

        check()
