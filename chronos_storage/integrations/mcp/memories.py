"""One owner's memory."""

from __future__ import annotations

from typing import Any

from ...facade import Storage
from ...records import MemoryRecord
from .bounds import Unknown, bounded, shown

#: What facts are. Memory of other kinds is what agents and frameworks work with, and none of the model's to remove.
_KIND = "long_term"
#: How many of the latest facts a search looks through.
_LOOKED_THROUGH = 2_000


class Memories:
    def __init__(self, storage: Storage, agent_id: str, user_id: str) -> None:
        self._storage, self._agent_id, self._user_id = storage, agent_id, user_id

    async def put(self, key: str, value: str) -> dict[str, Any]:
        record = MemoryRecord(agent_id=self._agent_id, user_id=self._user_id, kind=_KIND, key=key, value=value)
        await self._storage.aput_memory(record)
        return {"remembered": key}

    async def get(self, key: str) -> dict[str, Any]:
        if (found := await self._find(key)) is None:
            raise Unknown(f"nothing is kept under {key!r}")
        return {"key": key, "value": shown(found.value), "updated_at": str(found.updated_at)}

    async def search(self, words: str | None, limit: int) -> dict[str, Any]:
        """What has a text in its key or value, the latest first."""
        wanted = (words or "").casefold()
        most = _LOOKED_THROUGH if words else limit
        found = await self._storage.alist_memory(self._agent_id, _KIND, user_id=self._user_id, limit=most)
        facts = [{"key": each.key, "value": each.value, "updated_at": str(each.updated_at)} for each in found]
        matching = [fact for fact in facts if wanted in f"{fact['key']}\n{_text(fact['value'])}".casefold()]
        return {"facts": bounded(matching[:limit], "value")}

    async def delete(self, key: str) -> dict[str, Any]:
        removed = 0
        while (found := await self._find(key)) is not None:
            removed += await self._storage.adelete_memory(found.id)
        return {"forgotten": removed}

    async def _find(self, key: str) -> MemoryRecord | None:
        found: MemoryRecord | None = await self._storage.aget_memory(
            self._agent_id, key, kind=_KIND, user_id=self._user_id
        )
        return found


def _text(value: Any) -> str:
    return shown(value, 1_000_000)
