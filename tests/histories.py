"""Histories of conversations as they are found, broken in every way, and the rules of three providers for a request.

The rules are those of the providers' documentation: of OpenAI's Chat Completions, Anthropic's Messages, and Gemini's
`generateContent`.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

from chronos_storage.records import Message

_ID, _NAME = re.compile(r"[A-Za-z0-9_-]{1,40}"), re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODE = "".join(chr(code) for code in range(0x20, 0x7F))


# What is accepted


def require_accepted(provider: str, messages: Any) -> None:
    """See that a provider accepts these messages, but for who speaks last."""
    {"openai": _require_openai, "anthropic": _require_anthropic, "gemini": _require_gemini}[provider](list(messages))
    json.dumps(messages, allow_nan=False)
    assert isinstance(messages.system, str)
    assert provider != "openai" or not messages.system


def _require_openai(messages: list[Any]) -> None:
    open_calls: list[str] = []
    for message in messages:
        role, content = message["role"], message["content"]
        if role == "tool":
            assert message.keys() == {"role", "tool_call_id", "content"}
            open_calls.remove(message["tool_call_id"])
        else:
            assert not open_calls, "a call has no result just after it"
        assert role in ("system", "developer", "user", "assistant", "tool")
        if isinstance(content, list):
            assert content
            kinds = {"text", "image_url", "file", "input_audio"} if role == "user" else {"text"}
            assert all(part["type"] in kinds for part in content)
            assert all(isinstance(part["text"], str) for part in content if part["type"] == "text")
        else:
            assert isinstance(content, str) or (content is None and message.get("tool_calls"))
        if "name" in message:
            assert _NAME.fullmatch(message["name"])
        if "tool_calls" in message:
            assert role == "assistant"
            assert message["tool_calls"]
            for call in message["tool_calls"]:
                assert call.keys() == {"id", "type", "function"}
                assert _ID.fullmatch(call["id"])
                assert _NAME.fullmatch(call["function"]["name"])
                assert isinstance(call["function"]["arguments"], str)
            open_calls = [call["id"] for call in message["tool_calls"]]
            assert len(set(open_calls)) == len(open_calls)
    assert not open_calls, "a call has no result"


def _require_anthropic(messages: list[Any]) -> None:
    asked: list[str] = []
    ids: set[str] = set()
    last = "assistant"
    for message in messages:
        role, blocks = message["role"], message["content"]
        assert message.keys() == {"role", "content"}
        assert {role, last} == {"user", "assistant"}, "users and the model take turns, users first"
        assert blocks
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        assert sorted(results) == sorted(asked), "each call has its result in the next message"
        assert all(block["type"] == "tool_result" for block in blocks[: len(results)]), "results come first"
        for block in blocks:
            if block["type"] == "text":
                assert block["text"].strip()
            elif block["type"] == "tool_result":
                assert all(each["type"] != "text" or each["text"].strip() for each in block["content"])
            elif block["type"] == "tool_use":
                assert role == "assistant"
                assert _ID.fullmatch(block["id"])
                assert _NAME.fullmatch(block["name"])
                assert isinstance(block["input"], dict)
            else:
                assert block["type"] in ("image", "document") if role == "user" else ("thinking",)
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        assert all(block["type"] == "tool_use" for block in blocks[len(blocks) - len(asked) :]), "calls come last"
        assert not ids & set(asked)
        assert len(set(asked)) == len(asked)
        ids |= set(asked)
        last = role
        assert role != "assistant" or blocks[-1].get("text", "").rstrip() == blocks[-1].get("text", "")
    assert not asked, "a call has no result"


def _require_gemini(contents: list[Any]) -> None:
    asked: list[str] = []
    last = "model"
    for content in contents:
        role, parts = content["role"], content["parts"]
        assert content.keys() == {"role", "parts"}
        assert {role, last} == {"user", "model"}, "users and the model take turns, users first"
        assert parts
        answered = [part["functionResponse"] for part in parts if "functionResponse" in part]
        assert [each["name"] for each in answered] == asked, "as many results as calls, in their order"
        assert all(isinstance(each["response"], dict) for each in answered)
        assert all("functionResponse" in part for part in parts[: len(answered)])
        calls = [part for part in parts if "functionCall" in part]
        assert role == "model" or not calls
        for place, part in enumerate(calls):
            assert _NAME.fullmatch(part["functionCall"]["name"])
            assert isinstance(part["functionCall"]["args"], dict)
            assert place or part["thoughtSignature"], "the first call of an answer is signed"
        for part in parts:
            assert len(part.keys() & {"text", "functionCall", "functionResponse", "inlineData", "fileData"}) == 1
            assert part.get("text", "x").strip()
        asked = [part["functionCall"]["name"] for part in calls]
        last = role
    assert not asked, "a call has no result"


def blocks_of(provider: str, messages: Any) -> list[str]:
    """What is sent, a text for each block with its speaker: the beginnings of two requests are the same to a prompt
    cache as far as these are.
    """
    found = [f"system {messages.system}"]
    for message in messages:
        blocks = {"openai": [message], "anthropic": message.get("content"), "gemini": message.get("parts")}[provider]
        found += [f"{message['role']} {json.dumps(block)}" for block in blocks]
    return found


# What is stored


class Histories:
    """Random histories, of messages in the forms of several frameworks; the same ones for a seed."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.calls = 0

    def history(self, turns: int = 8) -> list[Message]:
        """The messages of a session in which nothing is broken."""
        messages = [Message(role=self.dice.choice(["system", "developer"]), content="Be brief.")] * self.dice.choice(
            [0, 1]
        )
        for _ in range(self.dice.randrange(1, turns)):
            messages += self._turn()
        return numbered(messages)

    def broken(self, messages: list[Message]) -> list[Message]:
        """The same after truncations, deletions, forks, late writers and compactions."""
        for _ in range(self.dice.randrange(4)):
            messages = self.dice.choice([self._cut, self._without, self._later, self._summary, self._twice, self._odd])(
                messages
            )
        return messages

    def _turn(self) -> list[Message]:
        asked = self.dice.choice([self._text(), [{"type": "text", "text": self._text()}, self._picture()]])
        turn = [Message(role="user", content=asked, name=self.dice.choice(["", "ada", "Ada L."]))]
        for _ in range(self.dice.randrange(4)):
            step = self.dice.choice([self._openai, self._anthropic, self._gemini, self._items])
            turn += step([self._call() for _ in range(self.dice.choice([1, 1, 2, 3]))])
        return [*turn, Message(role="assistant", content=self._text())]

    def _call(self) -> tuple[str, str, dict[str, Any]]:
        self.calls += 1
        id = self.dice.choice([f"call_{self.calls}", f"toolu:{self.calls}", "call_0", f"{'x' * 60}{self.calls}"])
        return id, self.dice.choice(["look", "shop.buy", "n" * 70]), {"at": self.calls, "why": self._text()}

    def _openai(self, calls: list[Any]) -> list[Message]:
        made = [
            {"id": id, "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            for id, name, given in calls
        ]
        results = [Message(role="tool", tool_call_id=id, content=self._text()) for id, _, _ in calls]
        return [Message(role="assistant", content=self.dice.choice([None, "", "I look."]), tool_calls=made), *results]

    def _anthropic(self, calls: list[Any]) -> list[Message]:
        thought = {"type": "thinking", "thinking": "Hm.", "signature": self.dice.choice(["", "c2ln"])}
        uses = [{"type": "tool_use", "id": id, "name": name, "input": given} for id, name, given in calls]
        results = [
            {"type": "tool_result", "tool_use_id": id, "content": [{"type": "text", "text": self._text()}]}
            for id, *_ in calls
        ]
        more = [{"type": "text", "text": "And hurry."}] * self.dice.choice([0, 1])
        return [Message(role="assistant", content=[thought, *uses]), Message(role="user", content=[*results, *more])]

    def _gemini(self, calls: list[Any]) -> list[Message]:
        asked = [{"functionCall": {"name": name, "args": given}} for _, name, given in calls]
        given = [{"functionResponse": {"name": name, "response": {"result": self._text()}}} for _, name, _ in calls]
        return [Message(role="model", content={"parts": asked}), Message(role="user", content={"parts": given})]

    def _items(self, calls: list[Any]) -> list[Message]:
        """Each call and each result a message of its own."""
        made = [
            Message(
                role="assistant", tool_calls=[{"type": "function_call", "call_id": id, "name": name, "arguments": "{"}]
            )
            for id, name, _ in calls
        ]
        return [*made, *(Message(role="tool", tool_call_id=id, content={"found": self.calls}) for id, *_ in calls)]

    def _picture(self) -> dict[str, Any]:
        return self.dice.choice(
            [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
                {"type": "hologram", "data": 1},
            ]
        )

    def _text(self) -> str:
        return "".join(self.dice.choices(_CODE + "é\U0001f642", k=self.dice.choice([5, 40]))) + "."

    def _cut(self, messages: list[Message]) -> list[Message]:
        return messages[: self.dice.randrange(len(messages) + 1)]

    def _without(self, messages: list[Message]) -> list[Message]:
        return [message for message in messages if self.dice.random() > 0.2]

    def _later(self, messages: list[Message]) -> list[Message]:
        """One of several writers came late."""
        messages = list(messages)
        for _ in range(2):
            if messages:
                messages.insert(
                    self.dice.randrange(len(messages) + 1), messages.pop(self.dice.randrange(len(messages)))
                )
        return numbered(messages)

    def _summary(self, messages: list[Message]) -> list[Message]:
        last = self.dice.randrange(len(messages) + 1)
        first = self.dice.randrange(1, last + 2)
        summary = Message(role="system", content="What was said.", metadata={"summary_of": [first, last]})
        return numbered([*messages, summary]) + self._after(messages)

    def _after(self, messages: list[Message]) -> list[Message]:
        more = self._turn() if self.dice.random() < 0.5 else []
        return [_copy(message, len(messages) + 2 + place) for place, message in enumerate(more)]

    def _twice(self, messages: list[Message]) -> list[Message]:
        """A run was begun again."""
        cut = self._cut(messages)
        return numbered([*cut, *cut[-3:], *self._turn()])

    def _odd(self, messages: list[Message]) -> list[Message]:
        odd: Any = self.dice.choice(
            [None, "", " \n", [], {}, [None, 1, "x", ["y"]], {"type": 1}, [{"type": ["text"], "thought": 1}]]
        )
        role = self.dice.choice(["user", "assistant", "tool", "system", "error", "narrator"])
        calls = self.dice.choice(
            [None, None, [], [1, "x", {}, {"id": 5, "function": "f"}, {"name": "f", "args": "NaN"}]]
        )
        message = Message(role=role, content=odd, tool_calls=calls if role == "assistant" else None)
        place = self.dice.randrange(len(messages) + 1)
        return numbered([*messages[:place], message, *messages[place:]])


def numbered(messages: list[Message]) -> list[Message]:
    return [_copy(message, number) for number, message in enumerate(messages, 1)]


def _copy(message: Message, number: int) -> Message:
    fields = ("role", "content", "tool_calls", "tool_call_id", "name", "metadata")
    return Message(id=f"m{number}", session_id="s", seq_num=number, **{name: getattr(message, name) for name in fields})
