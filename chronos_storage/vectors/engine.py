"""What the stores over engines of their own share: all but how rows are written, found and removed there.

An engine keeps rows under ids, finds the nearest to a vector among those for which a condition on their terms is true
(see `terms`), and walks all of those. Which of them match a filter, how near they are and which words they have is
decided here, alike for all engines.
"""

from __future__ import annotations

import heapq
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from .. import codec, filters
from ..exceptions import NotFound
from ..filters import And
from ..records import Collection, CollectionStats, Embedding, SearchResult
from . import fusion, ranking
from .base import Capability, Collections, Embeddings, Metric, Results, VectorStore
from .fields import unpack
from .given import checked, checked_collection, last_of_each, same_collection
from .metrics import beyond, matrix_of, scores
from .questions import Question, conditions, last_id
from .terms import Condition, both, may_match, terms_of, with_any_word, words

T = TypeVar("T")

#: Rows that a search asks for beside the nearest, and how many times as many where these don't tell which they are.
_SPARE, _FURTHER = 8, 8


@dataclass(slots=True, kw_only=True)
class Row:
    """An embedding as an engine keeps it.

    Attributes:
        vector: float32, little-endian; empty where it was not asked for.
        metadata: JSON; empty where it was not asked for.
        terms: only of what is written.
    """

    id: str
    vector: bytes = b""
    content: str = ""
    metadata: str = ""
    user_id: str = ""
    terms: Sequence[str] = ()


#: Rows and their scores.
Scored: TypeAlias = list[tuple[Row, float]]
#: What a walk asks for of each row, beside its id.
METADATA, CONTENT, VECTOR = ("metadata",), ("content",), ("vector",)


class EngineVectorStore(VectorStore):
    """Embeddings in an engine that is no database of Django's."""

    lacks: frozenset[Capability] = frozenset({Capability.REINDEX})
    #: There are no transactions that an asynchronous call could be part of: it has threads of its own.
    supports_transactions = False
    #: The largest dimension a collection may have.
    max_dimension: int
    #: The most rows and bytes of one request, and hits of one search.
    max_rows: int
    max_bytes: int
    max_hits: int

    # What an engine does

    @abstractmethod
    def _find(self, name: str) -> Collection | None:
        """The collection, if it is there."""

    @abstractmethod
    def _create(self, collection: Collection) -> None:
        """Make a collection, unless there is one of the name."""

    @abstractmethod
    def _drop(self, name: str) -> bool:
        """Remove a collection and all its rows; whether it was there."""

    @abstractmethod
    def _all(self) -> Iterable[Collection]:
        """All collections."""

    @abstractmethod
    def _put(self, collection: Collection, rows: Sequence[Row]) -> None:
        """Write rows, each over what its id had, in one request."""

    @abstractmethod
    def _fetch(self, collection: Collection, ids: Sequence[str]) -> Iterable[Row]:
        """The whole rows with these ids."""

    @abstractmethod
    def _remove(self, collection: Collection, ids: Sequence[str]) -> int:
        """Remove the rows with these ids; how many were there."""

    @abstractmethod
    def _count(self, collection: Collection) -> int:
        """How many rows there are."""

    @abstractmethod
    def _walk(self, collection: Collection, condition: Condition | None, fields: tuple[str, ...]) -> Iterator[Row]:
        """All rows for which a condition is true, with some of their fields, in any order."""

    @abstractmethod
    def _nearest(self, collection: Collection, vector: Any, count: int, condition: Condition | None) -> Sequence[Row]:
        """The `count` whole rows nearest to a vector for which a condition is true; fewer only where there are fewer.

        Args:
            vector: an array of float32.
        """

    # What they all do

    def create_collection(self, name: str, dimension: int, *, metric: Metric = "cosine") -> Collection:
        asked = checked_collection(name, dimension, metric, self.max_dimension)
        if (stored := self._find(asked.name)) is None:
            self._create(asked)
            stored = self._collection(asked.name)
        return same_collection(asked, stored)

    def drop_collection(self, name: str) -> bool:
        return self._drop(codec.string(name, "name"))

    def list_collections(self) -> Collections:
        return sorted(self._all(), key=lambda each: each.name)

    def upsert(self, collection: str, embeddings: Iterable[Embedding]) -> Embeddings:
        kept = self._collection(collection)
        given = checked(embeddings, kept.dimension, kept.metric)
        if not given.embeddings:
            return []
        matrix = given.matrix.astype("<f4", copy=False)
        rows = {place: _row(given.embeddings[place], matrix[place]) for place in last_of_each(given.embeddings)}
        for row in rows.values():
            self._refuse(row)
        for batch in given.batches(self.max_rows, self.max_bytes):
            self._put(kept, [rows[place] for place in batch])
        return given.embeddings

    def _refuse(self, row: Row) -> None:
        """Raise `NotSupported` where the engine can't keep a row."""

    def get(self, collection: str, id: str) -> Embedding | None:
        kept = self._collection(collection)
        return next(map(_embedding, self._fetch(kept, [codec.string(id, "id")])), None)

    def get_many(self, collection: str, ids: Sequence[str]) -> Embeddings:
        kept = self._collection(collection)
        return self._by_id(kept, sorted(set(codec.strings(ids, "ids"))))

    def _by_id(self, collection: Collection, ids: Sequence[str]) -> Embeddings:
        found = (row for some in batched(ids, self.max_rows) for row in self._fetch(collection, some))
        return sorted(map(_embedding, found), key=lambda each: each.id)

    def list(
        self,
        collection: str,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (the interface's name)
        after: Embedding | str | None = None,
        limit: int | None = None,
    ) -> Embeddings:
        kept, tree, begin = self._collection(collection), filters.parse(filter), last_id(after)
        ids = (id for id in self._matching(kept, tree) if id > begin)
        chosen = sorted(ids) if limit is None else heapq.nsmallest(codec.integer(limit, "limit"), ids)
        return self._by_id(kept, chosen)

    def delete(self, collection: str, ids: Sequence[str]) -> int:
        kept = self._collection(collection)
        return self._remove_all(kept, sorted(set(codec.strings(ids, "ids"))))

    def delete_where(self, collection: str, filter: dict[str, Any]) -> int:  # noqa: A002  (the interface's name)
        kept, tree = self._collection(collection), conditions(filter)
        return self._remove_all(kept, [*self._matching(kept, tree)])

    def _remove_all(self, collection: Collection, ids: Sequence[str]) -> int:
        return sum(self._remove(collection, some) for some in batched(ids, self.max_rows))

    def count(self, collection: str, *, filter: dict[str, Any] | None = None) -> int:  # noqa: A002
        kept, tree = self._collection(collection), filters.parse(filter)
        return sum(1 for _ in self._matching(kept, tree)) if tree.parts else self._count(kept)

    def _matching(self, collection: Collection, tree: And) -> Iterator[str]:
        """The ids of what matches, in any order."""
        if not tree.parts:
            return (row.id for row in self._walk(collection, None, ()))
        found = self._walk(collection, may_match(tree), METADATA)
        return (row.id for row in found if tree.matches(codec.loads(row.metadata)))

    def search(
        self,
        collection: str,
        query: Any,
        top_k: int = 10,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (the interface's name)
        text: str | None = None,
        offset: int = 0,
        group_by: str | None = None,
        include_vectors: bool = False,
    ) -> Results:
        kept = self._collection(collection)
        page = partial(Question, offset=offset, group_by=group_by, include_vectors=include_vectors)
        return page(kept.dimension, kept.metric, query, top_k, filter, text).answer(partial(self._answer, kept))

    def _answer(self, collection: Collection, question: Question) -> Results:
        if question.text is None:
            found = self._best(collection, question, question.top_k)
            return [_result(row, score, question) for row, score in found]
        depth = fusion.depth(question.top_k)
        nearest = [] if question.vector is None else [row for row, _ in self._best(collection, question, depth)]
        spoken = self._with_words(collection, question.filter, words(question.text), depth)
        fused = fusion.fuse([row.id for row in nearest], spoken)
        best = sorted(fused, key=lambda id: (-fused[id], id))[: question.top_k]
        rows = {row.id: row for row in nearest}
        missing = [id for id in best if id not in rows]
        rows |= {row.id: row for some in batched(missing, self.max_rows) for row in self._fetch(collection, some)}
        return [_result(rows[id], fused[id], question) for id in best if id in rows]

    def _best(self, collection: Collection, question: Question, count: int) -> Scored:
        """The nearest that match, best first, ties by id, with their scores."""
        condition, hits = may_match(question.filter), count + _SPARE
        while hits <= self.max_hits:
            rows = self._nearest(collection, question.vector, hits, condition)
            found = _scored(question, rows)
            if len(rows) < hits or (len(found) >= count and _ends_clearly(question, rows, found[count - 1][1])):
                return found[:count]
            hits *= _FURTHER
        return self._best_of_all(collection, question, condition, count)

    def _best_of_all(
        self, collection: Collection, question: Question, condition: Condition | None, count: int
    ) -> Scored:
        """The same, by looking at every row."""
        best: Sequence[tuple[float, str]] = []
        for some in batched(self._walk(collection, condition, (*METADATA, *VECTOR)), self.max_rows):
            found = [(-score, row.id) for row, score in _scored(question, some)]
            best = heapq.nsmallest(count, [*best, *found])
        ids = [id for _, id in best]
        rows = {row.id: row for some in batched(ids, self.max_rows) for row in self._fetch(collection, some)}
        return [(rows[id], -score) for score, id in best if id in rows]

    def _with_words(self, collection: Collection, tree: And, wanted: Sequence[str], depth: int) -> Sequence[str]:
        """The ids of what matches and has some of the words, best first."""
        if not wanted:
            return []
        condition = both(may_match(tree), with_any_word(list(wanted)))
        found = self._walk(collection, condition, (*METADATA, *CONTENT) if tree.parts else CONTENT)
        matching = (row for row in found if not tree.parts or tree.matches(codec.loads(row.metadata)))
        return ranking.ranked(wanted, ((row.id, row.content) for row in matching))[:depth]

    def stats(self, collection: str) -> CollectionStats:
        kept = self._collection(collection)
        count = self._count(kept)
        return CollectionStats(
            name=kept.name, dimension=kept.dimension, metric=kept.metric, count=count, size=4 * kept.dimension * count
        )

    def recall(self, collection: str, *, top_k: int = 10, sample: int = 100) -> float:
        kept, wanted = self._collection(collection), codec.integer(top_k, "top_k", 1)
        walked = islice(self._walk(kept, None, VECTOR), codec.integer(sample, "sample", 1))
        found = asked = 0
        for vector in [unpack(row.vector) for row in walked]:
            question = Question(kept.dimension, kept.metric, vector, wanted)
            truth = {row.id for row, _ in self._best_of_all(kept, question, None, wanted)}
            found += len(truth & {row.id for row, _ in self._best(kept, question, wanted)})
            asked += len(truth)
        return found / asked if asked else 1.0

    def _collection(self, name: str) -> Collection:
        found = self._find(codec.string(name, "collection"))
        if found is None:
            raise NotFound(f"there is no collection {codec.string(name, 'collection')!r}")
        return found


def batched(items: Iterable[T], count: int) -> Iterator[list[T]]:
    """The items, so many at a time."""
    left = iter(items)
    while some := list(islice(left, count)):
        yield some


def _row(embedding: Embedding, vector: Any) -> Row:
    return Row(
        id=embedding.id,
        vector=vector.tobytes(),
        content=embedding.content,
        metadata=codec.dumps(embedding.metadata),
        user_id=embedding.user_id,
        terms=terms_of(embedding.content, embedding.metadata),
    )


def _embedding(row: Row) -> Embedding:
    return Embedding(
        id=row.id,
        vector=unpack(row.vector),
        content=row.content,
        metadata=codec.loads(row.metadata),
        user_id=row.user_id,
    )


def _result(row: Row, score: float, question: Question) -> SearchResult:
    return SearchResult(
        id=row.id,
        vector=unpack(row.vector if question.include_vectors else b""),
        content=row.content,
        metadata=codec.loads(row.metadata),
        user_id=row.user_id,
        score=score,
    )


def _scored(question: Question, rows: Sequence[Row]) -> Scored:
    """The rows that match, best first, ties by id, with their scores."""
    tree = question.filter
    matching = [row for row in rows if not tree.parts or tree.matches(codec.loads(row.metadata))]
    found = zip(
        matching,
        scores(question.metric, question.vector, matrix_of([row.vector for row in matching], len(question.vector))),
        strict=True,
    )
    return sorted(found, key=lambda each: (-each[1], each[0].id))


def _ends_clearly(question: Question, rows: Sequence[Row], last: float) -> bool:
    """Whether none that the engine has not given can be as near as this score: it computes in float32."""
    matrix = matrix_of([row.vector for row in rows], len(question.vector))
    return beyond(question.metric, question.vector, matrix, scores(question.metric, question.vector, matrix)) < last
