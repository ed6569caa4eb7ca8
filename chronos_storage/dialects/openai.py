"""OpenAI's two forms: messages of Chat Completions, which are written, and items of Responses, which are read too.

In Chat Completions a call's results follow it, and the system speaks where it did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from .items import counts, kept, plain, short
from .media import medium_of, to_openai
from .said import Call, Result, Said, call_of, is_thought, left_out, result_parts, shown
from .single import alone, turns_of

FORMAT = "openai"
SYSTEM_APART = False
#: What must stand before an answer of the model that nobody asked for.
OPENING: dict[str, Any] | None = None

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def read(item: Any) -> dict[str, Any]:
    """The fields of a message that holds an item of either form, or a whole answer of Chat Completions.

    Raises:
        InvalidRecord: it is no dict and no model.
    """
    raw, changes = plain(item, "item")
    fields: dict[str, Any] = {}
    match raw:
        case {"choices": [{"message": dict(message)}, *_]}:
            fields = {"model": short(raw.get("model")), "usage": _usage(raw.get("usage"))}
            raw = message
    return kept(fields | _fields(raw), raw, changes, FORMAT)


def _fields(raw: dict[str, Any]) -> dict[str, Any]:
    kind, role = raw.get("type"), short(raw.get("role"))
    if role:
        calls = [chat_call(call_of(call)) for call in raw.get("tool_calls") or () if isinstance(call, dict)]
        content = raw.get("content")
        if content is None and raw.get("refusal"):
            content = [{"type": "refusal", "refusal": raw["refusal"]}]
        return {
            "role": role,
            "content": content,
            "name": short(raw.get("name")),
            "tool_calls": calls or None,
            "kind": "tool-call" if calls else "",
            "tool_call_id": short(raw.get("tool_call_id")),
        }
    id = short(raw.get("call_id"))
    if id and "output" in raw:
        return {"role": "tool", "content": raw["output"], "tool_call_id": id}
    if id:
        name = short(raw.get("name")) or short(kind).removesuffix("_call")
        given: Any = next((raw[key] for key in ("arguments", "input", "action", "operation") if key in raw), None)
        return {"role": "assistant", "kind": "tool-call", "tool_calls": [chat_call(Call(id, name, given))]}
    thought = [{"type": "reasoning", "summary": raw.get("summary")}] if kind == "reasoning" else None
    return {"role": "assistant", "kind": short(kind), "content": thought}


def _usage(usage: Any) -> dict[str, int] | None:
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = counts(details, cache_read_tokens="cached_tokens") or {}
    names = {name: name for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    return {**(counts(usage, **names) or {}), **cached} or None


def written(message: Any) -> dict[str, Any]:
    """A record's message as Chat Completions takes it: its own item where it came from there.

    Raises:
        InvalidRecord: its role is none of the provider's.
    """
    raw = message.raw
    if message.format == FORMAT and isinstance(raw, dict) and "role" in raw and "type" not in raw:
        return dict(raw)
    turn = alone(message, "OpenAI", system_apart=SYSTEM_APART)
    if turn.role == "user":  # the results of several tools have no place in one message
        turn.parts = list(map(shown, turn.parts))
    return next(rendered([turn] if turn.parts else []), {"role": turn.role, "content": ""})


def chat_messages(message: Any) -> list[dict[str, Any]]:
    """A record's message as Chat Completions have it: several, where it has the results of several calls, or none."""
    return list(rendered(turns_of(message)))


def chat_call(call: Call) -> dict[str, Any]:
    """A call as Chat Completions and records have it; arguments that came as JSON text stay that text."""
    arguments = {} if call.arguments is None else call.arguments
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False)  # with spaces, as models write it
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def rendered(messages: Iterable[Said]) -> Iterator[dict[str, Any]]:
    """The messages, whose calls and results are paired, as a request has them."""
    for said in messages:
        parts = said.parts
        if len(parts) == 1 and isinstance(parts[0], str) and not said.name:  # most are, and it is soon done
            yield {"role": said.role, "content": parts[0]}
        elif said.role == "tool":
            for result in parts:
                if isinstance(result, Result):
                    content = result.content
                    if not isinstance(content, str):
                        content = _texts(result_parts(content)) or ""
                    yield {"role": "tool", "tool_call_id": result.id, "content": content}
        elif said.role == "assistant":
            if answer := _answer(said):
                yield answer
        else:
            yield _named(said, {"role": said.role, "content": _content([_part(part, said.role) for part in parts])})


def may_begin(message: dict[str, Any]) -> bool:
    """Whether a list may begin with a message."""
    return bool(message["role"] != "tool")


def _answer(said: Said) -> dict[str, Any] | None:
    calls = [part for part in said.parts if isinstance(part, Call)]
    others = [part for part in said.parts if not isinstance(part, Call) and not is_thought(part)]
    message: dict[str, Any] = {"role": "assistant", "content": _texts(others)}
    if calls:
        message["tool_calls"] = list(map(chat_call, calls))
    elif not others:
        return None
    return _named(said, message)


def _named(said: Said, message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "name": said.name} if said.name and _NAME.fullmatch(said.name) else message


def _part(part: Any, role: str) -> str | dict[str, Any]:
    if isinstance(part, str):
        return part
    if role == "user" and isinstance(part, dict):
        if _is_own(part):
            return part
        medium = medium_of(part)
        if medium and (own := to_openai(medium)):
            return own
    return left_out(part)


def _is_own(part: dict[str, Any]) -> bool:
    """Whether a part is as the provider has it; what was kept from elsewhere under the same type need not be."""
    match part:
        case {"type": "image_url", "image_url": {"url": str()}}:
            return medium_of(part) is not None
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": "wav" | "mp3"}}:
            return data != ""
        case {"type": "file", "file": {"file_id": str(id)} | {"file_data": str(id), "filename": str()}}:
            return id != ""
    return False


def _texts(parts: list[Any]) -> Any:
    return _content([part if isinstance(part, str) else left_out(part) for part in parts])


def _content(parts: list[str | dict[str, Any]]) -> Any:
    """One text as such, several parts as a list, none as None."""
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts] or None
