from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from ... import storage as default_storage
from ...async_threads import from_any_thread
from ...async_variants import hop
from ...exceptions import NotFound
from ...facade import Storage
from ...records import Fence, Session
from ..own_items import own_items
from ..session_users import is_owned
from .messages import FORMAT, from_raw, from_record, to_record


class ChronosChatMessageHistory(BaseChatMessageHistory):
    """A session's messages as LangChain's chat history.

    Each message stands in `Message.raw` exactly as LangChain writes it out, beside the role, the content, the tool
    calls and the usage that the admin, the API and other frameworks read. What another writer put into the session, or
    another framework, is read as a message of LangChain's.

    Args:
        session_id: the session; it is made with the first message where it is not there yet.
        storage: where it is kept; `chronos_storage.storage` unless given.
        fence: what `Storage.acquire` gave, or its token: once another writer has acquired the session, adding messages
            and clearing them raises `StaleWriter`.
        session_fields: further fields of a session that is new, such as ``user_id="ada"``. Where a user is given, a
            session of another one is refused, with `AlreadyExists`.
    """

    def __init__(
        self,
        session_id: str,
        *,
        storage: Storage | None = None,
        fence: Fence | int | None = None,
        **session_fields: Any,
    ) -> None:
        super().__init__()
        self._session = Session(id=session_id, **session_fields)
        self._storage: Storage = storage or default_storage
        self._fence = fence
        self._is_owned = False

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # an attribute there "or a property"
        return from_any_thread(self._storage, self._messages)

    async def aget_messages(self) -> list[BaseMessage]:
        return await hop(self._storage, self._messages)

    def _messages(self) -> list[BaseMessage]:
        self._check()
        own = own_items(self._storage, self._session.id, FORMAT, from_raw)
        if own is not None:
            return [message for _, message in reversed(own)]
        return [each for message in self._storage.list_messages(self._session.id) for each in from_record(message)]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none."""
        from_any_thread(self._storage, self._add, messages)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        await hop(self._storage, self._add, messages)

    def _add(self, messages: Sequence[BaseMessage]) -> None:
        self._check()
        given = [to_record(message, self._session.id) for message in messages]
        try:
            self._storage.add_messages(given, fence=self._fence)
        except NotFound:
            # Refused where it is soft-deleted: what comes late does not bring a conversation back.
            self._storage.ensure_session(self._session)
            self._storage.add_messages(given, fence=self._fence)

    def clear(self) -> None:
        """Remove all messages; the session stays, and numbers go on."""
        from_any_thread(self._storage, self._clear)

    async def aclear(self) -> None:
        await hop(self._storage, self._clear)

    def _clear(self) -> None:
        self._check()
        self._storage.delete_messages(self._session.id, fence=self._fence)

    def _check(self) -> None:
        self._is_owned = self._is_owned or is_owned(self._storage, self._session)
