from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from google.adk.events.event import Event
from google.adk.memory import BaseMemoryService
from google.adk.memory.base_memory_service import SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import Session
from google.genai import types

from ... import storage as default_storage
from ...async_variants import hop
from ...codec import storable
from ...facade import Storage
from ...ids import composite_id, new_id
from ...records import MemoryRecord

KIND = "google_adk_memory"
_KEYS_PER_QUERY = 500
_WORD = re.compile(r"\w+")


class ChronosMemoryService(BaseMemoryService):
    """What an app remembers of its users: the events of their sessions, and entries of its own.

    A search finds the entries that have most of the query's words, whatever their case.

    Args:
        storage: where they are kept; `chronos_storage.storage` unless given.
        limit: how many a search gives, at most.
    """

    def __init__(self, storage: Storage | None = None, *, limit: int = 10) -> None:
        self._storage: Storage = storage or default_storage
        self._limit = limit

    async def add_session_to_memory(self, session: Session) -> None:
        await self.add_events_to_memory(
            app_name=session.app_name, user_id=session.user_id, events=session.events, session_id=session.id
        )

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        entries = [
            MemoryEntry(
                id=event.id,
                content=event.content,
                author=event.author,
                timestamp=datetime.fromtimestamp(event.timestamp, UTC).isoformat(),
                custom_metadata=dict(custom_metadata or {}),
            )
            for event in events
            if event.content and event.content.parts
        ]
        await hop(self._storage, self._add, app_name, user_id, entries)

    async def add_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        memories: Sequence[MemoryEntry],
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        entries = [
            entry.model_copy(
                update={
                    "id": entry.id or new_id(),
                    "custom_metadata": {**(custom_metadata or {}), **entry.custom_metadata},
                }
            )
            for entry in memories
        ]
        await hop(self._storage, self._add, app_name, user_id, entries)

    def _add(self, app_name: str, user_id: str, entries: list[MemoryEntry]) -> None:
        given = {_key(entry.id): entry for entry in entries}
        keys = list(given)
        gone = {
            record.key
            for start in range(0, len(keys), _KEYS_PER_QUERY)
            for record in self._storage.list_memory(
                app_name, KIND, user_id=user_id, session_id="", keys=keys[start : start + _KEYS_PER_QUERY]
            )
            if record.value is None
        }
        self._storage.put_memories(
            MemoryRecord(
                agent_id=app_name,
                user_id=user_id,
                kind=KIND,
                key=key,
                value=storable(entry.model_dump(mode="json", exclude_none=True)).value,
            )
            for key, entry in given.items()
            if key not in gone
        )

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        return SearchMemoryResponse(memories=await hop(self._storage, self._search, app_name, user_id, query))

    def _search(self, app_name: str, user_id: str, query: str) -> list[MemoryEntry]:
        wanted = _words(query)
        scored = []
        for record in self._storage.iter_memory(app_name, KIND, user_id=user_id, session_id=""):
            if record.value is None:
                continue
            entry = MemoryEntry.model_validate(record.value)
            text = _text(entry.content)
            words = _words(text)
            # A language without spaces has no words to compare.
            if score := sum(word in words or (not word.isascii() and word in text) for word in wanted):
                scored.append((score, entry.timestamp or "", record.id, entry))
        best = sorted(scored, key=lambda one: one[:3], reverse=True)[: self._limit]
        return [entry for *_, entry in best]

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        """Forget an entry; adding its session again does not bring it back."""
        if memory_id:
            gone = MemoryRecord(agent_id=app_name, user_id=user_id, kind=KIND, key=_key(memory_id), value=None)
            await self._storage.aput_memory(gone)


def _key(id: str | None) -> str:
    return composite_id("entry", id or "")


def _text(content: types.Content) -> str:
    text = " ".join(part.text for part in content.parts or [] if part.text)
    return unicodedata.normalize("NFC", text).lower()


def _words(text: str) -> set[str]:
    """The words of a text, those in Latin letters also where others stand beside them without a space."""
    found = set(_WORD.findall(unicodedata.normalize("NFC", text).lower()))
    return found | {part for word in found if not word.isascii() for part in re.findall(r"[a-z0-9_]+", word)}
