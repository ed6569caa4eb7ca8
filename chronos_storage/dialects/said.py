"""What a stored message says, whichever framework's form it is stored in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

#: Who speaks, by the names that messages have for it.
ROLES = {
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
#: Those who speak for the system.
SYSTEMS = ("system", "developer")
_as_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
#: What a part of Gemini's has, which names no type.
_OF_GEMINI = (
    *("thought", "inlineData", "inline_data", "fileData", "file_data", "executableCode", "codeExecutionResult"),
    *("functionCall", "function_call", "functionResponse", "function_response"),
)


@dataclass(slots=True)
class Call:
    """A tool that the model wants called. The arguments are an object, or its JSON; so they stay as they came.

    Attributes:
        extra: what the part has beside the call that its maker wants back, such as Gemini's signature.
    """

    id: str
    name: str
    arguments: Any
    extra: dict[str, Any] | None = None


@dataclass(slots=True)
class Result:
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
    """What one message says, read anew each time: whoever asked for it may change it.

    Attributes:
        role: ``system``, ``developer``, ``user`` or ``assistant``; once it is `paired`, ``tool`` too, whose parts are
            the results of the calls just before.
    """

    role: str
    parts: list[Part]
    name: str = ""


def said(message: Any) -> Said:
    """What a record's message says; without parts, if it says nothing. Whatever stands in it, this does not fail."""
    role, content = ROLES.get(message.role, ""), message.content
    calls = message.tool_calls
    if not calls and isinstance(content, str) and (role == "user" or role == "assistant") and not message.tool_call_id:
        return Said(role, [content] if content and not content.isspace() else [], message.name)
    if role == "assistant":
        listed = [call_of(item) for item in calls or () if isinstance(item, dict)]
        # Whoever keeps the calls in both places means them once; where they are the content, nothing else is.
        said_too = parts_of(content) if content and content != calls else []
        elsewhere = {"", *(call.id for call in listed)} if said_too and listed else ()
        own = [
            part if isinstance(part, Call) else shown(part)
            for part in said_too
            if not (isinstance(part, Call) and part.id in elsewhere)
        ]
        return Said(role, _numbered([*own, *listed], message.seq_num), message.name)
    is_result = role == "tool" or message.tool_call_id != ""
    parts: list[Part] = []
    if content and not (is_result and isinstance(content, str)):
        parts = [shown(part) if isinstance(part, Call) else part for part in parts_of(content)]
    if is_result and not (parts and any(isinstance(part, Result) for part in parts)):
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
    """Any JSON as a text: a string as it is, None as the empty one."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _as_json(value)


def as_object(arguments: Any) -> dict[str, Any]:
    """A call's arguments as an object."""
    if isinstance(arguments, str):
        try:
            arguments = _of_json(arguments or "{}")
        except (ValueError, RecursionError):
            return {"input": arguments}
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, dict) else {"input": arguments}


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_of_json = json.JSONDecoder(parse_constant=_refused).decode


def result_parts(content: Any) -> list[Shown]:
    """What a tool gave, as parts: those of a list of parts, else one text, or none."""
    if isinstance(content, list) and all(isinstance(item, dict) and _is_part(item) for item in content):
        return [shown(part) for part in parts_of(content)]
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
        call = call_of(item)
        return call if call.name else as_text(item)
    return item if _is_part(item) else as_text(item)


def _is_part(item: dict[str, Any]) -> bool:
    """Whether an object is a part in somebody's form, and not what was said itself."""
    return bool(kind_of(item)) or any(name in item for name in _OF_GEMINI)


def call_of(item: dict[str, Any]) -> Call:
    """The call that an item is, in whichever form; without a name where it has none."""
    inner = item.get("function") or item.get("functionCall") or item.get("function_call") or item.get("custom")
    fields = inner if isinstance(inner, dict) else item
    name = fields.get("name") or fields.get("toolName") or fields.get("tool_name") or fields.get("tool")
    id = item.get("call_id") or item.get("id") or item.get("toolCallId") or item.get("tool_call_id") or fields.get("id")
    signature = item.get("thoughtSignature") or item.get("thought_signature")
    return Call(
        id if isinstance(id, str) else "",
        name if isinstance(name, str) else "",
        _first(fields, "arguments", "args", "input"),
        {"thoughtSignature": signature} if isinstance(signature, str) else None,
    )


def _result(item: dict[str, Any]) -> Result:
    inner = item.get("functionResponse") or item.get("function_response")
    fields = inner if isinstance(inner, dict) else item
    id = _first(fields, "tool_use_id", "call_id", "tool_call_id", "toolCallId", "id")
    name = fields.get("name") or fields.get("toolName")
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
    """The parts, with an id for each call that came without one, the same however often it is asked for."""
    for place, part in enumerate(parts):
        if isinstance(part, Call) and not part.id:
            part.id = f"call_{number}_{place}"
    return parts


def shown(part: Part) -> Shown:
    """A part of what neither calls nor answers a tool."""
    if isinstance(part, Call):
        return f"[call of the tool {part.name}]\n{as_text(part.arguments)}"
    return f"[result of the tool {part.name}]\n{as_text(part.content)}" if isinstance(part, Result) else part
