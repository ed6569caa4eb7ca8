"""The store's items and threads where a person is erased or exported, what expired is pruned, a session imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from chronos_storage import Storage, queue, records
from chronos_storage.integrations.langgraph import ChronosSaver, ChronosStore
from chronos_storage.operations.chosen import Chosen
from chronos_storage.operations.erasing import erase
from chronos_storage.operations.exporting import export
from chronos_storage.operations.importing import load_export
from chronos_storage.operations.pruning import prune
from chronos_storage.operations.retention import Rule
from tests.frameworks.langgraph.graphs import agent, config


@pytest.fixture
def store(storage: Storage) -> ChronosStore:
    store = ChronosStore(storage)
    for namespace in (("memories", "ada"), ("memories", "ada", "deep"), ("memories", "Ada"), ("ada", "bob"), ("ada",)):
        store.put(namespace, "k", {"likes": "tea"})
    return store


@pytest.fixture
def labelled(store: ChronosStore, settings: Any) -> ChronosStore:
    settings.CHRONOS_STORAGE = {**getattr(settings, "CHRONOS_STORAGE", {}), "LANGGRAPH": {"USER_LABEL": 2}}
    return store


def test_a_person_s_items_are_erased_by_the_label_that_names_them(labelled: ChronosStore) -> None:
    assert erase(labelled.storage, "ada", dry_run=True).counts == {"store_item": 2}
    assert len(labelled.list_namespaces()) == 5

    report = erase(labelled.storage, "ada")
    assert report.counts == {"store_item": 2}
    assert "USER_LABEL" not in str(report.remains)
    assert labelled.list_namespaces() == [("ada",), ("ada", "bob"), ("memories", "Ada")]


def test_what_nobody_can_tell_the_owner_of_is_named_and_left(store: ChronosStore) -> None:
    report = erase(store.storage, "ada")

    assert report.counts == {}
    assert "USER_LABEL" in report.remains[0]
    assert len(store.list_namespaces()) == 5


def test_a_person_s_export_has_their_items_to_read(labelled: ChronosStore, tmp_path: Path) -> None:
    path = tmp_path / "ada.jsonl"
    export(labelled.storage, path, Chosen(user="ada"))

    found = [json.loads(line).get("extract", {}).get("store_item") for line in path.read_text().splitlines()]
    assert [(each["namespace"], each["key"], each["value"]) for each in found if each] == [
        (["memories", "ada"], "k", {"likes": "tea"}),
        (["memories", "ada", "deep"], "k", {"likes": "tea"}),
    ]


def test_items_that_have_expired_are_pruned(store: ChronosStore) -> None:
    store.put(("short",), "k", {}, ttl=60)
    rows = apps.get_model("chronos_langgraph", "StoredItem").objects.using(store.alias)
    rows.exclude(ttl=None).update(expires_at=records.now())
    rule = Rule(type="store_item")

    assert [line.records for line in prune(store.storage, queue, [rule], dry_run=True).lines] == [1]
    assert [line.records for line in prune(store.storage, queue, [rule]).lines] == [1]
    assert rows.count() == 5


def test_an_imported_session_is_not_a_thread_until_it_is_begun_anew(storage_committed: Storage, tmp_path: Path) -> None:
    saver, path = ChronosSaver(storage_committed), tmp_path / "thread.jsonl"
    graph, thread = agent().compile(checkpointer=saver), config("talk", user_id="ada")
    graph.invoke({"messages": [("user", "Hello")]}, thread)
    export(storage_committed, path, Chosen(session="talk"))
    storage_committed.delete_session("talk", hard=True)

    loaded = load_export(storage_committed, path)

    assert loaded.counts == {"session": 1}
    assert storage_committed.get_session("talk").user_id == "ada"
    assert saver.get_tuple(thread) is None
    assert graph.get_state(thread).values == {}
    said = graph.invoke({"messages": [("user", "Again")]}, thread)["messages"]
    assert [each.content for each in said] == ["Again", "You said: Again"]


def test_an_import_leaves_the_thread_that_is_there(storage_committed: Storage, tmp_path: Path) -> None:
    path = tmp_path / "thread.jsonl"
    graph, thread = agent().compile(checkpointer=ChronosSaver(storage_committed)), config("talk")
    graph.invoke({"messages": [("user", "Hello")]}, thread)
    export(storage_committed, path, Chosen(session="talk"))
    graph.invoke({"messages": [("user", "Again")]}, thread)

    load_export(storage_committed, path)

    assert len(graph.get_state(thread).values["messages"]) == 4
