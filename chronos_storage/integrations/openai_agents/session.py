from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from agents import RunContextWrapper, SessionSettings, TResponseInputItem
from agents.memory.session_settings import coerce_session_settings
from agents.usage import RequestUsage

from ... import storage as default_storage
from ...async_variants import hop
from ...exceptions import NotFound
from ...facade import Storage
from ...ids import composite_id
from ...records import Fence, Message, Session, TokenUsage
from ..own_items import own_items
from ..session_users import is_owned
from .items import FORMAT, items_of


class ChronosSession:
    """A session whose messages are the history of the SDK's agents, as its protocol `agents.Session` says.

    Each item stands in `Message.raw` as the SDK gave it, beside the role, the content, the tool calls and the usage
    that the admin, the API and other frameworks read. What another writer put into the session, or another framework,
    is read as the SDK's items.

    Args:
        session_id: the session; it is made with the first item where it is not there yet. One that no store takes as an
            id, as it is too long, becomes another; see `id`.
        storage: where it is kept; `chronos_storage.storage` unless given.
        session_settings: the SDK's own, such as how many items are given to the model.
        fence: what `Storage.acquire` gave, or its token: once another writer has acquired the session, changing it
            raises `StaleWriter`.
        session_fields: further fields of a session that is new, such as ``user_id="ada"``. Where a user is given, a
            session of another one is refused, with `AlreadyExists`.

    Attributes:
        id: the id of the session in the storage: `session_id`, in which ``%`` and ``~`` are escaped; of one longer than
            255 characters its beginning and a hash.
    """

    def __init__(
        self,
        session_id: str,
        *,
        storage: Storage | None = None,
        session_settings: SessionSettings | dict[str, Any] | None = None,
        fence: Fence | int | None = None,
        **session_fields: Any,
    ) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = coerce_session_settings(session_settings or {})
        self.id = composite_id(session_id)
        self._session = Session(id=self.id, **session_fields)
        self._storage: Storage = storage or default_storage
        self._fence = fence
        self._is_owned = False
        #: How many requests' usage of each run stands with a message already.
        self._told: WeakKeyDictionary[RunContextWrapper[Any], int] = WeakKeyDictionary()

    async def get_items(
        self, limit: int | None = None, wrapper: RunContextWrapper[Any] | None = None
    ) -> list[TResponseInputItem]:
        """The items in their order; with a limit, or the settings', the latest so many."""
        if limit is None and self.session_settings:
            limit = self.session_settings.limit
        if limit is not None and limit <= 0:
            return []
        return await hop(self._storage, self._items, limit)

    def _items(self, limit: int | None) -> list[TResponseInputItem]:
        self._check()
        own: list[tuple[int, TResponseInputItem]] | None = own_items(
            self._storage, self.id, FORMAT, lambda raw: raw, limit=limit
        )
        if own is not None:
            return [item for _, item in reversed(own)]
        items = [item for message in reversed(self._latest(limit)) for item in items_of(message)]
        return items if limit is None else items[-limit:]

    def _latest(self, limit: int | None) -> list[Message]:
        return self._storage.list_messages(self.id, order="desc", limit=limit)

    async def add_items(self, items: list[TResponseInputItem], wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Append items, all or none, and no other writer's between them."""
        messages = [Message.from_openai(item, session_id=self.id, format=FORMAT) for item in items]
        requests = self._untold(wrapper)
        answer = next((message for message in reversed(messages) if message.role == "assistant"), None)
        if requests and answer:
            answer.usage = _total(requests)
        await hop(self._storage, self._add, messages)
        if wrapper and requests and answer:
            self._told[wrapper] = self._told.get(wrapper, 0) + len(requests)

    def _add(self, messages: list[Message]) -> None:
        self._check()
        try:
            self._storage.add_messages(messages, fence=self._fence)
        except NotFound:
            # Refused where it is soft-deleted: what comes late does not bring a conversation back.
            self._storage.ensure_session(self._session)
            self._storage.add_messages(messages, fence=self._fence)

    def _untold(self, wrapper: RunContextWrapper[Any] | None) -> list[RequestUsage]:
        """What the run's requests since the last answer that was stored have used."""
        return wrapper.usage.request_usage_entries[self._told.get(wrapper, 0) :] if wrapper else []

    async def pop_item(self, wrapper: RunContextWrapper[Any] | None = None) -> TResponseInputItem | None:
        """Remove the latest item and return it; None where there is none. No two callers get the same."""
        return await hop(self._storage, self._pop)

    def _pop(self) -> TResponseInputItem | None:
        self._check()
        while found := self._latest(1):
            removed = self._storage.delete_message(found[0].id, session_id=self.id, fence=self._fence)
            if removed and (items := items_of(found[0])):
                return items[-1]
        return None

    async def clear_session(self, wrapper: RunContextWrapper[Any] | None = None) -> None:
        """Remove all items; the session stays."""
        await hop(self._storage, self._clear)

    def _clear(self) -> None:
        self._check()
        self._storage.delete_messages(self.id, fence=self._fence)

    def _check(self) -> None:
        self._is_owned = self._is_owned or is_owned(self._storage, self._session)


def _total(requests: list[RequestUsage]) -> TokenUsage:
    details = [request.input_tokens_details for request in requests]
    return TokenUsage(
        prompt_tokens=sum(request.input_tokens for request in requests),
        completion_tokens=sum(request.output_tokens for request in requests),
        total_tokens=sum(request.total_tokens for request in requests),
        cache_read_tokens=sum(detail.cached_tokens for detail in details),
        cache_creation_tokens=sum(detail.cache_write_tokens for detail in details),
    )
