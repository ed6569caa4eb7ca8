"""Searching a store by meaning: embeddings of what items say, in a collection of a vector store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from langgraph.store.base import IndexConfig, PutOp, SearchOp, ensure_embeddings, get_text_at_path, tokenize_path

from ... import codec
from ...exceptions import NotFound
from ...ids import composite_id
from ...records import Embedding
from ...vectors.base import VectorStore
from ...vectors.handler import vector_store as default_store
from .lasting import user_of

#: How a filter's scalars are kept with an embedding: its search then passes over what does not match.
_SCALARS = (str, int, float, bool)


class Meaning:
    """The embeddings of a store's items, one for each text of the fields that are indexed.

    Args:
        index: as LangGraph takes it.
        vectors: where the embeddings are.
        collection: of which name; it is made with the first embedding.
    """

    def __init__(self, index: IndexConfig, vectors: VectorStore | None, collection: str) -> None:
        self._embeddings = ensure_embeddings(index["embed"])
        self._dimension = index["dims"]
        self._fields = _paths(index.get("fields") or ["$"])
        self._vectors: VectorStore = vectors or default_store
        self._collection = codec.string(collection, "collection")

    def texts(self, puts: Iterable[PutOp], queries: Iterable[str]) -> list[str]:
        """All that is to be embedded, each text once."""
        return sorted({text for op in puts for _, text in self._texts_of(op)} | set(queries))

    def embed(self, texts: Sequence[str]) -> dict[str, Sequence[float]]:
        """The vectors of texts."""
        return dict(zip(texts, self._embeddings.embed_documents(list(texts)), strict=True)) if texts else {}

    async def aembed(self, texts: Sequence[str]) -> dict[str, Sequence[float]]:
        """The asynchronous variant of `embed`."""
        return dict(zip(texts, await self._embeddings.aembed_documents(list(texts)), strict=True)) if texts else {}

    def replace(self, puts: Mapping[str, PutOp], vectors: Mapping[str, Sequence[float]]) -> None:
        """Have the items at these places found by what they say now, in the caller's transaction."""
        self.remove(list(puts))
        new = [
            Embedding(
                id=composite_id(place, path),
                vector=vectors[text],
                user_id=user_of(op.namespace),
                metadata={
                    "place": place,
                    "below": [".".join(op.namespace[:depth]) for depth in range(1, len(op.namespace) + 1)],
                    "value": {name: value for name, value in (op.value or {}).items() if _is_kept(name, value)},
                },
            )
            for place, op in puts.items()
            for path, text in self._texts_of(op)
        ]
        if not new:
            return
        try:
            self._vectors.upsert(self._collection, new)
        except NotFound:
            self._vectors.create_collection(self._collection, self._dimension)
            self._vectors.upsert(self._collection, new)

    def remove(self, places: Sequence[str]) -> None:
        """Have the items at these places found no more."""
        with suppress(NotFound):
            self._vectors.delete_where(self._collection, {"place": {"$in": list(places)}})

    def search(self, op: SearchOp, vector: Sequence[float], start: int, count: int) -> dict[str, float]:
        """The places of some items that are most like a vector, best first, with their scores.

        Args:
            start: how many of the best are left out.
        """
        conditions: list[dict[str, Any]] = []
        if op.namespace_prefix:
            conditions.append({"below": {"$contains": ".".join(op.namespace_prefix)}})
        for name, value in (op.filter or {}).items():
            if _is_kept(name, value):
                conditions.append({f"value.{name}": value})
        try:
            found = self._vectors.search(
                self._collection,
                vector,
                count,
                filter={"$and": conditions} if conditions else None,
                offset=start,
                group_by="place",
            )
        except NotFound:
            return {}
        return {each.metadata["place"]: each.score for each in found}

    def _texts_of(self, op: PutOp) -> Iterable[tuple[str, str]]:
        """What an item is found by: its texts, each after where it stands."""
        if op.value is None or op.index is False:
            return
        fields = self._fields if op.index is None else _paths(op.index)
        for field, path in fields:
            for number, text in enumerate(get_text_at_path(op.value, path)):
                yield f"{field} {number}", text


def _paths(fields: Iterable[str]) -> list[tuple[str, str | list[str]]]:
    """Fields, each with what leads to it; all of a value is ``$``."""
    return [(field, field if field == "$" else tokenize_path(field)) for field in fields]


def _is_kept(name: str, value: Any) -> bool:
    plain = isinstance(value, _SCALARS) and "." not in name and not name.startswith("$")
    return plain and codec.storable({name: value}, filterable=True).changes == {}
