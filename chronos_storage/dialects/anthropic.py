"""Anthropic's form: users and the model in turns, users first, whose content is a text or blocks; the system apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import alternating
from .items import counts, kept, plain, short
from .media import medium_of, to_anthropic
from .openai import chat_call
from .said import Call, Part, Result, Said, Shown, as_object, is_thought, left_out, parts_of, result_parts
from .single import alone

FORMAT = "anthropic"
SYSTEM_APART = True
OPENING: dict[str, Any] | None = {"role": "user", "content": [{"type": "text", "text": alternating.OPENING}]}

#: Calls of tools that the provider runs itself, whose results stand in the same answer.
_SERVER_CALLS = frozenset({"server_tool_use", "mcp_tool_use"})


def read(item: Any) -> dict[str, Any]:
    """The fields of a message that holds one of Anthropic's, or a whole answer.

    Raises:
        InvalidRecord: it is no dict and no model.
    """
    raw, changes = plain(item, "item")
    content = raw.get("content")
    fields: dict[str, Any] = {
        "role": short(raw.get("role")) or "assistant",
        "content": content,
        "model": short(raw.get("model")),
        # As they are reported: what was read from a cache or written to it is not among the input's.
        "usage": counts(
            raw.get("usage"),
            prompt_tokens="input_tokens",
            completion_tokens="output_tokens",
            cache_read_tokens="cache_read_input_tokens",
            cache_creation_tokens="cache_creation_input_tokens",
        ),
    }
    parts = parts_of(content) if isinstance(content, list) else []
    match parts:
        case [Result(id=id, content=given, failed=failed)]:
            fields |= {"role": "tool", "content": given, "tool_call_id": short(id)}
            if failed:
                fields["metadata"] = {"is_error": True}
        case _ if calls := [chat_call(part) for part in parts if isinstance(part, Call)]:
            fields |= {"tool_calls": calls, "kind": "tool-call"}
    return kept(fields, raw, changes, FORMAT)


def written(message: Any) -> dict[str, Any]:
    """A record's message as Anthropic takes it: its own where it came from there.

    Raises:
        InvalidRecord: its role is none of the provider's, which takes the system's words apart.
    """
    raw, content = message.raw, message.content
    if message.format == FORMAT and isinstance(raw, dict) and {"role", "content"} <= raw.keys():
        return {"role": raw["role"], "content": raw["content"]}
    turn = alone(message, "Anthropic", system_apart=SYSTEM_APART)
    if isinstance(content, str) and turn.parts == [content]:  # a text stays one
        return {"role": turn.role, "content": content}
    [given, *_] = rendered([turn]) or [{"role": turn.role, "content": ""}]
    if turn.role == "tool" and isinstance(content, str):
        given["content"][0]["content"] = content
    return given


def rendered(messages: Iterable[Said]) -> list[dict[str, Any]]:
    """The messages, whose calls and results are paired, as a request has them."""
    given: list[dict[str, Any]] = []
    for role, blocks in alternating.turns(messages, _block):
        if role == "assistant" and not _is_text(blocks):  # calls come last
            blocks.sort(key=_is_call)
            while blocks and is_thought(blocks[-1]):  # an answer that was cut off; none may end so
                blocks.pop()
        if given and given[-1]["role"] == role:  # nothing is left of the answer between
            given[-1]["content"] += blocks
        elif blocks:
            given.append({"role": role, "content": blocks})
    for message in given:
        if message["role"] == "assistant" and not _is_text(message["content"]):
            _pair_servers(message["content"], is_last=message is given[-1])
    return given


def may_begin(message: dict[str, Any]) -> bool:
    """Whether a list may begin with a message."""
    return bool(message["content"][0]["type"] != "tool_result")


def _is_text(blocks: list[dict[str, Any]]) -> bool:
    """Whether an answer is one text, as most are."""
    return len(blocks) == 1 and blocks[0]["type"] == "text"


def _is_call(block: dict[str, Any]) -> bool:
    return bool(block["type"] == "tool_use")


def _pair_servers(blocks: list[dict[str, Any]], *, is_last: bool) -> None:
    """Name the calls of the provider's own tools that have no result, and their results without a call.

    Those which end what the model has said so far are under way: the provider goes on from there.
    """
    calls: set[str] = set()
    paired: set[str] = set()
    for block in blocks:
        if block["type"] in _SERVER_CALLS:
            calls.add(block["id"])
        elif block.get("tool_use_id") in calls:
            paired.add(block["tool_use_id"])
    end = len(blocks)
    while is_last and end and blocks[end - 1]["type"] in _SERVER_CALLS:
        end -= 1
    for place, block in enumerate(blocks[:end]):
        is_server = "tool_use_id" in block or block["type"] in _SERVER_CALLS
        if is_server and block.get("tool_use_id", block.get("id")) not in paired:
            blocks[place] = {"type": "text", "text": left_out(block)}


def _block(part: Part, role: str) -> dict[str, Any] | None:
    if isinstance(part, str):
        return {"type": "text", "text": part.rstrip() if role == "assistant" else part}
    if isinstance(part, Call):
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": as_object(part.arguments)}
    if isinstance(part, Result):
        blocks = [_of_user(each) for each in result_parts(part.content)]
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": part.id, "content": blocks}
        return {**block, "is_error": True} if part.failed else block
    return _of_answer(part) if role == "assistant" else _of_user(part)


def _of_user(part: Shown) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    medium = medium_of(part)
    made = to_anthropic(medium) if medium else None
    match part:
        case {"type": "image" | "document" as kind, "source": {"type": "base64" | "url"}} if made:
            return part if kind == made["type"] else made
        case {"type": "image" | "document", "source": {"type": "file", "file_id": str(id)}} if id:
            return part
        case {"type": "document", "source": {"type": "text", "data": str(text)}} if text.strip():
            return part
        case {"type": "document", "source": {"type": "content"}}:
            return part
        case {"type": "search_result", "source": str(), "content": list()}:
            return part
    return made or {"type": "text", "text": left_out(part)}


def _of_answer(part: dict[str, Any]) -> dict[str, Any] | None:
    """What only this provider's own models say, as they said it; what others thought stays with them."""
    match part:
        case {"type": "thinking", "thinking": str(), "signature": str(signature)} if signature:
            return part
        case {"type": "redacted_thinking", "data": str(data)} if data:
            return part
        case {"type": str(kind), "id": str()} if kind in _SERVER_CALLS:
            return part
        case {"type": str(kind), "tool_use_id": str()} if kind.endswith("_tool_result"):
            return part
    return None if is_thought(part) else {"type": "text", "text": left_out(part)}
