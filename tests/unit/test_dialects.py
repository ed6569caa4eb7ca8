"""One message in the providers' forms, and theirs as a record."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chronos_storage import codec
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.records import Message, TokenUsage

from .test_storable import Model, anything

CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": "π"}'}}
PICTURE = "data:image/png;base64,AAAA"

ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Hm", "signature": "x"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "c1", "name": "look_up", "input": {"q": "π"}},
    ],
    "usage": {
        "input_tokens": 5,
        "output_tokens": 1,
        "cache_read_input_tokens": 3,
        "cache_creation_input_tokens": None,
    },
}


def parts(*names):
    kinds = st.sampled_from(["text", "tool_use", "tool_result", "image"])
    return st.lists(st.dictionaries(st.sampled_from(names), kinds | anything), max_size=2)


def of_openai(item, **fields):
    return Message.from_openai(item, session_id="s", **fields).cleaned()


def of_anthropic(item, **fields):
    return Message.from_anthropic(item, session_id="s", **fields).cleaned()


def said(message):
    return {
        name: value
        for name in ("role", "kind", "content", "tool_calls", "tool_call_id", "name")
        if (value := getattr(message, name))
    }


class TestOpenAI:
    @pytest.mark.parametrize(
        "item",
        [
            {"role": "user", "content": "Hello", "name": "ada"},
            {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL], "audio": None},
            {"role": "tool", "content": "3.14", "tool_call_id": "c1"},
            {"role": "assistant", "content": None, "refusal": "No."},
        ],
    )
    def test_a_chat_message_comes_back_as_it_was(self, item):
        message = of_openai(item)
        assert message.to_openai() == item
        assert message.raw == item
        assert (message.role, message.format) == (item["role"], "openai")
        assert message.tool_calls == item.get("tool_calls")

    def test_a_whole_answer(self):
        answer = Model(
            model="gpt-5",
            choices=[{"index": 0, "message": {"role": "assistant", "content": "Hi"}}],
            usage={
                "prompt_tokens": 5,
                "completion_tokens": 1,
                "total_tokens": 6,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        )
        message = of_openai(answer, id="m", model="mine")
        assert message.usage == TokenUsage(prompt_tokens=5, completion_tokens=1, total_tokens=6, cache_read_tokens=4)
        assert message.to_openai() == {"role": "assistant", "content": "Hi"}
        assert (message.id, message.model, of_openai(answer).model) == ("m", "mine", "gpt-5")

    @pytest.mark.parametrize(
        ("item", "kept", "written"),
        [
            (
                {
                    "type": "message",
                    "role": "assistant",
                    "id": "msg",
                    "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
                },
                {"role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]},
                {"role": "assistant", "content": "Hi"},
            ),
            (
                {"type": "function_call", "call_id": "c1", "name": "look_up", "arguments": '{"q": "π"}', "id": "fc"},
                {"role": "assistant", "kind": "tool-call", "tool_calls": [CALL]},
                {"role": "assistant", "content": None, "tool_calls": [CALL]},
            ),
            (
                {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "3"}]},
                {"role": "tool", "content": [{"type": "input_text", "text": "3"}], "tool_call_id": "c1"},
                {"role": "tool", "content": "3", "tool_call_id": "c1"},
            ),
            (
                {
                    "type": "reasoning",
                    "id": "rs",
                    "summary": [{"type": "summary_text", "text": "Hm"}],
                    "encrypted_content": "x",
                },
                {
                    "role": "assistant",
                    "kind": "reasoning",
                    "content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]}],
                },
                {"role": "assistant", "content": ""},
            ),
            (
                {"type": "web_search_call", "id": "ws", "status": "completed"},
                {"role": "assistant", "kind": "web_search_call"},
                {"role": "assistant", "content": ""},
            ),
            (
                {
                    "role": "user",
                    "content": [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": PICTURE}],
                },
                {
                    "role": "user",
                    "content": [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": PICTURE}],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What?"},
                        {"type": "image_url", "image_url": {"url": PICTURE}},
                    ],
                },
            ),
        ],
        ids=["answer", "call", "output", "reasoning", "search", "picture"],
    )
    def test_an_item_of_responses(self, item, kept, written):
        message = of_openai(item)
        assert said(message) == kept
        assert message.raw == item
        if item.get("type"):
            assert message.to_openai() == written
        else:
            assert Message(role=message.role, content=message.content).to_openai() == written

    def test_a_role_that_it_has_not(self):
        with pytest.raises(InvalidRecord, match=r"Storage\.context"):
            Message(role="error", content="down").to_openai()


class TestAnthropic:
    def test_a_whole_answer(self):
        message = of_anthropic(ANSWER)
        assert message.tool_calls == [CALL]
        assert (message.role, message.kind, message.model, message.format) == (
            "assistant",
            "tool-call",
            "claude",
            "anthropic",
        )
        assert message.usage == TokenUsage(prompt_tokens=5, completion_tokens=1, cache_read_tokens=3)
        assert message.to_anthropic() == {"role": "assistant", "content": ANSWER["content"]}
        assert message.to_openai() == {"role": "assistant", "content": "I look.", "tool_calls": [CALL]}

    def test_the_result_of_a_tool(self):
        item = {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "none", "is_error": True}],
        }
        message = of_anthropic(item)
        assert said(message) == {"role": "tool", "content": "none", "tool_call_id": "c1"}
        assert message.to_anthropic() == item
        assert message.to_openai() == {"role": "tool", "content": "none", "tool_call_id": "c1"}
        message.format = message.raw = ""
        assert message.to_anthropic() == item

    @pytest.mark.parametrize("arguments", ['{"at": NaN}', "[" * 5000], ids=["no number", "deep"])
    def test_arguments_that_are_no_json(self, arguments):
        call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": arguments}}
        [use] = Message(role="assistant", tool_calls=[call]).to_anthropic()["content"]
        assert use["input"] == {"input": arguments}

    def test_what_came_from_openai(self):
        called = of_openai({"role": "assistant", "content": "I look.", "tool_calls": [CALL]})
        assert called.to_anthropic()["content"] == ANSWER["content"][1:]
        asked = of_openai({"role": "user", "content": [{"type": "image_url", "image_url": {"url": PICTURE}}]})
        assert asked.to_anthropic()["content"] == [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
        ]
        assert of_anthropic(asked.to_anthropic(), format="").to_openai() == asked.to_openai()

    def test_the_system_speaks_apart(self):
        with pytest.raises(InvalidRecord, match="role"):
            Message(role="system", content="Be brief.").to_anthropic()


@pytest.mark.parametrize("read", [of_openai, of_anthropic])
class TestBoth:
    @settings(max_examples=60)
    @given(
        item=st.fixed_dictionaries(
            {},
            optional={
                "role": st.sampled_from(["user", "assistant", "tool", 5, None]),
                "type": st.sampled_from(["message", "function_call", "reasoning", 3]),
                "content": anything | parts("type", "input", "content"),
                "tool_calls": parts("id", "function", "args"),
                "usage": parts("input_tokens", "prompt_tokens", "prompt_tokens_details").map(
                    lambda items: [*items, 1][0]
                ),
                **dict.fromkeys(["call_id", "output", "summary", "choices"], anything),
            },
        )
    )
    def test_whatever_is_in_an_item_a_store_accepts_the_message(self, read, item):
        message = read(item)
        kept = codec.storable(item)
        if read is of_anthropic or not isinstance(kept.value.get("choices"), list):
            assert message.raw == kept.value
        assert message.metadata.get("changes", {}) == kept.changes
        for write in (message.to_openai, message.to_anthropic):
            with suppress(InvalidRecord):  # for its role
                write()

    def test_a_long_one_leaves_room_for_itself(self, read):
        text = '"' * 1_900_000
        item = {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c", "name": "n", "input": {"text": text}}],
            "tool_calls": [{"id": "c", "function": {"name": "n", "arguments": {"text": "short"}}}],
        }
        message = read(item)
        assert message.raw == item
        assert message.tool_calls[0]["function"]["name"] == "n"

    @pytest.mark.parametrize("wrong", [None, "Hello", ["a"], 5])
    def test_no_item(self, read, wrong):
        with pytest.raises(InvalidRecord) as caught:
            read(wrong)
        assert caught.value.field == "item"

    def test_what_had_to_be_changed_is_told(self, read):
        message = read({"role": "user", "content": "a\x00", "score": float("nan")})
        assert message.content == "a\N{REPLACEMENT CHARACTER}"
        assert set(message.metadata["changes"]) == {"content", "score"}
