"""What the vector stores over Django's models share: all but how vectors are written, found and indexed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, TypeAlias

from django.db import connections, router, transaction
from django.db.models import QuerySet

from .. import codec, filters, records
from ..aliases import known_alias
from ..async_threads import release
from ..compat.queries import delete_unseen
from ..exceptions import ConfigurationError, NotFound
from ..filters import And
from ..ids import new_id
from ..ledger.pages import Columns, iterate
from ..snapshots import unless_unseen
from ..transactions import retried
from . import models
from .base import Collections, Embeddings, Metric, Results, VectorStore
from .given import checked_collection, same_collection
from .questions import Question, last_id

#: Parameters of one statement: SQLite may be built for 32,766 only.
_PARAMETERS = 10_000
#: What an embedding is made of.
_FIELDS = ("embedding_id", "vector", "content", "metadata", "user_id")

#: A search's arguments, that wait for the dimension and the metric of its collection.
Asked: TypeAlias = Callable[[int, str], Question]
_Rows: TypeAlias = "QuerySet[models.Embedding]"


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
        asked = checked_collection(name, dimension, metric, self.max_dimension)
        rows = models.Collection.objects.using(self.alias)
        defaults = {"dimension": asked.dimension, "metric": asked.metric, "version": new_id()}
        with unless_unseen():
            row, is_new = rows.get_or_create(name=asked.name, defaults=defaults)
        stored = _record(row)
        if is_new:
            self._begin(row.pk)
        return same_collection(asked, stored)

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
    def list_collections(self) -> Collections:
        return [_record(row) for row in self._collections().order_by("name")]

    @retried
    def get(self, collection: str, id: str) -> records.Embedding | None:
        found = self._embeddings(self._collection(collection)).filter(embedding_id=codec.string(id, "id"))
        row = found.first()
        return None if row is None else embedding_of(row)

    @retried
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
        def asked(dimension: int, metric: str) -> Question:
            page = partial(Question, offset=offset, group_by=group_by, include_vectors=include_vectors)
            return page(dimension, metric, query, top_k, filter, text)

        return self._search(codec.string(collection, "collection"), asked)

    @abstractmethod
    def _search(self, collection: str, asked: Asked) -> Results:
        """What answers a question."""

    @retried
    def get_many(self, collection: str, ids: Sequence[str]) -> Embeddings:
        rows = self._embeddings(self._collection(collection))
        wanted = [*set(codec.strings(ids, "ids"))]
        found = [row for some in some_at_a_time(wanted) for row in rows.filter(embedding_id__in=some)]
        return [embedding_of(row) for row in sorted(found, key=lambda row: row.embedding_id)]

    @retried
    def list(
        self,
        collection: str,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  (the interface's name)
        after: records.Embedding | str | None = None,
        limit: int | None = None,
    ) -> Embeddings:
        rows, tree = self._embeddings(self._collection(collection)), filters.parse(filter)
        if limit is not None and codec.integer(limit, "limit") == 0:
            return []
        if begin := last_id(after):
            rows = rows.filter(embedding_id__gt=begin)
        rows, left = self._narrowed(rows, tree)
        found = islice(self._matching(rows, left, *_FIELDS, first=limit), limit)
        return [_embedding(*fields) for fields in found]

    @retried
    def count(self, collection: str, *, filter: dict[str, Any] | None = None) -> int:  # noqa: A002
        rows, left = self._narrowed(self._embeddings(self._collection(collection)), filters.parse(filter))
        counted: int = sum(1 for _ in self._matching(rows, left, "pk")) if left.parts else rows.count()
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

    def _narrowed(self, rows: _Rows, tree: And) -> tuple[_Rows, And]:
        """The rows as far as the database can tell that they match, and what is left to look for in them."""
        return rows, tree

    def _matching(self, rows: _Rows, tree: And, *columns: str, first: int | None = None) -> Iterator[tuple[Any, ...]]:
        """What columns hold of the rows that match, by id."""
        # The ids, which tell where the next page begins, and the metadata stand before what is asked for.
        table = Columns(models.Embedding, "embedding_id", "metadata", *columns)
        for _, metadata, *asked in iterate(table, rows, "embedding_id", first=first):
            if tree.matches(metadata):
                yield tuple(asked)

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
    return _embedding(row.embedding_id, row.vector, row.content, row.metadata, row.user_id)


def _embedding(id: str, vector: Any, content: str, metadata: dict[str, Any], user_id: str) -> records.Embedding:
    return records.Embedding(id=id, vector=vector, content=content, metadata=metadata, user_id=user_id)


def some_at_a_time(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """The items in parts that SQLite takes as parameters of one statement."""
    return (items[start : start + _PARAMETERS] for start in range(0, len(items), _PARAMETERS))
