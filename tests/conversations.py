"""Conversations to import, and whether a store holds them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Storage
from chronos_storage.importing.importer import digest
from chronos_storage.records import Message
from chronos_storage.testing.conformance.samples import ODD_JSON

Document = dict[str, Any]

#: For what is the same on every database.
on_sqlite_alone = pytest.mark.parametrize(
    "alias", [pytest.param("default", id="sqlite", marks=pytest.mark.django_db(databases=["default"]))], indirect=True
)


def conversation(number: int, length: int = 8) -> Document:
    """A conversation of messages of every form that the format knows."""
    call = {"id": f"call-{number}", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
    turns: list[Document] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": f"Question {number}"}, ODD_JSON]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "", "tool_call_id": call["id"], "name": "look"},
        {"role": "assistant", "content": f"Answer \u00e9 e\u0301 \U0001f642 {number}"},
    ]
    return {"number": number, "score": 0.1, "messages": [turns[position % len(turns)] for position in range(length)]}


def write(path: Path, documents: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents))
    return path


def said(message: Message) -> Document:
    """The message as its source has it."""
    optional = {name: getattr(message, name) for name in ("name", "tool_call_id") if getattr(message, name)}
    if message.tool_calls is not None:
        optional["tool_calls"] = message.tool_calls
    return {"role": message.role, "content": message.content} | optional | message.metadata


def assert_stored(storage: Storage, documents: list[Document], *, verified: bool = False) -> None:
    """Each of these conversations is there once, equal to its source to the last character, and nothing else.

    The chains are intact, which a test may verify in another way.
    """
    sessions = storage.list_sessions(limit=None, order="-created_at")[::-1]
    assert len(sessions) == len(documents)
    for session, document in zip(sessions, documents, strict=True):
        assert session.metadata == {name: value for name, value in document.items() if name != "messages"}
        messages = storage.list_messages(session.id)
        assert [said(message) for message in messages] == document["messages"]
        for message, source in zip(messages, document["messages"], strict=True):
            for name in ("content", "tool_calls"):
                assert json.dumps(getattr(message, name)) == json.dumps(source.get(name))
        assert [message.seq_num for message in messages] == list(range(1, len(messages) + 1))
        events = storage.list_events(session.id)
        assert {event.type for event in events} <= {"chat_message"}
        assert [event.payload for event in events] == [
            {"message_id": message.id, "role": message.role, "sha256": digest(message)} for message in messages
        ]
    assert verified or all(verdict.intact for verdict in storage.verify_all())
