"""What a stored message says, whichever framework's form it is stored in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..records import Message

_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "developer",
    "tool": "tool",
    "function": "tool",
}
_TEXTS = frozenset({"text", "input_text", "output_text"})
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_CALLS = frozenset({"tool_use", "tool_call", "tool-call", "function_call", "custom_tool_call"})
_RESULTS = frozenset({"tool_result", "tool-result", "function_call_output", "custom_tool_call_output"})
#: What a part of Gemini's has, which names no type.
_OF_GEMINI = (
    *("thought", "inlineData", "inline_data", "fileData", "file_data", "executableCode", "codeExecutionResult"),
    *("functionCall", "function_call", "functionResponse", "function_response"),
)


class Call(NamedTuple):
    """A tool that the model wants called. The arguments are an object, or its JSON; so they stay as they came.

    Attributes:
        extra: what the part has beside the call that its maker wants back, such as Gemini's signature.
    """

    id: str
    name: str
    arguments: Any
    extra: dict[str, Any] | None = None


class Result(NamedTuple):
    """What a tool gave, as text, a list of parts, any other JSON, or None."""

    id: str
    name: str
    content: Any
    failed: bool = False


#: A text, or whatever else stands in a content, in its maker's form.
Shown = str | dict[str, Any]
Part = Shown | Call | Result


@dataclass(slots=True)
class Said:
    """What one message says.

    Attributes:
        role: ``system``, ``developer``, ``user`` or ``assistant``; once it is `paired`, ``tool`` too, whose parts are
            the results of the calls just before.
    """

    role: str
    parts: list[Part]
    name: str = ""


def said(message: Message) -> Said:
    """What a message says; without parts, if it says nothing. Whatever stands in it, this does not fail."""
    role, content = _ROLES.get(message.role, ""), message.content
    calls = message.tool_calls
    if not calls and isinstance(content, str) and (role == "user" or role == "assistant") and not message.tool_call_id:
        return Said(role, [content] if content and not content.isspace() else [], message.name)
    if role == "assistant":
        listed = [call for item in calls or () if (call := _call(item, named=True))]
        # Whoever keeps the calls in both places means them once; where they are the content, nothing else is.
        said_too = parts_of(content) if content and content != calls else []
        elsewhere = {"", *(call.id for call in listed)} if said_too and listed else ()
        own = [
            part if isinstance(part, Call) else _shown(part)
            for part in said_too
            if not (isinstance(part, Call) and part.id in elsewhere)
        ]
        return Said(role, _numbered([*own, *listed], message.seq_num), message.name)
    is_result = role == "tool" or message.tool_call_id != ""
    parts: list[Part] = []
    if content and not (is_result and isinstance(content, str)):
        parts = [_shown(part) if isinstance(part, Call) else part for part in parts_of(content)]
    if is_result and not any(isinstance(part, Result) for part in parts):
        failed = message.metadata.get("is_error") is True
        return Said("user", [Result(message.tool_call_id, message.name, content, failed)])
    if role == "tool":
        return Said("user", parts)
    if not role:  # such as that of an error, or of somebody whom no provider knows
        role, parts = "user", labelled(message.role, parts)
    return Said(role, parts, message.name)


def parts_of(content: Any) -> list[Part]:
    """The parts of a content."""
    if isinstance(content, dict) and isinstance(inner := content.get("parts"), list):
        content = inner  # as Gemini has it
    if content is None:
        return []
    items = content if isinstance(content, list) else [content]
    return [part for part in map(_part, items) if part != "" and not (isinstance(part, str) and part.isspace())]


def labelled(label: str, parts: list[Part]) -> list[Part]:
    """The parts, which say whose they are."""
    if parts and isinstance(parts[0], str):
        return [f"[{label}]\n{parts[0]}", *parts[1:]]
    return [f"[{label}]", *parts] if parts else []


def as_text(value: Any) -> str:
    """Any JSON as a text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def result_parts(content: Any) -> list[Shown]:
    """What a tool gave, as parts: those of a list of parts, else one text, or none."""
    if isinstance(content, list) and all(isinstance(item, dict) and _is_part(item) for item in content):
        return [_shown(part) for part in parts_of(content)]
    text = as_text(content)
    return [text] if text and not text.isspace() else []


def result_text(content: Any) -> str:
    """What a tool gave, as a text."""
    return "\n".join(part if isinstance(part, str) else left_out(part) for part in result_parts(content))


def left_out(part: Any) -> str:
    """What the model reads in the place of a part that it doesn't take."""
    kind = kind_of(part) if isinstance(part, dict) else ""
    return f"[{kind or 'a part'} that can't be shown here]"


def kind_of(part: dict[str, Any]) -> str:
    """The type that a part names, or nothing."""
    kind = part.get("type")
    return kind if isinstance(kind, str) else ""


def is_thought(part: Any) -> bool:
    """Whether a part is what a model thought, which stays with its provider."""
    return isinstance(part, dict) and (kind_of(part) in _THOUGHTS or bool(part.get("thought")))


def _part(item: Any) -> Part:
    if not isinstance(item, dict):
        return as_text(item)
    kind = kind_of(item)
    if kind in _TEXTS or (not kind and not item.get("thought")):
        text = item.get("text")
        if isinstance(text, str):
            return text
    if kind == "refusal" and isinstance(item.get("refusal"), str):
        return str(item["refusal"])
    if kind in _RESULTS or "functionResponse" in item or "function_response" in item:
        return _result(item)
    if kind in _CALLS or "functionCall" in item or "function_call" in item:
        return _call(item) or as_text(item)
    return item if _is_part(item) else as_text(item)


def _is_part(item: dict[str, Any]) -> bool:
    """Whether an object is a part in somebody's form, and not what was said itself."""
    return bool(kind_of(item)) or any(name in item for name in _OF_GEMINI)


def _call(item: Any, *, named: bool = False) -> Call | None:
    """The call that an item is.

    Args:
        named: whether it stands where nothing but calls do.
    """
    if not isinstance(item, dict):
        return None
    inner = _first(item, "function", "functionCall", "function_call", "custom")
    fields = inner if isinstance(inner, dict) else item
    name = _first(fields, "name", "toolName", "tool_name", "tool")
    if not isinstance(name, str) and not named:
        return None
    id = _first(item, "call_id", "id", "toolCallId", "tool_call_id") or _first(fields, "id")
    signature = _first(item, "thoughtSignature", "thought_signature")
    return Call(
        id if isinstance(id, str) else "",
        name if isinstance(name, str) else "",
        _first(fields, "arguments", "args", "input"),
        {"thoughtSignature": signature} if isinstance(signature, str) else None,
    )


def _result(item: dict[str, Any]) -> Result:
    inner = _first(item, "functionResponse", "function_response")
    fields = inner if isinstance(inner, dict) else item
    id = _first(fields, "tool_use_id", "call_id", "tool_call_id", "toolCallId", "id")
    name = _first(fields, "name", "toolName")
    return Result(
        id if isinstance(id, str) else "",
        name if isinstance(name, str) else "",
        _first(fields, "content", "output", "response", "result"),
        item.get("is_error") is True,
    )


def _first(fields: dict[str, Any], *names: str) -> Any:
    """The value of the first of these names that has one."""
    for name in names:
        if (value := fields.get(name)) is not None:
            return value
    return None


def _numbered(parts: list[Part], number: int) -> list[Part]:
    """The parts with an id for each call that came without one, the same however often it is asked for."""
    return [
        Call(f"call_{number}_{place}", *part[1:]) if isinstance(part, Call) and not part.id else part
        for place, part in enumerate(parts)
    ]


def _shown(part: Part) -> Shown:
    """A part of what neither calls nor answers a tool."""
    if isinstance(part, Call):
        return f"[call of the tool {part.name}]\n{as_text(part.arguments)}"
    return f"[result of the tool {part.name}]\n{as_text(part.content)}" if isinstance(part, Result) else part
