from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.stores import ByteStore

from ... import storage as default_storage
from ...async_threads import from_any_thread
from ...async_variants import hop
from ...facade import Storage
from ...records import MemoryRecord

#: The kind of the records, which tells them from an agent's memory.
_KIND = "langchain"
#: How many records are read at once.
_PAGE = 500


class ChronosByteStore(ByteStore):
    """Bytes under keys, in memory records, so that many are read and written in one statement.

    A value has at most 3 MiB, as a record's JSON, in which they stand in Base64, has 4; larger files are artifacts.

    Args:
        namespace: whose keys these are: the records' `agent_id`.
        storage: where they are kept; `chronos_storage.storage` unless given.
        user_id: whose they are, where they are one user's.
    """

    def __init__(self, namespace: str, *, storage: Storage | None = None, user_id: str = "") -> None:
        self._storage: Storage = storage or default_storage
        self._scope: dict[str, Any] = {"agent_id": namespace, "kind": _KIND, "user_id": user_id, "session_id": ""}

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        return from_any_thread(self._storage, self._get, keys)

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        return await hop(self._storage, self._get, keys)

    def _get(self, keys: Sequence[str]) -> list[bytes | None]:
        found = {record.key: b64decode(record.value) for record in self._records(keys)}
        return [found.get(key) for key in keys]

    def _records(self, keys: Sequence[str]) -> list[MemoryRecord]:
        wanted = list(dict.fromkeys(keys))
        return [
            record
            for start in range(0, len(wanted), _PAGE)
            for record in self._storage.list_memory(**self._scope, keys=wanted[start : start + _PAGE])
        ]

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        from_any_thread(self._storage, self._set, key_value_pairs)

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        await hop(self._storage, self._set, key_value_pairs)

    def _set(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        self._storage.put_memories(
            MemoryRecord(**self._scope, key=key, value=b64encode(value).decode()) for key, value in pairs
        )

    def mdelete(self, keys: Sequence[str]) -> None:
        from_any_thread(self._storage, self._delete, keys)

    async def amdelete(self, keys: Sequence[str]) -> None:
        await hop(self._storage, self._delete, keys)

    def _delete(self, keys: Sequence[str]) -> None:
        for record in self._records(keys):
            self._storage.delete_memory(record.id)

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """The keys, page by page, the most recently written first."""
        last: MemoryRecord | None = None
        while page := from_any_thread(self._storage, self._page, prefix, last):
            yield from (record.key for record in page)
            last = page[-1]

    def _page(self, prefix: str | None, after: MemoryRecord | None) -> list[MemoryRecord]:
        return self._storage.list_memory(**self._scope, prefix=prefix, limit=_PAGE, after=after)

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        async for record in self._storage.aiter_memory(**self._scope, prefix=prefix):
            yield record.key
