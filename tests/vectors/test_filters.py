"""The tree of a filter."""

from __future__ import annotations

from chronos_storage.filters import And, Compares, Equals, In, Not, parse


def test_a_small_tree() -> None:
    assert parse({"a.b": {"$in": [1, 2.0]}, "c": {"$ne": "x"}, "d": {"$gt": 1.5}}) == And(
        (
            And((In(("a", "b"), frozenset({"1", "2"})),)),
            And((Not(Equals(("c",), "x")),)),
            And((Compares(("d",), "$gt", 1.5),)),
        )
    )


def test_the_callers_filter_stays_as_it_was() -> None:
    given = {"a": [1.0, {"b": 2.0}]}
    parse(given)
    assert repr(given) == "{'a': [1.0, {'b': 2.0}]}"
