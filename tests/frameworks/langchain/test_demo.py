"""The demo's agent under LangChain."""

from __future__ import annotations

import threading

import pytest

from chronos_storage import Storage
from project.demo.agent import Stopped
from project.demo.frameworks import langchain as demo
from project.demo.questions import QUESTIONS
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)


def test_it_is_interrupted_and_goes_on(storage_committed: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = QUESTIONS[3:5]
    monkeypatch.setattr(demo, "QUESTIONS", questions)
    storage, stop = storage_committed, threading.Event()

    def say(line: str) -> None:
        if line.startswith("        count_definitions("):
            stop.set()

    with pytest.raises(Stopped):
        demo.answer_questions(storage, stop, say)
    stop.clear()
    session_id = demo.answer_questions(storage, stop, lambda line: None)
    assert demo.answer_questions(storage, stop, lambda line: None) == session_id

    messages = storage.list_messages(session_id)
    assert [each.content for each in messages if each.role == "user"] == list(questions)
    asked = [call["id"] for each in messages for call in each.tool_calls or ()]
    assert [each.tool_call_id for each in messages if each.role == "tool"] == asked
    assert len(asked) == 3
    assert messages[-1].role == "assistant"
    session = storage.get_session(session_id)
    assert session is not None
    assert session.status == "completed"
