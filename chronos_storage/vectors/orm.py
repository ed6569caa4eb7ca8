"""What the vector stores over Django's models share: all but how vectors are written, found and indexed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.db import connections, router, transaction

from .. import codec, filters, float32, records
from ..aliases import known_alias
from ..async_threads import release
from ..compat.queries import delete_unseen
from ..exceptions import AlreadyExists, ConfigurationError, InvalidRecord, NotFound
from ..filters import And
from ..ids import new_id
from ..snapshots import unless_unseen
from ..transactions import retried
from . import models
from .base import Metric, VectorStore
from .metrics import METRICS, as_matrix, as_row

#: Bytes of one statement, below MariaDB's default limit of 16 MiB even where each byte takes two.
_STATEMENT_BYTES = 4 * 1024 * 1024
#: More results than any collection has.
_ALL = 2**40
#: A word as the databases that split most count them.
_WORD = re.compile(r"[^\W_]+")


class OrmVectorStore(VectorStore):
    """Embeddings in the tables of Django's models, on one database alias.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
    """

    #: The kinds of database that the store knows, as Django calls them.
    vendors: frozenset[str]
    #: The largest dimension a collection may have.
    max_dimension = 16_000

    def __init__(self, using: str | None = None) -> None:
        self._using = using and known_alias(using)
        if (vendor := connections[self.alias].vendor) not in self.vendors:
            raise ConfigurationError(
                f"{type(self).__name__} is for {' and '.join(sorted(self.vendors))}, and the database {self.alias!r} is"
                f" {vendor}"
            )

    @property
    def alias(self) -> str:
        """The database alias that is used."""
        return self._using or router.db_for_write(models.Embedding)

    @retried
    def create_collection(self, name: str, dimension: int, *, metric: Metric = "cosine") -> records.Collection:
        asked = records.Collection(name=name, dimension=dimension, metric=metric).cleaned()
        if not asked.name:
            raise InvalidRecord("name", "is empty")
        if not 1 <= asked.dimension <= self.max_dimension:
            raise InvalidRecord("dimension", f"must be between 1 and {self.max_dimension:,}, not {asked.dimension}")
        if asked.metric not in METRICS:
            raise InvalidRecord("metric", f"must be one of {', '.join(METRICS)}, not {asked.metric!r}")
        rows = models.Collection.objects.using(self.alias)
        defaults = {"dimension": asked.dimension, "metric": asked.metric, "version": new_id()}
        with unless_unseen():
            row, is_new = rows.get_or_create(name=asked.name, defaults=defaults)
        stored = _record(row)
        if is_new:
            self._begin(row.pk)
        if stored != asked:
            raise AlreadyExists(
                f"the collection {asked.name!r} is there already, with {stored.dimension} dimensions and the metric"
                f" {stored.metric}"
            )
        return stored

    def _begin(self, collection_id: int) -> None:
        """A collection of this id is new."""

    @retried
    def drop_collection(self, name: str) -> bool:
        with transaction.atomic(using=self.alias):
            # Locked first, so that nobody adds to it between the two deletions.
            row = self._collections().select_for_update().filter(name=codec.string(name, "name")).first()
            if row is None:
                return False
            embeddings = self._embeddings(row)
            delete_unseen(embeddings, self.alias)
            row.delete()
            # Those that were written since the transaction's snapshot are seen only after it.
            transaction.on_commit(partial(delete_unseen, embeddings, self.alias), using=self.alias, robust=True)
        return True

    @retried
    def list_collections(self) -> list[records.Collection]:
        return [_record(row) for row in self._collections().order_by("name")]

    @retried
    def get(self, collection: str, id: str) -> records.Embedding | None:
        found = self._embeddings(self._collection(collection)).filter(embedding_id=codec.string(id, "id"))
        row = found.first()
        return None if row is None else embedding_of(row)

    @retried
    def count(self, collection: str) -> int:
        counted: int = self._embeddings(self._collection(collection)).count()
        return counted

    @retried
    def stats(self, collection: str) -> records.CollectionStats:
        row = self._collection(collection)
        count = self._embeddings(row).count()
        return records.CollectionStats(
            name=row.name, dimension=row.dimension, metric=row.metric, count=count, size=4 * row.dimension * count
        )

    def close(self) -> None:
        release(self.alias)

    # For the stores

    def _collections(self) -> Any:
        return models.Collection.objects.using(self.alias)

    def _embeddings(self, row: models.Collection) -> Any:
        return models.Embedding.objects.using(self.alias).filter(collection_id=row.pk)

    @retried
    def _collection(self, name: str) -> models.Collection:
        name = codec.string(name, "collection")
        row: models.Collection | None = self._collections().filter(name=name).first()
        if row is None:
            raise NotFound(f"there is no collection {name!r}")
        return row


def _record(row: models.Collection) -> records.Collection:
    return records.Collection(name=row.name, dimension=row.dimension, metric=row.metric)


def embedding_of(row: models.Embedding) -> records.Embedding:
    """The record of a row."""
    return records.Embedding(
        id=row.embedding_id, vector=row.vector, content=row.content, metadata=row.metadata, user_id=row.user_id
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """Embeddings that a collection can keep.

    Attributes:
        embeddings: copies of those given, empty ids filled in.
        sizes: about how many bytes each takes in a statement.
        matrix: their vectors, a row each.
    """

    embeddings: list[records.Embedding]
    sizes: list[int]
    matrix: Any

    def batches(self, most: int, most_bytes: int = _STATEMENT_BYTES) -> Iterator[list[int]]:
        """The places of what is written, in parts of so many embeddings and bytes at most, or of one."""
        batch: list[int] = []
        size = 0
        for place in last_of_each(self.embeddings):
            if batch and (len(batch) == most or size + self.sizes[place] > most_bytes):
                yield batch
                batch, size = [], 0
            batch.append(place)
            size += self.sizes[place]
        if batch:
            yield batch


def checked(given: Iterable[records.Embedding], dimension: int, metric: str) -> Checked:
    """Embeddings for a collection of this shape.

    Raises:
        InvalidRecord: naming the field and the embedding that can't be kept.
    """
    if not isinstance(given, Iterable):
        raise InvalidRecord("embeddings", f"must be a list of Embedding records, not {type(given).__name__}")
    cleaned: list[records.Embedding] = []
    sizes = []
    for embedding in given:
        # Of a search's result, the embedding: a score is the question's, and no field of what is kept.
        plain = records.Embedding.of(embedding, "embeddings")
        try:
            copy = plain.cleaned()
            metadata = codec.dumps(copy.metadata, "metadata")
        except InvalidRecord as error:
            raise _named(error, len(cleaned), embedding) from None
        sizes.append(4 * dimension + len(copy.content.encode()) + len(metadata.encode()))
        copy.complete()
        cleaned.append(copy)
    if not cleaned:
        return Checked([], [], None)
    try:
        matrix = as_matrix([copy.vector for copy in cleaned], dimension, metric, "vector")
    except InvalidRecord:
        for place, copy in enumerate(cleaned):
            try:
                as_row(copy.vector, dimension, metric, "vector")
            except InvalidRecord as error:
                raise _named(error, place, copy) from None
        raise
    return Checked(cleaned, sizes, matrix)


def _named(error: InvalidRecord, place: int, embedding: records.Embedding) -> InvalidRecord:
    where = f"in embeddings[{place}]" + (f", whose id is {embedding.id!r}" if embedding.id else "")
    return InvalidRecord(error.field, f"{error.problem} ({where})")


def last_of_each(embeddings: Sequence[records.Embedding]) -> list[int]:
    """The place of the last embedding of each id, by id: who writes in one order never waits in a ring."""
    last = {embedding.id: place for place, embedding in enumerate(embeddings)}
    return [last[id] for id in sorted(last)]


def by_score(results: dict[int, records.SearchResult], scores: dict[int, float]) -> list[records.SearchResult]:
    """The results with scores that are known, best first, ties by id."""
    for key, result in results.items():
        result.score = scores[key]
    return sorted(results.values(), key=lambda result: (-result.score, result.id))


class Question:
    """A search's arguments, checked."""

    def __init__(self, dimension: int, metric: str, query: Any, top_k: int, filter: Any, text: str | None) -> None:  # noqa: A002
        self.metric: str = metric
        #: The query as an array of float32.
        self.vector: Any = as_row(float32.vector(query, "query"), dimension, metric, "query")
        self.top_k: int = min(codec.integer(top_k, "top_k"), _ALL)
        self.filter: And = filters.parse(filter)
        self.text: str | None = None if text is None else codec.string(text, "text", codec.MAX_TEXT)
        if self.text is not None and (words := len(_WORD.findall(self.text))) > codec.MAX_WORDS:
            raise InvalidRecord("text", f"has {words:,} words; at most {codec.MAX_WORDS:,} are looked for")
