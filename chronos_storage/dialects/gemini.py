"""Contents as Gemini's API takes them: users and the model in turns, users first, the system apart.

Calls and results carry no ids: they belong together by their order, a result for each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from . import alternating
from .media import medium_of, to_gemini
from .said import Call, Part, Result, Said, as_object, is_thought, left_out, result_text

SYSTEM_APART = True
OPENING: dict[str, Any] | None = {"role": "user", "parts": [{"text": alternating.OPENING}]}

#: What the provider's documentation has in the place of the signature of a call that another model made.
_UNSIGNED = "skip_thought_signature_validator"


def rendered(messages: Iterable[Said]) -> Iterator[dict[str, Any]]:
    """The messages, whose calls and results are paired, as a request has them."""
    for side, parts in alternating.turns(messages, part_of):
        if side == "assistant":
            parts.sort(key=_is_call)
            first: dict[str, Any] | None = next(filter(_is_call, parts), None)
            if first:  # newer models want a signature with the first call of an answer
                first.setdefault("thoughtSignature", _UNSIGNED)
        yield {"role": "model" if side == "assistant" else "user", "parts": parts}


def may_begin(message: dict[str, Any]) -> bool:
    """Whether a list may begin with a content."""
    return "functionResponse" not in message["parts"][0]


def _is_call(part: dict[str, Any]) -> bool:
    return "functionCall" in part


def part_of(part: Part, role: str) -> dict[str, Any] | None:
    """A part as Gemini has it; None for what is left out."""
    if isinstance(part, str):
        return {"text": part}
    if isinstance(part, Call):
        call: dict[str, Any] = {"functionCall": {"name": part.name, "args": as_object(part.arguments)}}
        return {**call, **part.extra} if part.extra else call
    if isinstance(part, Result):
        return {"functionResponse": {"name": part.name, "response": _response(part)}}
    if _is_own(part):
        return part
    if is_thought(part):
        return None
    medium = medium_of(part)
    return (medium and to_gemini(medium)) or {"text": left_out(part)}


def _is_own(part: dict[str, Any]) -> bool:
    match part:
        case {"inlineData": {"mimeType": str(kind), "data": str(data)}}:
            return bool(kind and data)
        case {"fileData": {"fileUri": str(uri)}}:
            return uri != ""
        case {"executableCode": dict(code)} | {"codeExecutionResult": dict(code)}:
            return bool(code)
    return False


def _response(result: Result) -> dict[str, Any]:
    """What a tool gave, which must be an object."""
    if isinstance(result.content, dict):
        return result.content
    return {"error" if result.failed else "result": result_text(result.content)}
