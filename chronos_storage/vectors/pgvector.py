"""Vectors on PostgreSQL by the extension pgvector."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from django.db import connections, transaction

from .. import codec, records
from ..backends.orm.having import MetadataMatches
from ..compat.connections import in_transaction
from ..compat.queries import delete_unseen
from ..exceptions import InvalidRecord, NotFound, NotSupported
from ..filters import And
from ..jsonb import condition
from ..transactions import retried
from . import builds, fusion, indexes, loading, models, statements, wire
from .base import Progress
from .found import Found
from .given import Checked, checked
from .indexes import MAX_HALF, MAX_VECTOR, Shape
from .metrics import first_beyond
from .orm import Asked, OrmVectorStore
from .questions import Question, conditions
from .statements import Nearest, Part, by_index, exactly

#: The smallest and largest of each parameter of an index, as pgvector has them.
_PARAMETERS = {"m": (2, 100), "ef_construction": (4, 1_000), "ef_search": (1, 1_000)}
#: Rows that a search fetches beside the nearest, whose order pgvector knows only in float32: so many, and where even
#: the last of them is too near to tell, so many more. A filtered scan of the index knows it the less, the deeper it is.
_SPARE, _SPARE_FILTERED = (2, 40, 1_000), (24, 1_000)
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
        #: By alias, collection and condition.
        self._known: dict[tuple[Any, ...], _Known] = {}

    def _begin(self, collection_id: int) -> None:
        builds.begin(self.alias, collection_id)

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
        if self._auto_index and not (shape.indexed and shape.worded):
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
            return loading.load(self.alias, shape, stored, batches) or (
                len(wire.execute_each(self.alias, statement, map(parameters, batches))) == len(batches)
            )

    @retried
    def delete(self, collection: str, ids: Sequence[str]) -> int:
        row = self._collection(collection)
        wanted = codec.strings(ids, "ids")
        return self._delete(self._embeddings(row).filter(embedding_id__in=wanted))

    def _delete(self, rows: Any) -> int:
        with transaction.atomic(using=self.alias):
            # Locked in the order of an upsert, so that neither waits for the other in a ring.
            found = rows.order_by("embedding_id").select_for_update()
            keys = list(found.values_list("pk", flat=True))
            delete_unseen(models.Embedding.objects.using(self.alias).filter(pk__in=keys), self.alias)
        return len(keys)

    @retried
    def delete_where(self, collection: str, filter: dict[str, Any]) -> int:  # noqa: A002  (the interface's name)
        row, tree = self._collection(collection), conditions(filter)
        return self._delete(self._embeddings(row).filter(MetadataMatches(tree)))

    def _narrowed(self, rows: Any, tree: And) -> tuple[Any, And]:
        return rows.filter(MetadataMatches(tree)), And(())

    def _search(self, collection: str, asked: Asked) -> list[records.SearchResult]:
        shape, read_until = self._shapes.get((self.alias, collection), (None, 0.0))
        if shape and read_until > time.monotonic():
            # If rows come back, the collection is the one that was known: its number is never given to another.
            with suppress(InvalidRecord):
                found = self._page(shape, asked)
                if found:
                    return found
        return self._page(self._shape(collection), asked)

    def _page(self, shape: Shape, asked: Asked) -> list[records.SearchResult]:
        question = asked(shape.dimension, shape.metric)
        return question.answer(lambda question: self._answer(shape, question).results())

    def _answer(self, shape: Shape, question: Question) -> Found:
        matching = condition(question.filter, "metadata")
        if question.vector is None:
            return self._fused(shape, question, statements.nothing(), matching)
        if _too_large(shape, question.vector[None]) is not None:
            raise InvalidRecord("query", _TOO_LARGE)
        if not shape.indexed:
            return self._exactly(shape, question, matching)
        if question.filter.parts:
            return self._filtered(shape, question, matching)
        return self._by_index(shape, question, matching) or self._exactly(shape, question, matching)

    def _filtered(self, shape: Shape, question: Question, matching: Part) -> Found:
        if len(self._known) >= _KNOWN_FILTERS:
            self._known.clear()
        known = self._known.setdefault((self.alias, shape.id, matching[0], *matching[1]), _Known())
        if known.until < time.monotonic():
            few = statements.few(shape, question.top_k)
            found = self._exactly(shape, question, matching, at_most=few)
            known.few, known.until = found.matched <= few, time.monotonic() + _KNOWN_SECONDS
            if known.few:
                return found
        if not known.few and known.is_worth_a_scan():
            by_scan = self._by_index(shape, question, matching)
            known.scanned(in_vain=by_scan is None)
            if by_scan:
                return by_scan
        return self._exactly(shape, question, matching, prepare=True)

    def _exactly(
        self, shape: Shape, question: Question, matching: Part, *, at_most: int | None = None, prepare: bool = False
    ) -> Found:
        query = wire.Query(question.vector)
        if question.text is not None:
            nearest = exactly(shape, query, matching, fusion.depth(question.top_k), at_most=at_most)
            return self._fused(shape, question, nearest, matching)
        for spare in _SPARE:
            count = question.top_k + spare
            statement = statements.search(shape, query, matching, count, at_most=at_most)
            found = Found(question, wire.execute(self.alias, *statement, prepare=prepare))
            is_all = len(found.rows) < count
            if is_all or (at_most is not None and found.matched > at_most) or found.ends_clearly():
                break
        return found

    def _by_index(self, shape: Shape, question: Question, matching: Part) -> Found | None:
        """What a scan of the index finds, or None where it ends before that is enough.

        What it has found last is rough: of few rows that match there, the nearest may be missing.
        """
        query = wire.Query(question.vector)
        if question.text is not None:
            count = fusion.depth(question.top_k)
            found = self._fused(shape, question, by_index(shape, query, matching, count), matching)
            return found if found.matched >= count else None
        for spare in _SPARE_FILTERED if question.filter.parts else _SPARE:
            count = question.top_k + spare
            statement = statements.search_index(shape, query, matching, count)
            # Which plan is right for a filter depends on its values.
            found = Found(question, wire.execute(self.alias, *statement, prepare=not question.filter.parts))
            if len(found.rows) < count:
                return None
            if found.ends_clearly():
                break
        return found

    def _fused(self, shape: Shape, question: Question, nearest: Nearest, matching: Part) -> Found:
        statement = statements.hybrid(shape, nearest, matching, question.text or "", question.top_k)
        # Which plan is right for a filter depends on its values.
        return Found(question, wire.execute(self.alias, *statement, prepare=not question.filter.parts))

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
        if in_transaction(connections[self.alias]):
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
        self._shapes.pop((self.alias, collection), None)  # searches go by the new index from now on

    @retried
    def recall(self, collection: str, *, top_k: int = 10, sample: int = 100) -> float:
        shape = self._shape(collection)
        vectors = self._embeddings(self._collection(collection)).order_by("?").values_list("vector", flat=True)
        found = wanted = 0
        for vector in vectors[: codec.integer(sample, "sample", 1)]:
            question = Question(shape.dimension, shape.metric, vector, codec.integer(top_k, "top_k", 1), None, None)
            exact = self._exactly(shape, question, condition(question.filter, "metadata"))
            truth = {result.id for result in exact.results()}
            found += len(truth & {result.id for result in self.search(collection, vector, top_k)})
            wanted += len(truth)
        return found / wanted if wanted else 1.0

    def close(self) -> None:
        if not in_transaction(connections[self.alias]):  # for whose end the work may be waiting
            builds.wait(self.alias)
        super().close()

    @retried
    def _shape(self, name: str) -> Shape:
        name = codec.string(name, "collection")
        found = wire.execute(self.alias, indexes.SHAPE, [name])
        if not found:
            raise NotFound(f"there is no collection {name!r}")
        shape = Shape(self.alias, *found[0])
        self._shapes[self.alias, name] = shape, time.monotonic() + _FRESH_SECONDS
        return shape


def _too_large(shape: Shape, matrix: Any) -> int | None:
    """The place of the first of these vectors that the collection's index can't hold."""
    return first_beyond(matrix, MAX_HALF) if shape.kind == "halfvec" else None


@dataclass(slots=True)
class _Known:
    """What is known of a filter, which decides on the plan of a search, and not on what it finds.

    Attributes:
        few: whether few rows match.
        until: on `time.monotonic`, until when that is taken for true.
    """

    few: bool = False
    until: float = 0.0
    _pause: int = 0
    _left: int = 0

    def is_worth_a_scan(self) -> bool:
        """Whether to try the index: after each scan in vain twice as many searches do without, from 8 to 64."""
        self._left -= 1
        return self._left < 0

    def scanned(self, *, in_vain: bool) -> None:
        """Say whether a scan of the index came to its end before it had enough: the rows that match are far then."""
        self._pause = min(2 * self._pause or 8, 64) if in_vain else 0
        self._left = self._pause
