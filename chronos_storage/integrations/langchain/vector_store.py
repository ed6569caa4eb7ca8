from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self, TypeVar

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from ... import records
from ... import vector_store as default_store
from ...async_threads import from_any_thread
from ...async_variants import hop
from ...exceptions import NotFound
from ...vectors.base import Metric
from ...vectors.base import VectorStore as Store

Scored = list[tuple[Document, float]]
Filter = dict[str, Any] | None
T = TypeVar("T")


class ChronosVectorStore(VectorStore):
    """A collection of a vector store as LangChain's vector store, whichever engine keeps it.

    Every search takes ``filter``, in the grammar of `chronos_storage.filters`, which never makes it return fewer than
    `k` where `k` match, and ``text``: words for which the contents are searched too, both ranks fused. Scores are
    similarities, higher is better.

    Args:
        embedding: what makes vectors of texts.
        collection: the collection; it is made with the first document, of that one's dimension.
        store: the store; `chronos_storage.vector_store` unless given.
        metric: how the vectors of a collection that is new are compared.
    """

    def __init__(
        self, embedding: Embeddings, collection: str, *, store: Store | None = None, metric: Metric = "cosine"
    ) -> None:
        self._embedding, self._collection, self._metric = embedding, collection, metric
        self._store: Store = store or default_store

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    # Writing

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,  # of which `add_documents` leaves some None
        **kwargs: Any,
    ) -> list[str]:
        """Embed texts and store them, all or none, each over what its id had; returns their ids."""
        given = list(texts)
        return from_any_thread(self._store, self._add, given, self._embedding.embed_documents(given), metadatas, ids)

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        given = list(texts)
        vectors = await self._embedding.aembed_documents(given)
        return await hop(self._store, self._add, given, vectors, metadatas, ids)

    def _add(
        self,
        texts: list[str],
        vectors: list[list[float]],
        metadatas: list[dict[str, Any]] | None,
        ids: Sequence[str | None] | None,
    ) -> list[str]:
        embeddings = [
            records.Embedding(id=id or "", vector=vector, content=text, metadata=metadata or {})
            for id, vector, text, metadata in zip(
                ids or [None] * len(texts), vectors, texts, metadatas or [{}] * len(texts), strict=True
            )
        ]
        if not embeddings:
            return []
        try:
            stored = self._store.upsert(self._collection, embeddings)
        except NotFound:
            self._store.create_collection(self._collection, len(vectors[0]), metric=self._metric)
            stored = self._store.upsert(self._collection, embeddings)
        return [embedding.id for embedding in stored]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Remove the documents with these ids, all without; those that aren't there are passed over."""
        return from_any_thread(self._store, self._delete, ids)

    async def adelete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        return await hop(self._store, self._delete, ids)

    def _delete(self, ids: list[str] | None) -> bool:
        def remove() -> int:
            if ids is None:
                return self._store.delete_where(self._collection, {})
            return self._store.delete(self._collection, ids)

        self._unless_missing(remove, 0)
        return True

    # Reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents with these ids, in their order; those that aren't there are left out."""
        return from_any_thread(self._store, self._get, ids)

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        return await hop(self._store, self._get, ids)

    def _get(self, ids: Sequence[str]) -> list[Document]:
        found: list[records.Embedding] = self._unless_missing(lambda: self._store.get_many(self._collection, ids), [])
        documents = {embedding.id: _document(embedding) for embedding in found}
        return [documents[id] for id in dict.fromkeys(ids) if id in documents]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return _documents(self.similarity_search_with_score(query, k, **kwargs))

    async def asimilarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        return _documents(await self.asimilarity_search_with_score(query, k, **kwargs))

    def similarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Scored:
        """The documents nearest to a text and their similarities, the best first."""
        return self._scored(self._embedding.embed_query(query), k, **kwargs)

    async def asimilarity_search_with_score(self, query: str, k: int = 4, **kwargs: Any) -> Scored:
        return await self._ascored(await self._embedding.aembed_query(query), k, **kwargs)

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return _documents(self._scored(embedding, k, **kwargs))

    async def asimilarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        return _documents(await self._ascored(embedding, k, **kwargs))

    def _scored(self, vector: list[float], k: int, **kwargs: Any) -> Scored:
        return _pairs(from_any_thread(self._store, self._search, vector, k, **kwargs))

    async def _ascored(self, vector: list[float], k: int, **kwargs: Any) -> Scored:
        return _pairs(await hop(self._store, self._search, vector, k, **kwargs))

    def _search(
        self,
        vector: list[float],
        k: int,
        *,
        filter: Filter = None,  # noqa: A002  (as LangChain's stores call it)
        text: str | None = None,
        include_vectors: bool = False,
    ) -> list[records.SearchResult]:
        return self._unless_missing(
            lambda: self._store.search(
                self._collection, vector, k, filter=filter, text=text, include_vectors=include_vectors
            ),
            [],
        )

    def _unless_missing(self, call: Callable[[], T], otherwise: T) -> T:
        """What a call returns; a collection that was not made yet is an empty one."""
        try:
            return call()
        except NotFound:
            return otherwise

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    async def amax_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        vector = await self._embedding.aembed_query(query)
        return await self.amax_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        return from_any_thread(self._store, self._diverse, embedding, k, fetch_k, lambda_mult, **kwargs)

    async def amax_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        return await hop(self._store, self._diverse, embedding, k, fetch_k, lambda_mult, **kwargs)

    def _diverse(
        self, embedding: list[float], k: int, fetch_k: int, lambda_mult: float, **kwargs: Any
    ) -> list[Document]:
        import numpy as np

        found = self._search(embedding, fetch_k, include_vectors=True, **kwargs)
        if not found:
            return []
        vectors = [list(result.vector) for result in found]
        chosen = maximal_marginal_relevance(np.array(embedding), vectors, lambda_mult=lambda_mult, k=k)
        return [_document(found[index]) for index in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        return float  # a similarity already

    @classmethod
    def from_texts(  # type: ignore[override]  # it needs a collection
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        collection: str,
        **kwargs: Any,
    ) -> Self:
        """A store of these texts; further arguments are those of the class."""
        made = cls(embedding, collection, **kwargs)
        made.add_texts(texts, metadatas, ids=ids)
        return made

    @classmethod
    async def afrom_texts(  # type: ignore[override]
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        collection: str,
        **kwargs: Any,
    ) -> Self:
        made = cls(embedding, collection, **kwargs)
        await made.aadd_texts(texts, metadatas, ids=ids)
        return made


def _document(found: records.Embedding | records.SearchResult) -> Document:
    return Document(id=found.id, page_content=found.content, metadata=found.metadata)


def _pairs(found: list[records.SearchResult]) -> Scored:
    return [(_document(result), result.score) for result in found]


def _documents(scored: Scored) -> list[Document]:
    return [document for document, _ in scored]
