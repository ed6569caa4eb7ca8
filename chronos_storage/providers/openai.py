"""Messages as OpenAI's Chat Completions take them: a call's results follow it, and the system speaks where it did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from .media import medium_of, to_openai
from .said import Call, Result, Said, as_text, is_thought, left_out, result_parts

SYSTEM_APART = False
#: What must stand before an answer of the model that nobody asked for.
OPENING: dict[str, Any] | None = None

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def rendered(messages: Iterable[Said]) -> Iterator[dict[str, Any]]:
    """The messages, which are `paired`, as a request has them."""
    for said in messages:
        parts = said.parts
        if len(parts) == 1 and isinstance(parts[0], str) and not said.name:  # most are, and it is soon done
            yield {"role": said.role, "content": parts[0]}
        elif said.role == "tool":
            for result in said.parts:
                if isinstance(result, Result):
                    content = result.content
                    if not isinstance(content, str):
                        content = _texts(result_parts(content)) or ""
                    yield {"role": "tool", "tool_call_id": result.id, "content": content}
        elif said.role == "assistant":
            if answer := _answer(said):
                yield answer
        else:
            shown = [part if isinstance(part, str) else _part(part, said.role) for part in parts]
            yield _named(said, {"role": said.role, "content": _content(shown)})


def may_begin(message: dict[str, Any]) -> bool:
    """Whether a list may begin with a message."""
    return bool(message["role"] != "tool")


def _answer(said: Said) -> dict[str, Any] | None:
    calls = [part for part in said.parts if isinstance(part, Call)]
    others = [part for part in said.parts if not isinstance(part, Call) and not is_thought(part)]
    message: dict[str, Any] = {"role": "assistant", "content": _texts(others)}
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": _arguments(call.arguments)},
            }
            for call in calls
        ]
    elif not others:
        return None
    return _named(said, message)


def _arguments(arguments: Any) -> str:
    return as_text({} if arguments is None else arguments)


def _named(said: Said, message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "name": said.name} if said.name and _NAME.fullmatch(said.name) else message


def _part(part: Any, role: str) -> str | dict[str, Any]:
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
