"""Anthropic's form: messages of users and the model, whose content is a text or blocks."""

from __future__ import annotations

import re
from typing import Any

from .parts import (
    as_object,
    as_text,
    call,
    calls_of,
    counts,
    is_ours,
    kept,
    picture,
    plain,
    required_role,
    short,
    text_part,
)

FORMAT = "anthropic"
_ROLES = {"user": "user", "assistant": "assistant", "tool": "user"}
_DATA = re.compile("data:([^;,]+);base64,")


def read(item: Any) -> dict[str, Any]:
    """The fields of a message that holds one of Anthropic's, or a whole answer.

    Raises:
        InvalidRecord: it is no dict and no model.
    """
    raw, changes = plain(item, "item")
    content = raw.get("content")
    blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
    fields: dict[str, Any] = {
        "role": short(raw.get("role")) or "assistant",
        "content": as_text(content) if isinstance(content, bool | int | float) else content,
        "model": short(raw.get("model")),
        "usage": _usage(raw.get("usage")),
    }
    calls = [call(each.get("id"), each.get("name"), each.get("input")) for each in blocks if _is(each, "tool_use")]
    if calls:
        fields |= {"tool_calls": calls, "kind": "tool-call"}
    elif len(blocks) == 1 and _is(blocks[0], "tool_result"):
        [result] = blocks
        inner = result.get("content")
        fields |= {
            "role": "tool",
            "content": as_text(inner) if isinstance(inner, bool | int | float) else inner,
            "tool_call_id": short(result.get("tool_use_id")),
        }
        if result.get("is_error") is True:
            fields["metadata"] = {"is_error": True}
    return kept(fields, raw, changes, FORMAT)


def _is(block: dict[str, Any], kind: str) -> bool:
    return block.get("type") == kind


def _usage(usage: Any) -> dict[str, int] | None:
    """The counts as they are reported: what was read from a cache or written to it is not among the input's."""
    return counts(
        usage,
        prompt_tokens="input_tokens",
        completion_tokens="output_tokens",
        cache_read_tokens="cache_read_input_tokens",
        cache_creation_tokens="cache_creation_input_tokens",
    )


def written(message: Any) -> dict[str, Any]:
    """A record's message as Anthropic takes it: its own where it came from there.

    Raises:
        InvalidRecord: its role is none of the provider's, which takes the system's words apart.
    """
    raw = message.raw
    if message.format == FORMAT and isinstance(raw, dict) and {"role", "content"} <= raw.keys():
        return {"role": raw["role"], "content": raw["content"]}
    role = required_role(message.role, _ROLES, "Anthropic")
    content = _content(message.content)
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}
        return {"role": role, "content": [result | ({"is_error": True} if message.metadata.get("is_error") else {})]}
    if calls := calls_of(message.tool_calls):
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
        content = [
            *blocks,
            *({"type": "tool_use", "id": id, "name": name, "input": as_object(given)} for id, name, given in calls),
        ]
    return {"role": role, "content": content}


def _content(content: Any) -> Any:
    if content is None or isinstance(content, str):
        return content or ""
    return [_block(part) for part in (content if isinstance(content, list) else [content]) if not is_ours(part)]


def _block(part: Any) -> dict[str, Any]:
    if (text := text_part(part)) is not None:
        return {"type": "text", "text": text}
    if isinstance(part, dict) and part.get("type") in ("document", "tool_result", "search_result"):
        return part
    if (address := picture(part)) is None:
        return {"type": "text", "text": as_text(part)}
    if found := _DATA.match(address):
        return {
            "type": "image",
            "source": {"type": "base64", "media_type": found[1], "data": address[found.end() :]},
        }
    return {"type": "image", "source": {"type": "url", "url": address}}
