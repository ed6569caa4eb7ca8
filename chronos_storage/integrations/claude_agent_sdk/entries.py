"""The lines of the SDK's transcripts as messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from claude_agent_sdk import SessionStoreEntry

from ...codec import storable
from ...ids import composite_id
from ...records import Message

FORMAT = "claude_agent_sdk"


def messages_of(entries: Iterable[SessionStoreEntry], session_id: str) -> list[Message]:
    """A message for each entry, with the entry itself in `raw`; of those with the same uuid, the first."""
    messages: list[Message] = []
    seen: set[str] = set()
    reported: dict[str, Message] = {}
    for entry in entries:
        message = _message(entry, session_id)
        if message.id in seen:
            continue
        if message.id:
            seen.add(message.id)
        messages.append(message)
        # An answer has an entry for each of its blocks, each with the usage so far of all.
        if message.usage and (answer := _answer(entry)):
            if before := reported.get(answer):
                before.usage = None
            reported[answer] = message
    return messages


def _message(entry: SessionStoreEntry, session_id: str) -> Message:
    made = storable(entry)
    raw = made.value
    said = raw.get("message")
    if isinstance(said, dict) and isinstance(said.get("role"), str) and said["role"]:
        message = Message.from_anthropic(said)
    else:
        kind = raw["type"][:255] if isinstance(raw.get("type"), str) else ""
        content = raw.get("content")
        message = Message(
            role=kind or "system", kind=kind, content=content if isinstance(content, str | list | dict) else None
        )
    if made.changes:
        message.metadata = {**message.metadata, "changes": made.changes}
    uuid = raw.get("uuid")
    message.id = composite_id(uuid) if isinstance(uuid, str) and uuid else ""
    message.session_id, message.raw, message.format = session_id, raw, FORMAT
    return message


def _answer(entry: Any) -> str:
    """The id of the model's answer that an entry is a part of."""
    id = entry["message"].get("id")
    return id if isinstance(id, str) else ""
