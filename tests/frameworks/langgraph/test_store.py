"""LangGraph's store over the database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.db import connections
from django.test.utils import CaptureQueriesContext
from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp, SearchOp

from chronos_storage import Storage, records
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.integrations.langgraph import ChronosStore
from chronos_storage.vectors.stores import database_store
from tests.conftest import alias_of, each_database

# MariaDB too, as each database has statements of its own for filters.
alias = alias_of(each_database(without=["postgres15"]))


def _embed(texts: list[str]) -> list[list[float]]:
    """Of each text how much of it is about cats, dogs and else."""
    return [[text.count("cat") + 0.01, text.count("dog") + 0.01, 1.0] for text in texts]


@pytest.fixture
def store(storage: Storage) -> ChronosStore:
    return ChronosStore(storage)


@pytest.fixture
def finding(storage: Storage) -> ChronosStore:
    index: Any = {"dims": 3, "embed": _embed, "fields": ["text"]}
    return ChronosStore(storage, index=index, vectors=database_store(using=storage.alias))


def _keys(found: Any) -> list[str]:
    return [item.key for item in found]


def test_items_are_put_over_each_other_and_deleted(store: ChronosStore) -> None:
    store.put(("a", "b"), "k", {"n": 1, "z": 1e23, "a": "\0"})
    first = store.get(("a", "b"), "k")
    store.put(("a", "b"), "k", {"n": 2})
    second = store.get(("a", "b"), "k")
    store.put(("a",), "b.k", {"n": 3})

    assert first is not None
    assert second is not None
    assert (list(first.value.items()), second.value) == (
        [("n", 1), ("z", 1e23), ("a", "\N{REPLACEMENT CHARACTER}")],
        {"n": 2},
    )
    assert (second.namespace, second.key, second.created_at) == (("a", "b"), "k", first.created_at)
    assert second.updated_at >= first.updated_at
    store.delete(("a", "b"), "k")
    assert store.get(("a", "b"), "k") is None
    assert _keys(store.search(("a",))) == ["b.k"]


def test_a_batch_reads_what_was_there_before_and_writes_the_last_of_each(store: ChronosStore) -> None:
    store.put(("a",), "k", {"n": 1})
    ops = [
        PutOp(("a",), "k", {"n": 2}),
        GetOp(("a",), "k"),
        PutOp(("a",), "k", {"n": 3}),
        PutOp(("b",), "x", {}),
        SearchOp(("a",)),
        ListNamespacesOp(),
        PutOp(("b",), "x", None),
    ]

    results = store.batch(ops)
    assert results[1].value == {"n": 1}
    assert [item.value for item in results[4]] == [{"n": 1}]
    assert results[5] == [("a",)]
    assert async_to_sync(store.aget)(("a",), "k").value == {"n": 3}
    assert store.get(("b",), "x") is None


def test_values_are_filtered_by_their_types_and_found_in_pages(store: ChronosStore) -> None:
    for number in range(12):
        store.put(("u", str(number % 2)), f"{number:02}", {"n": number, "even": number % 2 == 0, "in": {"x": [number]}})

    def search(**wanted: Any) -> list[str]:
        return _keys(store.search(("u",), filter=wanted, limit=20))

    assert search(n={"$gte": 3, "$lt": 6}) == ["05", "04", "03"]
    assert search(n={"$ne": 11}, even=False) == ["09", "07", "05", "03", "01"]
    assert search(**{"in": {"x": [7]}}) == ["07"]
    assert search(n="7") == []
    assert _keys(store.search(("u",), filter={"even": True}, limit=2, offset=3)) == ["04", "02"]
    assert _keys(store.search(("u", "1"), limit=3)) == ["11", "09", "07"]
    assert store.search(("u", "10")) == []
    with pytest.raises(InvalidRecord):
        search(n={"$near": 1})


@pytest.mark.parametrize("wanted", [0, 3, 3.0, 2.5, 2**53, 1e20, "3", 'té "a"\n', "", True, False, None])
def test_equal_values_are_found_however_they_are_written(store: ChronosStore, wanted: Any) -> None:
    values = [0, 0.0, -0.0, 3, 3.0, 2.5, 2**53, float(2**53), 1e20, 30, "3", 'té "a"\n', "", True, False, None]
    deep: Any = "bottom"
    for _ in range(90):
        deep = {"in": deep}
    for number, value in enumerate(values):
        store.put(("a",), f"{number:02}", {"deep": deep, "x.y": value, "in": {"x.y": value}})
    store.put(("a",), "none", {"deep": deep, "in": [{"x.y": wanted}]})

    def is_same(value: Any) -> bool:
        return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)

    same = [f"{number:02}" for number, value in enumerate(values) if is_same(value)]
    for given in ({"x.y": wanted}, {"in": {"x.y": wanted}}):
        assert sorted(_keys(store.search(("a",), filter=given, limit=20))) == same


def test_what_no_store_takes_is_refused_before_a_database_sees_it(store: ChronosStore) -> None:
    refusals = (InvalidRecord, InvalidNamespaceError)  # LangGraph's own for NUL in a label
    for wrong in ("a\0", "\ud800"):
        for namespace, key in (((wrong,), "k"), (("a",), wrong)):
            for op in (PutOp(namespace, key, {}), PutOp(namespace, key, None), GetOp(namespace, key)):
                with pytest.raises(refusals):
                    store.batch([op])
        for look in (SearchOp((wrong,)), ListNamespacesOp(match_conditions=(MatchCondition("prefix", (wrong,)),))):
            with pytest.raises(refusals):
                store.batch([look])
    for ttl in (float("inf"), float("nan"), 1e300):
        with pytest.raises(InvalidRecord, match="ttl"):
            store.put(("a",), "k", {}, ttl=ttl)
    for given in ({"limit": -1}, {"offset": -1}):
        with pytest.raises(InvalidRecord):
            store.search(("a",), **given)
        with pytest.raises(InvalidRecord):
            store.list_namespaces(**given)


def test_a_filter_finds_what_was_changed_in_the_same_way(store: ChronosStore) -> None:
    store.put(("a",), "k", {"n\0": {"\ud800": 2**70}})

    for wanted in ({"n\0": {"\ud800": 2**70}}, {"n\0": {"\ud800": {"$eq": 2**70}}}):
        assert _keys(store.search(("a",), filter=wanted)) == ["k"]


def test_namespaces_are_listed_as_far_as_they_fit(store: ChronosStore) -> None:
    long = tuple("label" * 30 for _ in range(4))
    for namespace in (("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c"), ("b", "b"), ("ab",), long, (*long, "end")):
        store.put(namespace, "k", {})

    assert store.list_namespaces(prefix=("a",)) == [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c")]
    assert store.list_namespaces(prefix=("a", "*", "c")) == [("a", "b", "c"), ("a", "x", "c")]
    assert store.list_namespaces(suffix=("c",), limit=1, offset=1) == [("a", "x", "c")]
    assert store.list_namespaces(prefix=("a",), max_depth=2) == [("a", "b"), ("a", "x")]
    assert store.list_namespaces(prefix=long) == [long, (*long, "end")]
    assert len(store.search(long)) == 2
    with pytest.raises(InvalidNamespaceError):
        store.batch([ListNamespacesOp(match_conditions=(MatchCondition("prefix", ("a.b",)),))])


def test_items_expire_unless_they_are_read_and_are_swept(storage: Storage) -> None:
    store = ChronosStore(storage, ttl={"default_ttl": 60, "refresh_on_read": True})
    rows = apps.get_model("chronos_langgraph", "StoredItem").objects.using(storage.alias)
    for key in ("read", "left", "looked"):
        store.put(("a",), key, {})
    store.put(("a",), "stays", {}, ttl=None)
    soon = records.now() + timedelta(seconds=30)
    rows.exclude(ttl=None).update(expires_at=soon)

    store.get(("a",), "read")
    store.get(("a",), "looked", refresh_ttl=False)
    assert set(rows.filter(expires_at__gt=soon).values_list("key", flat=True)) == {"read"}
    rows.filter(expires_at=soon).update(expires_at=records.now())
    assert sorted(_keys(store.search(("a",)))) == ["read", "stays"]
    assert store.get(("a",), "left") is None
    assert (store.sweep_ttl(), store.sweep_ttl(), rows.count()) == (2, 0, 2)


def test_items_are_found_by_their_meaning(finding: ChronosStore) -> None:
    finding.put(("u", "1"), "cats", {"text": "cat cat cat", "kind": "pet"})
    finding.put(("u", "1"), "dogs", {"text": "dog dog", "kind": "pet"})
    finding.put(("u", "2"), "both", {"text": "cat dog", "kind": {"deep": 1}})
    finding.put(("u", "1"), "unsaid", {"text": "cat"}, index=False)

    assert _keys(finding.search(("u",), query="cat cat")) == ["cats", "both", "dogs"]
    found = finding.search(("u", "1"), query="dog", filter={"kind": "pet"}, limit=1)
    assert [(item.key, item.score is not None) for item in found] == [("dogs", True)]
    assert _keys(async_to_sync(finding.asearch)(("u",), query="cat", filter={"kind": {"deep": 1}})) == ["both"]
    assert set(_keys(finding.search(("u",), query=""))) == {"cats", "dogs", "both", "unsaid"}
    finding.put(("u", "1"), "cats", {"text": "dog dog dog"})
    finding.delete(("u", "1"), "dogs")
    assert _keys(finding.search(("u",), query="dog")) == ["cats", "both"]


def test_many_items_take_few_statements(finding: ChronosStore) -> None:
    puts = [PutOp(("u",), str(number), {"text": f"cat {number}"}) for number in range(50)]
    finding.batch(puts[:1])  # makes the collection

    with CaptureQueriesContext(connections[finding.alias]) as sent:
        finding.batch(puts)
    assert len(sent) < 15
    with CaptureQueriesContext(connections[finding.alias]) as sent:
        finding.batch([GetOp(("u",), str(number), False) for number in range(50)])
    assert len(sent) == 1


def test_all_of_a_value_is_found_by_its_meaning_where_no_fields_are_named(storage: Storage) -> None:
    index: Any = {"dims": 3, "embed": _embed}
    store = ChronosStore(storage, index=index, vectors=database_store(using=storage.alias))
    store.put(("u",), "cats", {"any": "cat cat"})
    store.put(("u",), "dogs", {"other": "dog"})

    assert _keys(store.search(("u",), query="dog")) == ["dogs", "cats"]
