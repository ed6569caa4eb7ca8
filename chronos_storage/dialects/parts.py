"""What the providers' forms have in common: calls of tools, and parts of text and pictures."""

from __future__ import annotations

import json
from typing import Any

from ..codec import MAX_JSON_BYTES, MAX_RECORD_BYTES, MAX_TOKENS, bytes_of, encode, storable
from ..exceptions import InvalidRecord


def plain(item: Any, argument: str) -> tuple[dict[str, Any], dict[str, str]]:
    """An item, a dict or a model of a provider's library, as every store accepts it, and what was changed for that."""
    dump = getattr(item, "model_dump", None)
    # What such a model has without having been given it, the provider did not say.
    given = dump(exclude_unset=True) if callable(dump) else item
    if not isinstance(given, dict):
        raise InvalidRecord(argument, f"must be a dict or a model of the provider's, not {type(item).__name__}")
    made = storable(given)
    return made.value, made.changes


def kept(fields: dict[str, Any], raw: dict[str, Any], changes: dict[str, str], form: str) -> dict[str, Any]:
    """The fields of a message that keeps an item in `raw`, where what is filled from a long one leaves room for it."""
    if changes:
        fields["metadata"] = {**fields.get("metadata", {}), "changes": changes}
    room = min(MAX_JSON_BYTES, (MAX_RECORD_BYTES - bytes_of(encode(raw))) // 2)
    for name in ("content", "tool_calls"):  # which are nested in something of ours, too
        fields[name] = storable(fields.get(name), limit=room).value
    return {**fields, "raw": raw, "format": form}


def counts(usage: Any, **names: str) -> dict[str, int] | None:
    """The counts of a usage by our names, where theirs are counts; None where nothing is reported."""
    if not isinstance(usage, dict):
        return None
    given = {ours: usage.get(theirs) for ours, theirs in names.items()}
    return {name: count for name, count in given.items() if type(count) is int and 0 <= count <= MAX_TOKENS} or None


def call(id: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """A call of a tool as records keep it; arguments that came as JSON text stay that text."""
    return {"id": id or "", "type": "function", "function": {"name": name or "", "arguments": as_text(arguments)}}


def calls_of(tool_calls: list[Any] | None) -> list[tuple[str, str, str]]:
    """The id, the name and the arguments' JSON text of each call of a message, in whichever form it was kept."""
    found = []
    for each in tool_calls or []:
        if isinstance(each, dict):
            function = each["function"] if isinstance(each.get("function"), dict) else each
            given: Any = next((function[name] for name in ("arguments", "args", "input") if name in function), {})
            found.append((text_of(each.get("id")), text_of(function.get("name")), as_text(given)))
    return found


def as_text(value: Any) -> str:
    """A string as it is, any other JSON as its text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_object(arguments: Any) -> dict[str, Any]:
    """A call's arguments as an object."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}", parse_constant=_refused)
        except (ValueError, RecursionError):
            return {"input": arguments}
    if arguments is None:
        return {}
    return arguments if isinstance(arguments, dict) else {"input": arguments}


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def text_of(value: Any) -> str:
    """A value that should be a string; the empty one where it is none."""
    return value if isinstance(value, str) else ""


def short(value: Any) -> str:
    """A value for a string that is indexed, of which a longer one keeps its beginning."""
    return text_of(value)[:255]


def text_part(part: Any) -> str | None:
    """The text of a part, in whichever form; None if it is something else."""
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") in ("text", "input_text", "output_text"):
        return text_of(part.get("text"))
    return None


def picture(part: Any) -> str | None:
    """The address of a picture, which may be one of ``data:``; None if a part is no picture, or only an id."""
    if not isinstance(part, dict):
        return None
    match part:
        case {"type": "image_url", "image_url": {"url": str(url)}} | {"type": "input_image", "image_url": str(url)}:
            return url
        case {"type": "image", "source": {"type": "base64", "media_type": str(kind), "data": str(data)}}:
            return f"data:{kind};base64,{data}"
        case {"type": "image", "source": {"type": "url", "url": str(url)}}:
            return url
    return None


def is_ours(part: Any) -> bool:
    """Whether a part is kept elsewhere in a record, as calls are, or stays with its provider, as thoughts do."""
    kind = part.get("type") if isinstance(part, dict) else ""
    return kind in ("tool_use", "thinking", "redacted_thinking", "reasoning")


def required_role(role: str, roles: dict[str, str], provider: str) -> str:
    """The provider's name of a role.

    Raises:
        InvalidRecord: it has none.
    """
    if role not in roles:
        raise InvalidRecord(
            "role", f"is {role!r}, which {provider} has no place for among its messages; see Storage.context()"
        )
    return roles[role]
