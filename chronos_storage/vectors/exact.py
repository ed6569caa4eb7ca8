"""Exact search, by NumPy: for SQLite, MariaDB and MySQL, and what every other store is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from django.db import connections, transaction

from .. import codec, records
from ..compat.queries import delete_unseen
from ..exceptions import NotFound
from ..ids import new_id
from ..transactions import retried
from . import fusion, matrices, models, words
from .base import Capability
from .fields import unpack
from .given import Checked, checked
from .orm import Asked, OrmVectorStore, some_at_a_time
from .questions import Question, conditions

#: Embeddings of one statement.
_BATCH = 10_000
#: How often a search begins anew because rows it had found were deleted before it could read them.
_ATTEMPTS = 3
#: What a search reads of a collection, and of the rows it found: without the ORM, which takes longer than a product.
_STATE = "SELECT id, dimension, metric, version FROM chronos_vectors_collection WHERE name = %s"
_ROWS = "SELECT id, embedding_id, vector, content, metadata, user_id FROM chronos_vectors_embedding WHERE id IN ({})"
_UNIQUE = ["collection", "embedding_id"]
_UPDATED = ["vector", "content", "metadata", "user_id"]


class _State(NamedTuple):
    """What a search has to know of a collection."""

    id: int
    dimension: int
    metric: str
    version: str


class ExactVectorStore(OrmVectorStore):
    """Every search compares the query with all vectors that match its filter.

    The vectors are kept in memory between searches, as long as nobody changes the collection: each change, by any
    process, gives it another version, which every search reads.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
        cache_bytes: how much memory the vectors may take; what is larger is read for every search.
    """

    vendors: frozenset[str] = frozenset({"sqlite", "mysql"})
    lacks: frozenset[Capability] = frozenset({Capability.REINDEX})

    def __init__(self, using: str | None = None, *, cache_bytes: int = 512 * 1024 * 1024) -> None:
        super().__init__(using)
        self._cache = matrices.Cache(cache_bytes)
        #: By connection and collection: the version that a transaction gave it which has not committed yet.
        self._own: WeakKeyDictionary[Any, dict[int, str]] = WeakKeyDictionary()

    def upsert(self, collection: str, embeddings: Iterable[records.Embedding]) -> list[records.Embedding]:
        row = self._collection(collection)
        stored = checked(embeddings, row.dimension, row.metric)
        if stored.embeddings:
            self._write(row, stored)
        return stored.embeddings

    @retried
    def _write(self, row: models.Collection, stored: Checked) -> None:
        # MariaDB and MySQL take every unique key for the one that is meant.
        names_target = connections[self.alias].vendor != "mysql"
        with transaction.atomic(using=self.alias):
            self._change(row)
            for batch in stored.batches(_BATCH):
                models.Embedding.objects.using(self.alias).bulk_create(
                    [_row(stored.embeddings[place], row) for place in batch],
                    update_conflicts=True,
                    update_fields=_UPDATED,
                    unique_fields=_UNIQUE if names_target else None,
                )

    @retried
    def delete(self, collection: str, ids: Sequence[str]) -> int:
        row = self._collection(collection)
        wanted = codec.strings(ids, "ids")
        deleted = 0
        with transaction.atomic(using=self.alias):
            self._change(row)
            for some in some_at_a_time(wanted):
                deleted += delete_unseen(self._embeddings(row).filter(embedding_id__in=some), self.alias)
        return deleted

    def _change(self, row: models.Collection) -> None:
        """Give the collection another version; a transaction's first statement, so that writers take turns."""
        version = new_id()
        if not self._collections().filter(pk=row.pk).update(version=version):
            raise NotFound(f"there is no collection {row.name!r}")
        own = self._own.setdefault(connections[self.alias], {})
        own[row.pk] = version
        transaction.on_commit(lambda: own.pop(row.pk, None), using=self.alias, robust=True)

    @retried
    def delete_where(self, collection: str, filter: dict[str, Any]) -> int:  # noqa: A002  (the interface's name)
        row, tree = self._collection(collection), conditions(filter)
        with transaction.atomic(using=self.alias):
            self._change(row)
            rows = self._embeddings(row)
            if not tree.parts:
                return delete_unseen(rows, self.alias)
            keys = [key for (key,) in self._matching(rows, tree, "pk")]
            return sum(delete_unseen(rows.filter(pk__in=some), self.alias) for some in some_at_a_time(keys))

    def _search(self, collection: str, asked: Asked) -> list[records.SearchResult]:
        state = self._state(collection)
        return asked(state.dimension, state.metric).answer(partial(self._answer, collection))

    def _answer(self, collection: str, question: Question) -> list[records.SearchResult]:
        for _ in range(_ATTEMPTS):
            state = self._state(collection)
            scores = self._scores(state, question)
            found = self._read([*scores], question)
            if len(found) == len(scores):
                break
        return _by_score(found, scores)[: question.top_k]

    def _state(self, name: str) -> _State:
        name = codec.string(name, "collection")
        with connections[self.alias].cursor() as cursor:
            cursor.execute(_STATE, [name])
            row = cursor.fetchone()
        if row is None:
            raise NotFound(f"there is no collection {name!r}")
        return _State(*row)

    def _scores(self, state: _State, question: Question) -> dict[int, float]:
        if question.text is None:
            return self._nearest(state, question)
        return self._fused(state, question, question.text)

    def _nearest(self, state: _State, question: Question, count: int | None = None) -> dict[int, float]:
        return matrices.nearest(
            self._blocks(state), state.metric, question.vector, count or question.top_k, question.filter
        )

    def _fused(self, state: _State, question: Question, text: str) -> dict[int, float]:
        depth = fusion.depth(question.top_k)
        texts = words.ranked(self.alias, state.id, text)
        if question.filter.parts:
            matching = {key for block in self._blocks(state) for key in block.matching(question.filter)}
            texts = [key for key in texts if key in matching]
        nearest = [] if question.vector is None else [*self._nearest(state, question, depth)]
        return fusion.fuse(nearest, texts[:depth])

    def _blocks(self, state: _State) -> Iterator[matrices.Block]:
        # A transaction may see its own rows beside a snapshot that lacks others': it reads for itself.
        is_own = self._own.get(connections[self.alias], {}).get(state.id) == state.version
        return self._cache.blocks(self.alias, state.id, state.dimension, state.version, keep=not is_own)

    def _read(self, keys: Sequence[int], question: Question) -> dict[int, records.SearchResult]:
        """By primary key: the rows that are still there, without a score."""
        found = {}
        with connections[self.alias].cursor() as cursor:
            for some in some_at_a_time(keys):
                cursor.execute(_ROWS.format(", ".join(["%s"] * len(some))), some)
                for key, id, vector, content, metadata, user_id in cursor.fetchall():
                    found[key] = records.SearchResult(
                        id=id,
                        vector=unpack(vector if question.include_vectors else b""),
                        content=content,
                        metadata=codec.loads(metadata),
                        user_id=user_id,
                    )
        return found

    def recall(self, collection: str, *, top_k: int = 10, sample: int = 100) -> float:
        self._collection(collection)
        return 1.0

    def close(self) -> None:
        self._cache.clear()
        super().close()


def _by_score(results: dict[int, records.SearchResult], scores: dict[int, float]) -> list[records.SearchResult]:
    """The results with scores that are known, best first, ties by id."""
    for key, result in results.items():
        result.score = scores[key]
    return sorted(results.values(), key=lambda result: (-result.score, result.id))


def _row(embedding: records.Embedding, row: models.Collection) -> models.Embedding:
    return models.Embedding(
        collection_id=row.pk,
        embedding_id=embedding.id,
        vector=embedding.vector,
        content=embedding.content,
        metadata=embedding.metadata,
        user_id=embedding.user_id,
    )
