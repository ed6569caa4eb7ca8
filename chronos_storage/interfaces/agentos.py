"""The storage adapter of AgentOS: conversations and their messages, asynchronous, times in epoch milliseconds.

A conversation is a session, and `last_activity` its last_activity_at; a message is a message. What is absent is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

from .. import codec
from ..async_variants import hop
from ..exceptions import AlreadyExists, InvalidRecord, NotFound, NotInitialized
from ..facade import Storage
from ..facade.stores import storage as default_storage
from ..records import Message, TokenUsage
from .agentos_records import (
    Conversation,
    ConversationMessage,
    conversation_message_of,
    conversation_of,
    message_of,
    session_of,
)
from .anew import begin_anew
from .exchange import MILLISECOND, from_milliseconds, spelled
from .unique import add_unique

__all__ = ["Conversation", "ConversationMessage", "StorageAdapter", "TokenUsage"]

_UPDATES: dict[str, Any] = {"user_id": "", "agent_id": "", "title": "", "metadata": {}, "last_activity": None}


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

        A deleted one of its id begins anew: without its messages, with what is given.

        Raises:
            AlreadyExists: its id is taken, or that of another user's deleted conversation.
        """
        storage, session = self._storage, session_of(conversation)
        with _named():
            try:
                return conversation_of(await storage.acreate_session(session))
            except AlreadyExists:
                anew = await begin_anew(storage, session)
                if anew is None:
                    raise
                return conversation_of(anew)

    async def get_conversation(self, conversation_id: str) -> Conversation | None:
        """The conversation, or None."""
        storage = self._storage
        with _named("id"):
            found = await storage.aget_session(conversation_id)
        return None if found is None else conversation_of(found)

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
            changes["last_activity_at"] = from_milliseconds(changes.pop("last_activity"), "last_activity")
        with _named("id"):
            return conversation_of(await storage.apatch_session(conversation_id, **changes))

    async def delete_conversation(self, conversation_id: str) -> bool:
        """Delete a conversation, its messages with it; whether it was there.

        Its session is soft-deleted: this interface shows nothing of it any more.
        """
        storage = self._storage
        with _named("id"):
            return await storage.adelete_session(conversation_id)

    async def list_conversations(
        self, user_id: str, *, limit: int | None = None, offset: int | None = None, agent_id: str | None = None
    ) -> list[Conversation]:
        """A user's conversations, the most recently active first. A limit or offset of 0 is ignored."""
        found = await self._storage.alist_sessions(
            agent_id or None,
            user_id=codec.string(user_id, "user_id"),
            order="-last_activity_at",
            limit=limit or None,
            offset=offset or 0,
        )
        return [conversation_of(session) for session in found]

    async def store_message(self, message: ConversationMessage) -> ConversationMessage:
        """Store a message, and move its conversation's last_activity to its time, unless that is earlier.

        Raises:
            NotFound: there is no such conversation.
            AlreadyExists: its id is taken, in another conversation or by other content; with the same, what is stored
                comes back.
        """
        storage = self._storage
        with _named():
            [stored] = await hop(storage, add_unique, storage, [message_of(message)])
        return conversation_message_of(stored)

    async def get_message(self, message_id: str) -> ConversationMessage | None:
        """The message, or None; the newest, should another interface have given several conversations its id."""
        found = await self._find(message_id)
        return None if found is None else conversation_message_of(found)

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
        latest = from_milliseconds(until or None, "until")
        with _named():
            if not await self._is_there(conversation_id):
                return []
            found = await storage.alist_messages(
                conversation_id,
                roles=roles or None,
                since=from_milliseconds(since or None, "since"),
                # the whole of its millisecond
                until=latest and latest + MILLISECOND - _MICROSECOND,
                order=order,
                limit=limit or None,
                offset=offset or 0,
            )
        return [conversation_message_of(message) for message in found]

    async def delete_message(self, message_id: str) -> bool:
        """Delete one message; whether it was there. The conversation's last_activity stays."""
        found = await self._find(message_id)
        if found is None:
            return False
        try:
            return await self._storage.adelete_message(found.id, session_id=found.session_id)
        except NotFound:  # with its conversation, at this moment
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

    async def _find(self, message_id: str) -> Message | None:
        """The newest message of this id that a live conversation has."""
        storage = self._storage
        with spelled({"ids": "message_id"}):
            found = (await storage.afind_messages([message_id])).get(message_id)
        return found if found is not None and await self._is_there(found.session_id) else None

    async def _is_there(self, conversation_id: str) -> bool:
        with spelled({"id": "conversation_id"}):
            return await self._storage.aget_session(conversation_id) is not None


_MICROSECOND = MILLISECOND / 1000


def _named(*names: str) -> AbstractContextManager[None]:
    return spelled({"session_id": "conversation_id"} | dict.fromkeys(names, "conversation_id"))
