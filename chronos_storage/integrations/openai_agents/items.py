"""Messages as the items of the SDK, which are those of OpenAI's Responses."""

from __future__ import annotations

from typing import Any

from agents import TResponseInputItem

from ...dialects.openai import chat_messages
from ...records import Message

FORMAT = "openai_agents"


def items_of(message: Message) -> list[TResponseInputItem]:
    """The SDK's own item, or those that say what another writer's message does: words, calls and results."""
    if message.format == FORMAT:
        return [message.raw]
    return [item for chat in chat_messages(message) for item in _items(chat)]


def _items(chat: dict[str, Any]) -> list[Any]:
    content = chat["content"]
    if isinstance(content, list):
        # But for a user's, all parts are texts.
        content = list(map(_part, content)) if chat["role"] == "user" else "\n".join(part["text"] for part in content)
    if chat["role"] == "tool":
        return [{"type": "function_call_output", "call_id": chat["tool_call_id"], "output": content}]
    said: list[Any] = [{"role": chat["role"], "content": content}] if content else []
    return said + [
        {"type": "function_call", "call_id": call["id"], **call["function"]} for call in chat.get("tool_calls", ())
    ]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    match part:
        case {"type": "image_url", "image_url": {"url": url}}:
            return {"type": "input_image", "image_url": url, "detail": "auto"}
        case {"type": "text", "text": text}:
            return {"type": "input_text", "text": text}
        case {"type": "file", "file": dict(file)}:
            return {"type": "input_file", **file}
    return part
