"""A session's messages for a model: a view of what is stored, the same on every backend."""

from __future__ import annotations

import pytest

from ...exceptions import InvalidRecord
from ...facade import Storage
from ...records import Message
from .helpers import case, everything, open_session
from .plain import odd

CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}}
LOST = {**CALL, "id": "c2"}


def converse(storage: Storage) -> None:
    """A conversation of which a result was lost, and a summary of its beginning."""
    open_session(storage)
    said = [
        Message(session_id="s", role="system", content="Be brief."),
        Message(session_id="s", role="user", content="Hello."),
        Message(session_id="s", role="assistant", content="Hello!"),
        Message(session_id="s", role="user", content="Where?"),
        Message(session_id="s", role="assistant", tool_calls=[CALL, LOST]),
        Message(session_id="s", role="tool", tool_call_id="c1", content="here"),
        Message(session_id="s", role="system", content="They greeted.", metadata={"summary_of": [2, 3]}),
    ]
    storage.add_messages(said)


class ContextContract:
    def test_a_context_is_what_a_provider_accepts_of_a_session(self, storage: Storage) -> None:
        converse(storage)
        before = everything(storage)
        given = storage.context("s", provider="openai")
        assert storage.context(odd("s"), provider=odd("openai")) == given
        *_, call, result, lost = given
        assert [message["content"] for message in given[:3]] == ["Be brief.", "They greeted.", "Where?"]
        assert call["tool_calls"] == [CALL, LOST]
        assert result == {"role": "tool", "tool_call_id": "c1", "content": "here"}
        assert lost["tool_call_id"] == "c2"
        anthropic, gemini = (storage.context("s", provider=provider) for provider in ("anthropic", "gemini"))
        assert anthropic.system == gemini.system == "Be brief.\n\nThey greeted."
        assert [message["role"] for message in anthropic] == ["user", "assistant", "user"]
        assert [message["role"] for message in gemini] == ["user", "model", "user"]
        assert storage.context("nowhere", provider="openai") == []
        assert everything(storage) == before

    def test_a_context_keeps_within_its_budget(self, storage: Storage) -> None:
        open_session(storage)
        storage.add_messages(Message(session_id="s", role="user", content=f"{number:03}") for number in range(28))
        given = storage.context("s", provider="openai", budget=10, count=lambda message: 1)
        assert 5 <= len(given) <= 10
        assert given[-1]["content"] == "027"
        storage.add_message(Message(session_id="s", role="assistant", content="Yes."))
        again = storage.context("s", provider="openai", budget=10, count=lambda message: 1)
        assert again[: len(given)] == given

    def test_a_context_of_odd_arguments_is_refused(self, storage: Storage) -> None:
        converse(storage)
        for field, arguments in [
            ("provider", {"provider": "nobody"}),
            ("budget", {"provider": "openai", "budget": -1}),
            ("budget", {"provider": "openai", "budget": 3}),
            ("count", {"provider": "openai", "budget": 3, "count": 4}),
        ]:
            with case(arguments), pytest.raises(InvalidRecord) as caught:
                storage.context("s", **arguments)
            assert caught.value.field == field
