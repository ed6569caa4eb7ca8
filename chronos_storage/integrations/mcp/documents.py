"""The documents of a collection that an owner may see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from asgiref.sync import sync_to_async

from ...vectors.base import VectorStore
from .bounds import bounded

#: How many hits are looked through at first, and at most.
_FIRST, _MOST = 100, 6_400


class Documents:
    def __init__(
        self, vectors: VectorStore, collection: str, user_id: str, embed: Callable[[str], Sequence[float]] | None
    ) -> None:
        self._vectors, self._collection, self._user_id, self._embed = vectors, collection, user_id, embed

    async def search(self, words: str, limit: int) -> dict[str, Any]:
        """The owner's best hits and everybody's; others' are passed over."""
        # In a thread, as it may take its time, and use Django's database and cache.
        query = None if self._embed is None else await sync_to_async(self._embed)(words)
        wanted, found = _FIRST, list[dict[str, Any]]()
        while True:  # the hits of others stand between, however many
            hits = await self._vectors.asearch(self._collection, query, wanted, text=words)
            found = [
                {"id": hit.id, "score": hit.score, "text": hit.content}
                for hit in hits
                if hit.user_id in ("", self._user_id)
            ]
            if len(found) >= limit or len(hits) < wanted or wanted >= _MOST:
                break
            wanted *= 4
        return {"documents": bounded(found[:limit], "text")}
