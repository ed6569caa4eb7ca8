"""Vectors on PostgreSQL by the extension pgvector."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.db import connections, transaction

from .. import codec, records
from ..exceptions import InvalidRecord, NotFound, NotSupported
from ..transactions import retried
from . import builds, fusion, indexes, models, statements, wire
from .base import Progress
from .indexes import MAX_HALF, MAX_VECTOR, Shape
from .jsonb import condition
from .metrics import first_beyond, indistinct, scores
from .orm import Checked, OrmVectorStore, Question, checked
from .statements import Nearest, Part, by_index, exactly

#: The smallest and largest of each parameter of an index, as pgvector has them.
_PARAMETERS = {"m": (2, 100), "ef_construction": (4, 1_000), "ef_search": (1, 1_000)}
#: Rows that a search by the index fetches beside the nearest, whose order it knows only roughly; the deeper the less.
_SPARE, _SPARE_FILTERED = 8, 24
#: For how long a search need not look whether a collection's index or its ef_search are others now.
_FRESH_SECONDS = 1.0
#: For how long, and of how many filters, it is remembered whether few rows match: which plan a search takes, not what
#: it finds.
_KNOWN_SECONDS, _KNOWN_FILTERS = 10.0, 10_000
#: Embeddings of one statement: what a processor's cache holds is written fastest.
_BATCH = 250
#: The most bytes of their JSON: PostgreSQL takes a gigabyte, and each record's parts have limits of their own.
_WHOLE_BATCH = 256 * 1024 * 1024

_TOO_LARGE = f"must hold numbers of at most {MAX_HALF:,} in a collection of more than {MAX_VECTOR:,} dimensions"


class PgVectorStore(OrmVectorStore):
    """Embeddings in a table with a column of pgvector's type.

    A collection gets an HNSW index, and one for the words of its contents, once it has 10,000 embeddings; they are
    built after the commit, in a thread beside the caller's work. Below that, searches are exact, as is a search with
    a filter that few rows match.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
        auto_index: whether indexes are built by themselves; if not, `reindex` builds them.
    """

    vendors: frozenset[str] = frozenset({"postgresql"})
    max_dimension = indexes.MAX_HALFVEC

    def __init__(self, using: str | None = None, *, auto_index: bool = True) -> None:
        super().__init__(using)
        self._auto_index = auto_index
        #: What is known of collections, by alias and name, and until when on `time.monotonic` that need not be read.
        self._shapes: dict[tuple[str, str], tuple[Shape, float]] = {}
        #: By alias, collection and condition: whether few rows match, and until when that is taken for true.
        self._known: dict[tuple[Any, ...], tuple[bool, float]] = {}

    @retried
    def drop_collection(self, name: str) -> bool:
        dropped = super().drop_collection(name)
        if dropped:
            alias = self.alias
            transaction.on_commit(lambda: builds.tidy(alias), using=alias, robust=True)
        return dropped

    def upsert(self, collection: str, embeddings: Iterable[records.Embedding]) -> list[records.Embedding]:
        shape = self._shape(collection)
        stored = checked(embeddings, shape.dimension, shape.metric)
        if not stored.embeddings:
            return []
        if (place := _too_large(shape, stored.matrix)) is not None:
            raise InvalidRecord("vector", f"{_TOO_LARGE} (in embeddings[{place}])")
        if not self._write(shape, stored):
            raise NotFound(f"there is no collection {collection!r}")
        if self._auto_index and not shape.indexed:
            alias = self.alias
            transaction.on_commit(lambda: builds.build_if_due(alias, shape), using=alias, robust=True)
        return stored.embeddings

    @retried
    def _write(self, shape: Shape, stored: Checked) -> bool:
        """Store embeddings, all or none; whether the collection was still there."""
        batches = [*stored.batches(_BATCH)]

        def parameters(batch: list[int]) -> list[Any]:
            rows = [stored.embeddings[place] for place in batch]
            others = [{"i": row.id, "c": row.content, "m": row.metadata, "u": row.user_id} for row in rows]
            return [codec.dumps(others, limit=_WHOLE_BATCH), wire.Vectors(stored.matrix[batch])]

        statement = statements.upsert(shape)
        if len(batches) == 1:
            return bool(wire.execute(self.alias, statement, parameters(batches[0]), prepare=True))
        with transaction.atomic(using=self.alias):
            return len(wire.execute_each(self.alias, statement, map(parameters, batches))) == len(batches)

    @retried
    def delete(self, collection: str, ids: Sequence[str]) -> int:
        row = self._collection(collection)
        wanted = codec.strings(ids, "ids")
        with transaction.atomic(using=self.alias):
            # Locked in the order of an upsert, so that neither waits for the other in a ring.
            found = self._embeddings(row).filter(embedding_id__in=wanted).order_by("embedding_id").select_for_update()
            keys = list(found.values_list("pk", flat=True))
            models.Embedding.objects.using(self.alias).filter(pk__in=keys)._raw_delete(self.alias)
        return len(keys)

    @retried
    def search(
        self,
        collection: str,
        query: Any,
        top_k: int = 10,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (the interface's name)
        text: str | None = None,
    ) -> list[records.SearchResult]:
        collection = codec.string(collection, "collection")
        shape, read_until = self._shapes.get((self.alias, collection), (None, 0.0))
        if shape and read_until > time.monotonic():
            # If rows come back, the collection is the one that was known: its number is never given to another.
            with suppress(InvalidRecord):
                question = Question(shape.dimension, shape.metric, query, top_k, filter, text)
                if rows := self._answer(shape, question):
                    return _results(shape, question, rows)
        shape = self._shape(collection)
        question = Question(shape.dimension, shape.metric, query, top_k, filter, text)
        return _results(shape, question, self._answer(shape, question))

    def _answer(self, shape: Shape, question: Question) -> list[Any]:
        """The rows that answer a question, see `statements.search`; by the index, some more and roughly in order."""
        if _too_large(shape, question.vector[None]) is not None:
            raise InvalidRecord("query", _TOO_LARGE)
        if question.top_k == 0:
            return []
        matching = condition(question.filter, "metadata")
        if not shape.indexed:
            return self._exactly(shape, question, matching)
        if question.filter.parts:
            few = statements.few(shape, question.top_k)
            known, until = self._known.get(key := (self.alias, shape.id, matching[0], *matching[1]), (False, 0.0))
            if until < time.monotonic():
                rows = self._exactly(shape, question, matching, at_most=few)
                known = not rows or rows[0][0] <= few
                self._remember(key, known)
                if known:
                    return rows
            elif known:
                return self._exactly(shape, question, matching, prepare=True)
        by_scan = self._by_index(shape, question, matching)
        return self._exactly(shape, question, matching) if by_scan is None else by_scan

    def _remember(self, key: tuple[Any, ...], few: bool) -> None:
        if len(self._known) >= _KNOWN_FILTERS:
            self._known.clear()
        self._known[key] = few, time.monotonic() + _KNOWN_SECONDS

    def _exactly(
        self, shape: Shape, question: Question, matching: Part, *, at_most: int | None = None, prepare: bool = False
    ) -> list[Any]:
        query = wire.Vector(question.vector)
        if question.text is None:
            statement = statements.search(shape, query, matching, question.top_k, at_most=at_most)
            return wire.execute(self.alias, *statement, prepare=prepare)
        nearest = exactly(shape, query, matching, fusion.depth(question.top_k), at_most=at_most)
        return self._fused(shape, question, nearest, matching)

    def _by_index(self, shape: Shape, question: Question, matching: Part) -> list[Any] | None:
        """The rows that a scan of the index finds, or None where it ends before there are enough of them.

        What it has found last is rough: of few rows that match there, the nearest may be missing.
        """
        query = wire.Vector(question.vector)
        if question.text is not None:
            count = fusion.depth(question.top_k)
            rows = self._fused(shape, question, by_index(shape, query, matching, count), matching)
            return rows if rows and rows[0][0] >= count else None
        rows = []
        for more in (_SPARE_FILTERED if question.filter.parts else _SPARE, statements.TIES):
            count = question.top_k + more
            statement = statements.search_index(shape, query, matching, count)
            # Which plan is right for a filter depends on its values.
            rows = wire.execute(self.alias, *statement, prepare=not question.filter.parts)
            if len(rows) < count:
                return None
            if _ends_clearly(shape, question, rows):
                break
        return rows

    def _fused(self, shape: Shape, question: Question, nearest: Nearest, matching: Part) -> list[Any]:
        statement = statements.hybrid(shape, nearest, matching, question.text or "", question.top_k)
        return wire.execute(self.alias, *statement)

    @retried
    def stats(self, collection: str) -> records.CollectionStats:
        row = self._collection(collection)
        found = super().stats(collection)
        state, size = indexes.state(self.alias, row.pk)
        parameters = {name: getattr(row, name) for name in _PARAMETERS}
        return replace(found, index=state, index_size=size, parameters=parameters)

    def reindex(self, collection: str, /, *, progress: Progress | None = None, **parameters: int) -> None:
        """Build the collection's indexes anew, whatever its size.

        One index of the table is worked on at a time, and a build waits for the transactions on the database that were
        open when it began; whoever stops waiting, by Ctrl-C or an error of `progress`, stops the build.

        Args:
            parameters: `m` and `ef_construction`, what the HNSW index is built with, and `ef_search`, how many
                candidates a search looks at; kept for the next time.

        Raises:
            NotSupported: inside a transaction, for whose end the build would wait.
        """
        if connections[self.alias].in_atomic_block:
            raise NotSupported("an index is built outside of transactions: call reindex() after atomic()")
        for name, value in parameters.items():
            if name not in _PARAMETERS:
                raise InvalidRecord(name, f"is no parameter; there are {', '.join(_PARAMETERS)}")
            smallest, largest = _PARAMETERS[name]
            if codec.integer(value, name, smallest) > largest:
                raise InvalidRecord(name, f"must be between {smallest} and {largest}, not {value}")
        row = self._collection(collection)
        self._collections().filter(pk=row.pk).update(**parameters)
        builds.rebuild(self.alias, self._shape(collection), progress)

    @retried
    def recall(self, collection: str, *, top_k: int = 10, sample: int = 100) -> float:
        shape = self._shape(collection)
        vectors = self._embeddings(self._collection(collection)).order_by("?").values_list("vector", flat=True)
        found = wanted = 0
        for vector in vectors[: codec.integer(sample, "sample", 1)]:
            question = Question(shape.dimension, shape.metric, vector, codec.integer(top_k, "top_k", 1), None, None)
            rows = self._exactly(shape, question, condition(question.filter, "metadata"))
            truth = {result.id for result in _results(shape, question, rows)}
            found += len(truth & {result.id for result in self.search(collection, vector, top_k)})
            wanted += len(truth)
        return found / wanted if wanted else 1.0

    def close(self) -> None:
        if not connections[self.alias].in_atomic_block:  # for whose end the work may be waiting
            builds.wait(self.alias)
        super().close()

    @retried
    def _shape(self, name: str) -> Shape:
        name = codec.string(name, "collection")
        found = wire.execute(self.alias, indexes.SHAPE, [name])
        if not found:
            raise NotFound(f"there is no collection {name!r}")
        shape = Shape(*found[0])
        self._shapes[self.alias, name] = shape, time.monotonic() + _FRESH_SECONDS
        return shape


def _too_large(shape: Shape, matrix: Any) -> int | None:
    """The place of the first of these vectors that the collection's index can't hold."""
    return first_beyond(matrix, MAX_HALF) if shape.kind == "halfvec" else None


def _scores(shape: Shape, question: Question, rows: list[Any]) -> tuple[Any, list[float]]:
    vectors = wire.unpack([row[2] for row in rows])
    return vectors, scores(shape.metric, question.vector, vectors)


def _ends_clearly(shape: Shape, question: Question, rows: list[Any]) -> bool:
    """Whether of more rows than were asked for the last are so far off that none which is as near can be missing."""
    vectors, similar = _scores(shape, question, rows)
    last = sorted(similar, reverse=True)[question.top_k - 1]
    return min(similar) < last - indistinct(shape.metric, question.vector, vectors, last)


def _results(shape: Shape, question: Question, rows: list[Any]) -> list[records.SearchResult]:
    if not rows:
        return []
    if question.text is None:
        vectors, similar = _scores(shape, question, rows)
        best = sorted(range(len(rows)), key=lambda place: (-similar[place], rows[place][1]))[: question.top_k]
    else:
        vectors, similar = wire.unpack([row[2] for row in rows]), [row[6] for row in rows]
        best = [*range(len(rows))]
    return [
        records.SearchResult(
            id=rows[place][1],
            vector=array("f", vectors[place].tobytes()),
            content=rows[place][3],
            metadata=codec.loads(rows[place][4]),
            user_id=rows[place][5],
            score=similar[place],
        )
        for place in best
    ]
