"""Pydantic AI's messages as the storage's: each whole in `raw`, and what it says in the fields that everybody reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    SystemPromptPart,
    TextContent,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)

from ... import codec
from ...ids import composite_id
from ...records import Message, TokenUsage

T = TypeVar("T")

#: The format of what is in `raw`.
FORMAT = "pydantic_ai"
#: The parts of a request that answer a call.
_OF_TOOLS = ("tool-return", "retry-prompt")


def raw_of(messages: Sequence[ModelMessage]) -> list[Any]:
    """Messages as the JSON that `messages_of` reads."""
    raw: list[Any] = codec.storable(ModelMessagesTypeAdapter.dump_python(list(messages), mode="json"), limit=_ALL).value
    return raw


#: What keeps single items refuses those that are too large itself: a message that was shortened can't be read.
_ALL = codec.MAX_STATE_BYTES


def messages_of(raw: Iterable[Any]) -> list[ModelMessage]:
    """The messages that `raw_of` wrote."""
    return ModelMessagesTypeAdapter.validate_python(list(raw))


def text_of(adapter: TypeAdapter[T], value: T) -> str:
    """What any of Pydantic AI's own records says, as text that every store keeps as it is, whatever is in there."""
    return json.dumps(adapter.dump_python(value, mode="json"))


def of_text(adapter: TypeAdapter[T], text: str) -> T:
    """What `text_of` wrote."""
    return adapter.validate_python(json.loads(text))


def records_of(id: str, parent_id: str, session_id: str, message: ModelMessage, raw: Any) -> list[Message]:
    """A message as records: several where it holds what several roles said, as the results of two calls.

    Args:
        id: of the first of them, which has `raw`; those of the others are made of it.
        parent_id: of the message before it.
    """
    records = list(_response(message)) if isinstance(message, ModelResponse) else list(_request(message))
    for number, record in enumerate(records):
        record.id = id if not number else composite_id(id, str(number))
        record.parent_id = parent_id if not number else records[number - 1].id
        record.session_id = session_id
        record.format = FORMAT
        record.created_at = record.created_at or _aware(message.timestamp)
    records[0].raw = raw
    return records


def _response(message: ModelResponse) -> Iterator[Message]:
    calls = [
        {
            "id": _call_id(part.tool_call_id),
            "type": "function",
            "function": {"name": codec.scrub(part.tool_name), "arguments": codec.scrub(part.args_as_json_str())},
        }
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    texts = [part.content for part in message.parts if isinstance(part, TextPart)]
    used = message.usage
    yield Message(
        role="assistant",
        kind="tool-call" if calls and not texts else "",
        content=codec.scrub("".join(texts)) if texts else None,
        tool_calls=calls or None,
        model=_short(message.model_name or ""),
        usage=TokenUsage(
            prompt_tokens=used.input_tokens,
            completion_tokens=used.output_tokens,
            total_tokens=used.total_tokens,
            cache_read_tokens=used.cache_read_tokens,
            cache_creation_tokens=used.cache_write_tokens,
        )
        if used.has_values()
        else None,
    )


def _request(message: ModelRequest) -> Iterator[Message]:
    for part in message.parts:
        time = _aware(getattr(part, "timestamp", None))
        if part.part_kind in _OF_TOOLS and (name := getattr(part, "tool_name", None)):
            call_id = _call_id(getattr(part, "tool_call_id", ""))
            yield Message(role="tool", content=_said(part), name=_short(name), tool_call_id=call_id, created_at=time)
        else:
            role = "system" if isinstance(part, SystemPromptPart) else "user"
            yield Message(role=role, content=_said(part), created_at=time)
    if not message.parts:
        yield Message(role="user")


def _said(part: ModelRequestPart) -> Any:
    # Kinds of parts come and go: a retry is what its own method says, whichever part it is of.
    for method in ("model_response_str", "model_response"):
        if hasattr(part, method):
            return codec.scrub(str(getattr(part, method)()))
    content = getattr(part, "content", None)
    if isinstance(content, str):
        return codec.scrub(content)
    if isinstance(part, UserPromptPart):
        return [_content(item) for item in part.content]
    return {"type": part.part_kind}


def _content(item: Any) -> dict[str, Any]:
    """A part of what a user said as the providers have it; files are in `raw` alone, as they are large."""
    if isinstance(item, str | TextContent):
        return {"type": "text", "text": codec.scrub(item if isinstance(item, str) else item.content)}
    kind = str(getattr(item, "kind", "file"))
    if kind == "image-url":
        return {"type": "image_url", "image_url": {"url": codec.scrub(item.url)}}
    return {"type": kind, **({"media_type": item.media_type} if kind == "binary" else {})}


def _call_id(id: str) -> str:
    """What a call and its result have in common, as an id that a store takes."""
    return composite_id(id) if len(id) > codec.MAX_INDEXED else codec.scrub(id)


def _short(text: str) -> str:
    scrubbed: str = codec.scrub(text)
    return scrubbed[: codec.MAX_INDEXED]


def _aware(time: datetime | None) -> datetime | None:
    return time if time is not None and time.utcoffset() is not None else None
