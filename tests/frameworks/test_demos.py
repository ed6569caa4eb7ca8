"""The demo's agent under each framework."""

from __future__ import annotations

import threading
from importlib import import_module

import pytest
from django.test import Client
from django.urls import reverse

from chronos_storage import Storage
from chronos_storage.integrations.langgraph import ChronosSaver
from project.demo.agent import Stopped
from project.demo.frameworks import installed
from project.demo.questions import QUESTIONS
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)


@pytest.mark.parametrize("framework", installed())
def test_it_is_interrupted_and_goes_on(
    storage_committed: Storage, framework: str, monkeypatch: pytest.MonkeyPatch, admin_client: Client
) -> None:
    demo = import_module(f"project.demo.frameworks.{framework}")
    questions = QUESTIONS[3:5]
    monkeypatch.setattr(demo, "QUESTIONS", questions)
    storage, stop, said = storage_committed, threading.Event(), list[str]()

    def say(line: str) -> None:
        if line.startswith("        count_definitions("):
            stop.set()

    with pytest.raises(Stopped):
        demo.answer_questions(storage, stop, say)
    stop.clear()
    session_id = demo.answer_questions(storage, stop, said.append)
    assert demo.answer_questions(storage, stop, lambda line: None) == session_id

    messages = storage.list_messages(session_id)
    assert [each.content for each in messages if each.role == "user"] == list(questions)
    asked = [call["id"] for each in messages for call in each.tool_calls or ()]
    assert [each.tool_call_id for each in messages if each.role == "tool"] == asked
    assert len(asked) == 3
    answer = said[-1].strip()
    assert answer in str(messages[-1].content)
    page = admin_client.get(reverse("admin:chronos_storage_session_change", args=[session_id])).content.decode()
    assert all(text in page for text in (*questions, answer, "count_definitions"))


def test_langgraph_s_thread_and_its_spans_are_the_session_s(
    storage_committed: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    demo = import_module("project.demo.frameworks.langgraph")
    monkeypatch.setattr(demo, "QUESTIONS", QUESTIONS[3:4])
    session_id = demo.answer_questions(storage_committed, threading.Event(), lambda line: None)

    latest = ChronosSaver(storage_committed).get_tuple({"configurable": {"thread_id": session_id}})
    assert latest is not None
    messages = storage_committed.list_messages(session_id)
    assert len(latest.checkpoint["channel_values"]["messages"]) == len(messages)
    assert {each.session_id for each in storage_committed.list_traces(session_id)} == {session_id}
