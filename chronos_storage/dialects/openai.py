"""OpenAI's two forms: messages of Chat Completions, which are written, and items of Responses, which are read too."""

from __future__ import annotations

from typing import Any

from .parts import as_text, call, calls_of, counts, is_ours, kept, picture, plain, required_role, short, text_part

FORMAT = "openai"
_ROLES = {name: name for name in ("system", "developer", "user", "assistant", "tool")}


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
        calls = [call(id, name, arguments) for id, name, arguments in calls_of(raw.get("tool_calls"))]
        content = raw.get("content")
        if content is None and raw.get("refusal"):
            content = [{"type": "refusal", "refusal": raw["refusal"]}]
        return {
            "role": role,
            "content": as_text(content) if isinstance(content, bool | int | float) else content,
            "name": short(raw.get("name")),
            "tool_calls": calls or None,
            "kind": "tool-call" if calls else "",
            "tool_call_id": short(raw.get("tool_call_id")),
        }
    id = short(raw.get("call_id"))
    if id and "output" in raw:
        return {"role": "tool", "content": _output(raw["output"]), "tool_call_id": id}
    if id:
        name = raw.get("name") or short(kind).removesuffix("_call")
        given: Any = next((raw[key] for key in ("arguments", "input", "action", "operation") if key in raw), {})
        return {"role": "assistant", "kind": "tool-call", "tool_calls": [call(id, name, given)]}
    thought = [{"type": "reasoning", "summary": raw.get("summary")}] if kind == "reasoning" else None
    return {"role": "assistant", "kind": short(kind), "content": thought}


def _output(output: Any) -> Any:
    return as_text(output) if isinstance(output, bool | int | float) else output


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
    role = required_role(message.role, _ROLES, "OpenAI")
    said: dict[str, Any] = {"role": role, "content": _content(message.content, text_only=role != "user")}
    calls = calls_of(message.tool_calls)
    if calls and role == "assistant":
        said["tool_calls"] = [call(*each) for each in calls]
        said["content"] = said["content"] or None
    if role == "tool":
        said["tool_call_id"] = message.tool_call_id
    elif message.name:
        said["name"] = message.name
    return said


def _content(content: Any, *, text_only: bool) -> Any:
    if content is None or isinstance(content, str):
        return content or ""
    parts = content if isinstance(content, list) else [content]
    shown = [_part(part) for part in parts if not is_ours(part)]
    if all(part["type"] == "text" for part in shown) or text_only:
        return "\n".join(part["text"] if part["type"] == "text" else as_text(part) for part in shown)
    return shown


def _part(part: Any) -> dict[str, Any]:
    if (text := text_part(part)) is not None:
        return {"type": "text", "text": text}
    if (address := picture(part)) is not None:
        return {"type": "image_url", "image_url": {"url": address}}
    if isinstance(part, dict) and part.get("type") in ("input_audio", "file"):
        return part
    return {"type": "text", "text": as_text(part)}
