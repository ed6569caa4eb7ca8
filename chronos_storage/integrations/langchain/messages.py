"""LangChain's messages as records, and records as LangChain's messages."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    ToolCall,
    convert_to_messages,
    message_to_dict,
    messages_from_dict,
)

from ... import codec
from ...codec import storable
from ...dialects.openai import chat_call, chat_messages
from ...dialects.said import Call, as_object
from ...ids import composite_id
from ...records import Message, TokenUsage

FORMAT = "langchain"
#: How many bytes of what is shown beside `raw` are kept: a record holds 7 MiB, of which `raw` may need 4.
_CONTENT, _CALLS = 2 * 1024 * 1024, 1024 * 1024
#: Whose role LangChain calls otherwise.
_ROLES = {"human": "user", "ai": "assistant"}


def to_record(message: BaseMessage, session_id: str) -> Message:
    """A message as a record, with the item itself in `raw`."""
    raw = storable(message_to_dict(message)).value
    data = raw["data"]
    ai = message if isinstance(message, AIMessage) else None
    return Message(
        session_id=session_id,
        role=_short(_role(message)) or "unknown",
        content=storable(data["content"], limit=_CONTENT).value,
        name=_short(data.get("name")),
        model=_model(data.get("response_metadata")),
        tool_calls=storable(_calls(data), limit=_CALLS).value if ai else None,
        tool_call_id=_short(data.get("tool_call_id")),
        usage=_usage(ai) if ai else None,
        raw=raw,
        format=FORMAT,
    )


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    name = message.type.removesuffix("MessageChunk").lower()
    return _ROLES.get(name, name)


def _model(response: Any) -> str:
    """The model that answered, where the integration says so; they agree on no name for it."""
    named = (response or {}).get("model_name") or (response or {}).get("model")
    return _short(named)


def _short(text: Any) -> str:
    """A string that is looked up; `raw` has the whole of one that is longer."""
    return storable(text).value[: codec.MAX_INDEXED] if isinstance(text, str) else ""


def _calls(data: dict[str, Any]) -> list[Any] | None:
    """The calls as most providers have them: their arguments are text, whether it is JSON or not."""
    calls = [*data["tool_calls"], *data["invalid_tool_calls"]]
    return [chat_call(Call(call["id"], call["name"], call["args"])) for call in calls] or None


def _usage(message: AIMessage) -> TokenUsage | None:
    if not (usage := message.usage_metadata):
        return None
    details = usage.get("input_token_details", {})
    return TokenUsage(
        prompt_tokens=_count(usage["input_tokens"]),
        completion_tokens=_count(usage["output_tokens"]),
        total_tokens=_count(usage["total_tokens"]),
        cache_read_tokens=_count(details.get("cache_read")),
        cache_creation_tokens=_count(details.get("cache_creation")),
    )


def _count(given: Any) -> int | None:
    """A count of tokens, where it is one; `raw` has whatever it is."""
    return given if isinstance(given, int) and 0 <= given <= codec.MAX_TOKENS else None


def from_raw(raw: Any) -> BaseMessage:
    """LangChain's own item.

    Raises:
        ValueError: it is of a class that LangChain doesn't know, as somebody's own.
    """
    return messages_from_dict([raw])[0]


def from_record(record: Message) -> list[BaseMessage]:
    """A record as messages: LangChain's own item, or what another writer's says as LangChain has it.

    That is none where it says nothing, and several where it holds the results of several calls.
    """
    if record.format == FORMAT:
        with suppress(ValueError):  # which is read like another writer's then
            return [from_raw(record.raw)]
    said = chat_messages(record)
    ids = [record.id, *(composite_id(record.id, str(number)) for number in range(1, len(said)))]
    return [_message(chat | {"id": id}) for id, chat in zip(ids, said, strict=False)]


def _message(chat: dict[str, Any]) -> BaseMessage:
    content = chat["content"] or ""
    if chat["role"] != "assistant":
        return convert_to_messages([chat | {"content": content}])[0]
    calls = [
        ToolCall(
            type="tool_call",
            id=call["id"],
            name=call["function"]["name"],
            args=as_object(call["function"]["arguments"]),
        )
        for call in chat.get("tool_calls", ())
    ]
    return AIMessage(content, id=chat["id"], name=chat.get("name"), tool_calls=calls)
