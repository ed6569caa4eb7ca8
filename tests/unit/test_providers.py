"""What providers are given of a session's messages: whatever the history, they accept it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest

from chronos_storage.dialects.said import said
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.providers import PROVIDERS, Context, context, size
from chronos_storage.records import Message
from chronos_storage.testing.conformance.helpers import case
from tests.histories import Histories, blocks_of, numbered, require_accepted

HISTORIES = 60


def given(messages: list[Message], provider: Any, budget: int | None = None) -> Context:
    return context(messages, PROVIDERS[provider], budget, size)


def require_views(seed: int) -> None:
    """See that a random history is given whole and in order, within budgets, and that it stays as it was given."""
    histories = Histories(seed)
    messages = histories.broken(histories.history())
    stored = repr(messages)
    for provider in PROVIDERS:
        whole = given(messages, provider)
        require_accepted(provider, whole)
        budget = histories.dice.randrange(400, 4000)
        with suppress(InvalidRecord):  # the last message alone may be too long
            some = given(messages, provider, budget)
            require_accepted(provider, some)
            system = [{"role": "system", "content": some.system}] if some.system else []
            assert sum(map(size, [*some, *system])) <= budget
            kept, everything = spoken(some, provider), spoken(whole, provider)
            assert everything[len(everything) - len(kept) :] == kept
        if not any("summary_of" in message.metadata for message in messages):
            require_stable(messages, provider)
    assert repr(messages) == stored


def spoken(messages: Context, provider: str) -> list[Any]:
    """What users and the model said."""
    opening = PROVIDERS[provider].OPENING
    return [each for each in messages if each["role"] not in ("system", "developer") and each != opening]


def require_stable(messages: list[Message], provider: str) -> None:
    """See that what was given before each answer comes first in what is given after it."""
    whole = blocks_of(provider, given(messages, provider))
    was_answer = False
    for place, message in enumerate(messages):
        is_answer = message.role in ("assistant", "model")
        if is_answer and not was_answer and any(said(each).parts for each in messages[:place]):
            before = blocks_of(provider, given(messages[:place], provider))
            assert whole[: len(before)] == before
        if said(message).parts:  # else it is as if it weren't there
            was_answer = is_answer


def test_random_histories_are_accepted() -> None:
    for seed in range(HISTORIES):
        try:
            require_views(seed)
        except Exception as error:
            error.add_note(f"seed {seed}")
            raise


def call(id: str, name: str = "look", **arguments: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}


def asked(*ids: str) -> Message:
    return Message(role="assistant", tool_calls=[call(id) for id in ids])


def result(id: str, text: str = "found") -> Message:
    return Message(role="tool", tool_call_id=id, content=text)


def user(text: str) -> Message:
    return Message(role="user", content=text)


def test_a_conversation_is_given_in_each_provider_s_form() -> None:
    messages = numbered(
        [
            Message(role="system", content="Be brief."),
            user("Where?"),
            Message(role="assistant", content="I look.", tool_calls=[call("c1", place="here")]),
            result("c1"),
            Message(role="assistant", content="There."),
        ]
    )
    assert given(messages, "openai") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [call("c1", place="here")]},
        {"role": "tool", "tool_call_id": "c1", "content": "found"},
        {"role": "assistant", "content": "There."},
    ]
    anthropic = given(messages, "anthropic")
    assert anthropic.system == "Be brief."
    text = {"type": "text", "text": "I look."}
    assert anthropic == [
        {"role": "user", "content": [{"type": "text", "text": "Where?"}]},
        {
            "role": "assistant",
            "content": [text, {"type": "tool_use", "id": "c1", "name": "look", "input": {"place": "here"}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "found"}]}],
        },
        {"role": "assistant", "content": [{"type": "text", "text": "There."}]},
    ]
    gemini = given(messages, "gemini")
    assert gemini.system == "Be brief."
    signature = "skip_thought_signature_validator"
    assert gemini == [
        {"role": "user", "parts": [{"text": "Where?"}]},
        {
            "role": "model",
            "parts": [
                {"text": "I look."},
                {"functionCall": {"name": "look", "args": {"place": "here"}}, "thoughtSignature": signature},
            ],
        },
        {"role": "user", "parts": [{"functionResponse": {"name": "look", "response": {"result": "found"}}}]},
        {"role": "model", "parts": [{"text": "There."}]},
    ]


def test_broken_pairs_are_mended() -> None:
    """Each history, and what becomes of it: roles, and whose results they are."""
    lost, orphan = "recorded", "not in this conversation"
    for history, expected in [
        ([user("a"), asked("1", "2"), result("1")], ["user", "assistant", "1 found", f"2 {lost}"]),
        ([user("a"), asked("1"), user("b"), result("1")], ["user", "assistant", "1 found", "user"]),
        ([user("a"), asked("1"), asked("2"), result("2"), result("1")], ["user", "assistant", "1 found", "2 found"]),
        ([asked("1"), asked("2"), result("2")], ["assistant", f"1 {lost}", "assistant", "2 found"]),
        ([user("a"), result("1")], ["user", f"user {orphan}"]),
        ([user("a"), asked("1"), asked("2"), user("b"), asked("3"), result("1"), result("3")],
         ["user", "assistant", f"1 {lost}", "assistant", f"2 {lost}", "user", "assistant", "3 found", "user"]),
        ([asked("1"), result("1"), result("1")], ["assistant", "1 found", f"user {orphan}"]),
    ]:  # fmt: skip
        with case(history):
            found = [
                f"{message.get('tool_call_id', message['role'])} {message['content']}"
                for message in given(numbered(history), "openai")
            ]
            assert len(found) == len(expected)
            for text, begin in zip(found, expected, strict=True):
                who, *what = begin.split(" ", 1)
                assert text.startswith(who)
                assert not what or what[0] in text
            for provider in PROVIDERS:
                require_accepted(provider, given(numbered(history), provider))


def test_a_summary_stands_for_what_it_covers() -> None:
    texts = [
        user(f"u{number}") if number % 2 else Message(role="assistant", content=f"a{number}") for number in range(1, 9)
    ]
    first = Message(role="system", content="1 to 4.", metadata={"summary_of": [1, 4]})
    messages = numbered([*texts, first])
    assert [message["content"] for message in given(messages, "openai")] == ["1 to 4.", "u5", "a6", "u7", "a8"]
    assert given(messages, "gemini").system == "1 to 4."
    newer = Message(role="system", content="3 to 9.", metadata={"summary_of": [3, 9]})
    messages = numbered([*texts, first, newer, user("u11")])
    assert [message["content"] for message in given(messages, "openai")] == ["3 to 9.", "u11"]
    for odd in ([4, 1], [1], "1-4", [1, True], None, [20, 30]):
        with case(odd):
            none = Message(role="system", content="None.", metadata={"summary_of": odd})
            assert len(given(numbered([*texts, none]), "openai")) == 9


def test_a_budget_frees_half_of_the_room_at_once() -> None:
    """Against: a history that begins elsewhere every turn, so that no prompt cache ever hits."""
    messages = numbered([Message(role="system", content="Be brief."), *(user(f"{n:090}") for n in range(200))])
    starts = []
    for end in range(2, len(messages) + 1):
        found = given(messages[:end], "openai", 3000)
        assert found[0]["role"] == "system"
        assert found[-1]["content"] == messages[end - 1].content
        starts.append(found[1]["content"])
    assert len(set(starts)) == pytest.approx(200 / 13, abs=3)
    assert sum(map(size, found)) > 1300
    with pytest.raises(InvalidRecord, match="budget"):
        given(messages, "openai", 100)


def test_a_budget_has_no_room_for_what_is_not_said() -> None:
    messages = numbered([Message(role="user", content="Well?")])
    for provider in PROVIDERS:
        whole = given(messages, provider)
        assert given(messages, provider, sum(map(size, whole))) == whole
        assert given([], provider, 0) == []


def test_what_a_provider_has_no_form_for_is_named() -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    messages = numbered([Message(role="user", content=["Look:", picture, {"type": "hologram", "data": "1"}])])
    shown = {provider: given(messages, provider)[0] for provider in PROVIDERS}
    assert shown["openai"]["content"][1] == picture
    assert shown["anthropic"]["content"][1] == {
        "type": "image",
        "source": {"type": "url", "url": "https://example.org/a.png"},
    }
    assert shown["gemini"]["parts"][1] == {
        "fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}
    }
    assert all("hologram" in json.dumps(message) for message in shown.values())


def test_an_answer_that_was_cut_off_after_a_thought_ends_before_it() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
    text = {"type": "text", "text": "It rains."}
    user, assistant = "user", "assistant"
    for said_of_model, expected in [
        ([[thought]], [(user, 2)]),
        ([[text, thought]], [(user, 1), (assistant, 1), (user, 1)]),
        ([[thought], [text]], [(user, 1), (assistant, 2), (user, 1)]),  # each block a message, as some keep them
    ]:
        answers = [Message(role="assistant", content=each) for each in said_of_model]
        messages = numbered([Message(role="user", content="Well?"), *answers, Message(role="user", content="And?")])
        with case(said_of_model):
            assert [(each["role"], len(each["content"])) for each in given(messages, "anthropic")] == expected


@pytest.mark.parametrize(("call", "result"), [("server_tool_use", "web_search_tool_result"), ("mcp_tool_use",) * 2])
def test_calls_of_a_provider_s_own_tools_are_given_with_their_results_alone(call: str, result: str) -> None:
    result = result.replace("_use", "_result")
    calls = [{"type": call, "id": f"s{number}", "name": "find", "input": {}} for number in (1, 2)]
    results = [{"type": result, "tool_use_id": f"s{number}", "content": []} for number in (1, 3)]
    ask = Message(role="user", content="Well?")
    messages = numbered([ask, Message(role="assistant", content=[results[1], calls[0], results[0], calls[1]]), ask])
    orphan, first, second, lost = given(messages, "anthropic")[1]["content"]
    assert [first, second] == [calls[0], results[0]]
    assert orphan["type"] == lost["type"] == "text"
    # What the model waits for as it is asked to go on.
    paused = numbered([ask, Message(role="assistant", content=[calls[0], results[0], calls[1]])])
    assert given(paused, "anthropic")[1]["content"] == [calls[0], results[0], calls[1]]


def test_parts_that_only_look_like_a_provider_s_own_are_made_so_or_named() -> None:
    empty = "data:image/png;base64,"
    for provider, part, expected in [
        ("openai", {"type": "image_url", "image_url": "https://e.org/a.png"}, "image_url"),
        ("openai", {"type": "image_url", "image_url": {"url": empty}}, "text"),
        ("openai", {"type": "image_url", "image_url": None}, "text"),
        ("openai", {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "flac"}}, "text"),
        ("openai", {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk="}}, "file"),
        ("openai", {"type": "file", "file": {"file_id": "f1"}}, "file"),
        (
            "anthropic",
            {"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "aGk="}},
            "text",
        ),
        ("anthropic", {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}, "text"),
        (
            "anthropic",
            {"type": "document", "source": {"type": "text", "data": "x", "media_type": "text/plain"}},
            "document",
        ),
        ("gemini", {"inlineData": {"mimeType": "image/png", "data": ""}}, "text"),
        ("gemini", {"inlineData": None}, "text"),
        ("gemini", {"fileData": {"fileUri": "https://e.org/files/1"}}, "fileData"),
    ]:
        with case(part):
            [message] = given(numbered([Message(role="user", content=[part])]), provider)
            content: Any = message.get("content") or message["parts"]
            shown: dict[str, Any] = {"text": content} if isinstance(content, str) else content[0]
            assert shown.get("type") == expected or expected in shown
