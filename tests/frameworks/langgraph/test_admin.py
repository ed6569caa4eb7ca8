"""The adapter's pages in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from langchain_core.messages import HumanMessage

from chronos_storage import Storage
from chronos_storage.integrations.langgraph import ChronosSaver, ChronosStore
from chronos_storage.integrations.langgraph.models import GraphCheckpoint, StoredItem
from chronos_storage.records import Session
from tests.conftest import ONLY_SQLITE, alias_of
from tests.frameworks.langgraph.graphs import STEP, checkpoint, config

alias = alias_of(ONLY_SQLITE)


@pytest.fixture
def client(storage: Storage) -> Client:
    user: Any = get_user_model()
    client = Client()
    client.force_login(user.objects.create_superuser("ada"))
    return client


def test_a_session_leads_to_its_thread_and_what_its_checkpoints_hold(storage: Storage, client: Client) -> None:
    saver = ChronosSaver(storage)
    said = [HumanMessage("<b>said</b> " * 100, id="1")]
    given = saver.put(config(), checkpoint({"messages": said, "n": 7}), STEP, {})
    saver.put_writes(given, [("n", "written")], "task")
    ChronosStore(storage).put(("users", "ada"), "k", {"likes": "tea"})

    session = client.get(reverse("admin:chronos_storage_session_change", args=["t"])).content.decode()
    thread = reverse("admin:chronos_langgraph_thread_change", args=["t"])
    assert f'href="{thread}"' in session
    assert "graphcheckpoint/?namespace_id=" in client.get(thread).content.decode()
    row = GraphCheckpoint.objects.get()
    listed = reverse("admin:chronos_langgraph_graphcheckpoint_changelist")
    assert row.checkpoint_id in client.get(listed, {"namespace_id": row.namespace_id}).content.decode()
    page = client.get(reverse("admin:chronos_langgraph_graphcheckpoint_change", args=[row.pk])).content.decode()
    assert "&lt;b&gt;said&lt;/b&gt;" in page
    assert "written" in page
    assert "langchain_core" not in page
    item = reverse("admin:chronos_langgraph_storeditem_change", args=[StoredItem.objects.get().pk])
    assert "tea" in client.get(item).content.decode()


def test_a_session_without_a_thread_has_no_such_link(storage: Storage, client: Client) -> None:
    storage.create_session(Session(id="t"))
    session = client.get(reverse("admin:chronos_storage_session_change", args=["t"])).content.decode()
    assert reverse("admin:chronos_langgraph_thread_change", args=["t"]) not in session
