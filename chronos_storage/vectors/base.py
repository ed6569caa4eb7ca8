"""`VectorStore`: the interface of every vector store.

As in `Storage`, each method is written once, synchronously, and has an asynchronous variant with the prefix ``a``. All
take and return the records of `chronos_storage.records`, refuse what no store can keep with `InvalidRecord`, and never
change the caller's objects. `chronos_storage.testing.VectorStoreConformance` has the tests of what each call means.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any, Literal

from ..async_variants import async_variant
from ..exceptions import NotSupported
from ..records import Collection, CollectionStats, Embedding, SearchResult

Metric = Literal["cosine", "l2", "inner_product"]
#: Told how far a build is: what it is doing, and which part of that is done, 0.0 to 1.0.
Progress = Callable[[str, float], None]
# Named here, as inside the class `list` is its method.
Embeddings = list[Embedding]
Results = list[SearchResult]
Collections = list[Collection]


class Capability(Enum):
    """What not every engine can do: where a store lacks it, it raises `NotSupported` before anything is sent."""

    #: `stats`, `recall` and `reindex`.
    STATS = "stats"
    RECALL = "recall"
    REINDEX = "reindex"
    #: Contents and metadata of any size that a record may have.
    LARGE_RECORDS = "large records"


class VectorStore(ABC):
    """A store of embeddings in named collections.

    Every method that takes a collection's name raises `NotFound` if there is no such collection.
    """

    #: What this store can't do. The tests of `VectorStoreConformance` hold a store to all that it doesn't lack.
    lacks: frozenset[Capability] = frozenset()

    @abstractmethod
    def create_collection(self, name: str, dimension: int, *, metric: Metric = "cosine") -> Collection:
        """Make a collection; if it is there with the same shape, nothing changes.

        Args:
            dimension: how many numbers each of its vectors has.
            metric: how vectors are compared.

        Raises:
            AlreadyExists: it is there with another dimension or metric.
            InvalidRecord: a dimension that the store can't keep or index.
        """

    @async_variant(create_collection)
    def acreate_collection(self) -> Any: ...

    @abstractmethod
    def drop_collection(self, name: str) -> bool:
        """Remove a collection and all its embeddings; whether it was there."""

    @async_variant(drop_collection)
    def adrop_collection(self) -> Any: ...

    @abstractmethod
    def list_collections(self) -> Collections:
        """All collections, by name."""

    @async_variant(list_collections)
    def alist_collections(self) -> Any: ...

    @abstractmethod
    def upsert(self, collection: str, embeddings: Iterable[Embedding]) -> Embeddings:
        """Store embeddings, all or none, each over what its id had; of several with one id the last counts.

        Returns:
            The embeddings as they were stored, in the order given, empty ids filled in.

        Raises:
            InvalidRecord: another dimension than the collection's, a number that isn't finite, under the metric
                ``cosine`` a vector of length 0.
        """

    @async_variant(upsert)
    def aupsert(self) -> Any: ...

    @abstractmethod
    def search(
        self,
        collection: str,
        query: Any,
        top_k: int = 10,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (the field's own word)
        text: str | None = None,
        offset: int = 0,
        group_by: str | None = None,
        include_vectors: bool = False,
    ) -> Results:
        """The embeddings nearest to a vector, best first, ties by id.

        Args:
            query: a list of numbers or a NumPy array of the collection's dimension; None to search by `text` alone,
                for what has some of its words.
            top_k: how many; fewer come only where fewer are stored, or match the filter.
            filter: which embeddings count, by their metadata; `chronos_storage.filters` has the grammar.
            text: search the contents for these words too, at most 4,000, and fuse both ranks by reciprocal rank.
            offset: how many of the best to leave out, as on the pages before. Of ranks that are fused the first 64
                count, or twice as many as are asked for with the offset: a deeper page may rank anew.
            group_by: a field of the metadata, dotted as in a filter: of those that have the same value there, only the
                best counts, and none that lacks the field.
            include_vectors: whether the results carry their vectors; otherwise those are empty.

        Raises:
            InvalidRecord: a query that couldn't be stored as a vector, an unknown operator in the filter, or more
                conditions or words than are taken.
        """

    @async_variant(search)
    def asearch(self) -> Any: ...

    @abstractmethod
    def get(self, collection: str, id: str) -> Embedding | None:
        """The embedding, or None."""

    @async_variant(get)
    def aget(self) -> Any: ...

    @abstractmethod
    def get_many(self, collection: str, ids: Sequence[str]) -> Embeddings:
        """The embeddings with these ids, by id; what isn't there is left out."""

    @async_variant(get_many)
    def aget_many(self) -> Any: ...

    @abstractmethod
    def list(
        self,
        collection: str,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (the field's own word)
        after: Embedding | str | None = None,
        limit: int | None = None,
    ) -> Embeddings:
        """The embeddings of a collection, by id.

        Args:
            filter: which of them, by their metadata, as in `search`.
            after: the last embedding of the page before, or its id.
            limit: how many, at most; all if None.
        """

    @async_variant(list)  # noqa: A003  (which is meant)
    def alist(self) -> Any: ...

    @abstractmethod
    def delete(self, collection: str, ids: Sequence[str]) -> int:
        """Remove the embeddings with these ids; returns how many were there."""

    @async_variant(delete)
    def adelete(self) -> Any: ...

    @abstractmethod
    def delete_where(self, collection: str, filter: dict[str, Any]) -> int:  # noqa: A002
        """Remove the embeddings that a filter matches, `{}` all of them; returns how many."""

    @async_variant(delete_where)
    def adelete_where(self) -> Any: ...

    @abstractmethod
    def count(self, collection: str, *, filter: dict[str, Any] | None = None) -> int:  # noqa: A002
        """How many embeddings a collection has, or how many of them match a filter."""

    @async_variant(count)
    def acount(self) -> Any: ...

    @abstractmethod
    def close(self) -> None:
        """Finish what is under way and release connections; again, no change. The store can still be used."""

    @async_variant(close)
    def aclose(self) -> Any: ...

    # Care of the index: what a store with an approximate index has besides

    def stats(self, collection: str) -> CollectionStats:
        """What the store knows of a collection and its index."""
        raise NotSupported("this vector store gives no statistics")

    @async_variant(stats)
    def astats(self) -> Any: ...

    def reindex(self, collection: str, /, *, progress: Progress | None = None, **parameters: int) -> None:
        """Build the collection's index anew, without keeping others from reading and writing.

        Args:
            parameters: what the index is built and searched with from now on; which there are, the store says.
        """
        raise NotSupported("this vector store has no index to build")

    @async_variant(reindex)
    def areindex(self) -> Any: ...

    def recall(self, collection: str, *, top_k: int = 10, sample: int = 100) -> float:
        """The part of the true `top_k` nearest that a search finds, 0.0 to 1.0.

        It is measured by searching for `sample` of the collection's own vectors, by the index and exactly.
        """
        raise NotSupported("this vector store can't measure its recall")

    @async_variant(recall)
    def arecall(self) -> Any: ...
