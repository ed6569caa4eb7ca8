"""AgentOS' records, and the records of the storage that they are kept as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from .. import records
from ..records import TokenUsage
from .exchange import Exchanged, from_milliseconds, milliseconds, required

_USAGE = {
    "promptTokens": "prompt_tokens",
    "completionTokens": "completion_tokens",
    "totalTokens": "total_tokens",
    "cacheReadTokens": "cache_read_tokens",
    "cacheCreationTokens": "cache_creation_tokens",
}


@dataclass(slots=True, kw_only=True)
class Conversation(Exchanged):
    """A user's conversation. Times that are not given are now."""

    id: str
    user_id: str
    agent_id: str | None = None
    created_at: int | None = None
    last_activity: int | None = None
    title: str | None = None
    metadata: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class ConversationMessage(Exchanged):
    """A message of a conversation. A time that is not given is now.

    Attributes:
        usage: None where the model reported nothing; in it, None is "not reported", which is not 0.
    """

    usage_names: ClassVar[Mapping[str, str]] = _USAGE

    id: str
    conversation_id: str
    role: str
    content: Any
    timestamp: int | None = None
    model: str | None = None
    usage: TokenUsage | None = None
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None


def session_of(conversation: Conversation) -> records.Session:
    """The session that a conversation is kept as."""
    conversation = Conversation.of(conversation, "conversation")
    return records.Session(
        id=required(conversation.id, "id"),
        user_id=required(conversation.user_id, "user_id"),
        agent_id=conversation.agent_id or "",
        title=conversation.title or "",
        metadata=conversation.metadata or {},
        created_at=from_milliseconds(conversation.created_at, "created_at"),
        last_activity_at=from_milliseconds(conversation.last_activity, "last_activity"),
    )


def conversation_of(session: records.Session) -> Conversation:
    """AgentOS' conversation that a session is."""
    return Conversation(
        id=session.id,
        user_id=session.user_id,
        agent_id=session.agent_id or None,
        created_at=milliseconds(session.created_at),
        last_activity=milliseconds(session.last_activity_at),
        title=session.title or None,
        metadata=session.metadata or None,
    )


def message_of(message: ConversationMessage) -> records.Message:
    """The message that a conversation's message is kept as."""
    message = ConversationMessage.of(message, "message")
    return records.Message(
        id=required(message.id, "id"),
        session_id=required(message.conversation_id, "conversation_id"),
        role=message.role,
        content=message.content,
        created_at=from_milliseconds(message.timestamp, "timestamp"),
        model=message.model or "",
        usage=message.usage,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id or "",
        name=message.name or "",
        metadata=message.metadata or {},
    )


def conversation_message_of(message: records.Message) -> ConversationMessage:
    """AgentOS' message that a message of the storage is."""
    return ConversationMessage(
        id=message.id,
        conversation_id=message.session_id,
        role=message.role,
        content=message.content,
        timestamp=milliseconds(message.created_at),
        model=message.model or None,
        usage=message.usage,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id or None,
        name=message.name or None,
        metadata=message.metadata or None,
    )
