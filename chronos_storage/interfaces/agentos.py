"""The storage adapter of AgentOS: conversations and their messages, asynchronous, times in epoch milliseconds.

A conversation is a session, and `last_activity` its last_activity_at; a message is a message. What is absent is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from .. import records
from ..backends.base import Storage
from ..backends.handler import storage as default_storage
from ..exceptions import InvalidRecord, NotFound, NotInitialized
from ..records import TokenUsage
from .exchange import MILLISECOND, Exchanged, milliseconds, moment, spelled

__all__ = ["Conversation", "ConversationMessage", "StorageAdapter", "TokenUsage"]

_USAGE = {
    "promptTokens": "prompt_tokens",
    "completionTokens": "completion_tokens",
    "totalTokens": "total_tokens",
    "cacheReadTokens": "cache_read_tokens",
    "cacheCreationTokens": "cache_creation_tokens",
}
_UPDATES: dict[str, Any] = {"user_id": "", "agent_id": "", "title": "", "metadata": {}, "last_activity": None}


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

    usage_names = _USAGE

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


class StorageAdapter:
    """AgentOS' fourteen methods over a storage. Call `initialize` before any other.

    Args:
        storage: by default the one that the settings call "default".
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self._given = default_storage if storage is None else storage
        self._initialized = False

    @property
    def _storage(self) -> Storage:
        if not self._initialized:
            raise NotInitialized
        return self._given

    async def initialize(self) -> None:
        """Make the storage ready for use: bring what it stores in up to date. Again, no change."""
        await self._given.amigrate()
        self._initialized = True

    async def close(self) -> None:
        """Release connections; before further calls comes `initialize` again."""
        self._initialized = False
        await self._given.aclose()

    async def create_conversation(self, conversation: Conversation) -> Conversation:
        """Store a new conversation; returns it with what the store filled in.

        Raises:
            AlreadyExists: its id is taken, be it by a deleted conversation.
        """
        storage = self._storage
        with _named():
            return _conversation(await storage.acreate_session(session_of(conversation)))

    async def get_conversation(self, conversation_id: str) -> Conversation | None:
        """The conversation, or None."""
        storage = self._storage
        with _named("id"):
            found = await storage.aget_session(conversation_id)
        return None if found is None else _conversation(found)

    async def update_conversation(self, conversation_id: str, **updates: Any) -> Conversation:
        """Write only what is named: user_id (once), agent_id, title, metadata (as a whole) or last_activity.

        None clears. An earlier last_activity than the stored one changes nothing.

        Raises:
            NotFound: there is no such conversation.
        """
        storage = self._storage
        for name in updates:
            if name not in _UPDATES:
                raise InvalidRecord(name, f"can't be updated; what can be is {', '.join(_UPDATES)}")
        changes = {name: _UPDATES[name] if value is None else value for name, value in updates.items()}
        if "last_activity" in changes:
            changes["last_activity_at"] = moment(changes.pop("last_activity"), "last_activity")
        with _named("id"):
            return _conversation(await storage.apatch_session(conversation_id, **changes))

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation, its messages with it; whether it was there.

        The session behind it is soft-deleted: this interface shows nothing of it any more.
        """
        storage = self._storage
        with _named("id"):
            return await storage.adelete_session(conversation_id)

    async def list_conversations(
        self, user_id: str, *, limit: int | None = None, offset: int | None = None, agent_id: str | None = None
    ) -> list[Conversation]:
        """A user's conversations, the most recently active first. A limit or offset of 0 is ignored."""
        found = await self._storage.alist_sessions(
            agent_id or None, user_id=user_id, order="-last_activity_at", limit=limit or None, offset=offset or 0
        )
        return [_conversation(session) for session in found]

    async def store_message(self, message: ConversationMessage) -> ConversationMessage:
        """Store a message, and move its conversation's last_activity to its time, unless that is earlier.

        Raises:
            NotFound: there is no such conversation.
            AlreadyExists: its id is taken by other content; with the same, what is stored comes back.
        """
        storage = self._storage
        with _named():
            return _message(await storage.aadd_message(message_of(message)))

    async def get_message(self, message_id: str) -> ConversationMessage | None:
        """The message, or None.

        Raises:
            AmbiguousId: several conversations have a message of this id.
        """
        found = await self._storage.aget_message(message_id)
        if found is None or not await self._is_there(found.session_id):
            return None
        return _message(found)

    async def get_messages(
        self,
        conversation_id: str,
        *,
        limit: int | None = None,
        offset: int | None = None,
        since: int | None = None,
        until: int | None = None,
        roles: Sequence[str] | None = None,
        order: Literal["asc", "desc"] = "asc",
    ) -> list[ConversationMessage]:
        """A conversation's messages in the order in which they were stored, or with "desc" the newest first.

        `since` and `until` are inclusive. A limit, offset or time of 0 and an empty list of roles are ignored.
        """
        storage = self._storage
        latest = moment(until or None, "until")
        with _named():
            if not await self._is_there(conversation_id):
                return []
            found = await storage.alist_messages(
                conversation_id,
                roles=roles or None,
                since=moment(since or None, "since"),
                # the whole of its millisecond
                until=latest and latest + MILLISECOND - _MICROSECOND,
                order=order,
                limit=limit or None,
                offset=offset or 0,
            )
        return [_message(message) for message in found]

    async def delete_message(self, message_id: str) -> bool:
        """Delete one message; whether it was there. The conversation's last_activity stays."""
        storage = self._storage
        try:
            return await storage.adelete_message(message_id)
        except NotFound:  # with its conversation
            return False

    async def delete_messages_for_conversation(self, conversation_id: str) -> int:
        """Delete a conversation's messages; how many there were."""
        storage = self._storage
        try:
            with _named():
                return await storage.adelete_messages(conversation_id)
        except NotFound:
            return 0

    async def get_message_count(self, conversation_id: str) -> int:
        """How many messages a conversation has."""
        storage = self._storage
        with _named():
            return await storage.acount_messages(conversation_id) if await self._is_there(conversation_id) else 0

    async def get_conversation_token_usage(self, conversation_id: str) -> TokenUsage:
        """The sum of what a conversation's messages used; a cache field is None unless some message reported it."""
        storage = self._storage
        with _named():
            if await self._is_there(conversation_id):
                return await storage.atoken_usage(conversation_id)
        return TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)

    async def _is_there(self, conversation_id: str) -> bool:
        with spelled({"id": "conversation_id"}):
            return await self._storage.aget_session(conversation_id) is not None


_MICROSECOND = MILLISECOND / 1000


def _named(*names: str) -> AbstractContextManager[None]:
    return spelled({"session_id": "conversation_id"} | dict.fromkeys(names, "conversation_id"))


def session_of(conversation: Conversation) -> records.Session:
    """The session that a conversation is kept as."""
    return records.Session(
        id=_required(conversation.id, "id"),
        user_id=_required(conversation.user_id, "user_id"),
        agent_id=conversation.agent_id or "",
        title=conversation.title or "",
        metadata=conversation.metadata or {},
        created_at=moment(conversation.created_at, "created_at"),
        last_activity_at=moment(conversation.last_activity, "last_activity"),
    )


def _conversation(session: records.Session) -> Conversation:
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
    return records.Message(
        id=_required(message.id, "id"),
        session_id=_required(message.conversation_id, "conversation_id"),
        role=message.role,
        content=message.content,
        created_at=moment(message.timestamp, "timestamp"),
        model=message.model or "",
        usage=message.usage,
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id or "",
        name=message.name or "",
        metadata=message.metadata or {},
    )


def _message(message: records.Message) -> ConversationMessage:
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


def _required(value: str, field: str) -> str:
    if value == "" or value is None:
        raise InvalidRecord(field, "is missing")
    return value
