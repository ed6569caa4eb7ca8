"""Embeddings that are given to be kept, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .. import codec, records
from ..exceptions import AlreadyExists, InvalidRecord
from ..redaction import redacted
from .metrics import METRICS, as_matrix, as_row

#: Bytes of one statement, below MariaDB's default limit of 16 MiB even where each byte takes two.
_STATEMENT_BYTES = 4 * 1024 * 1024


def checked_collection(name: str, dimension: int, metric: str, most: int) -> records.Collection:
    """A collection that can be made.

    Args:
        most: the largest dimension that the store keeps.

    Raises:
        InvalidRecord: naming what can't be.
    """
    asked = records.Collection(name=name, dimension=dimension, metric=metric).cleaned()
    if not asked.name:
        raise InvalidRecord("name", "is empty")
    if not 1 <= asked.dimension <= most:
        raise InvalidRecord("dimension", f"must be between 1 and {most:,}, not {asked.dimension}")
    if asked.metric not in METRICS:
        raise InvalidRecord("metric", f"must be one of {', '.join(METRICS)}, not {asked.metric!r}")
    return asked


def same_collection(asked: records.Collection, stored: records.Collection) -> records.Collection:
    """The collection that is there.

    Raises:
        AlreadyExists: it has another shape than the one that was asked for.
    """
    if stored != asked:
        raise AlreadyExists(
            f"the collection {asked.name!r} is there already, with {stored.dimension} dimensions and the metric"
            f" {stored.metric}"
        )
    return stored


@dataclass(frozen=True, slots=True)
class Checked:
    """Embeddings that a collection can keep.

    Attributes:
        embeddings: copies of those given, empty ids filled in.
        metadata: the JSON of each one's.
        sizes: about how many bytes each takes in a statement.
        matrix: their vectors, a row each.
    """

    embeddings: list[records.Embedding]
    metadata: list[str]
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
    texts = []
    sizes = []
    for embedding in given:
        # Of a search's result, the embedding: a score is the question's, and no field of what is kept.
        plain = records.Embedding.of(embedding, "embeddings")
        try:
            copy = redacted(plain)
            metadata = codec.dumps(copy.metadata, "metadata")
        except InvalidRecord as error:
            raise _named(error, len(cleaned), embedding) from None
        texts.append(metadata)
        sizes.append(4 * dimension + codec.bytes_of(copy.content) + codec.bytes_of(metadata))
        if not copy.id:
            copy.complete()
        cleaned.append(copy)
    if not cleaned:
        return Checked([], [], [], None)
    try:
        matrix = as_matrix([copy.vector for copy in cleaned], dimension, metric, "vector")
    except InvalidRecord:
        for place, copy in enumerate(cleaned):
            try:
                as_row(copy.vector, dimension, metric, "vector")
            except InvalidRecord as error:
                raise _named(error, place, copy) from None
        raise
    return Checked(cleaned, texts, sizes, matrix)


def _named(error: InvalidRecord, place: int, embedding: records.Embedding) -> InvalidRecord:
    where = f"in embeddings[{place}]" + (f", whose id is {embedding.id!r}" if embedding.id else "")
    return InvalidRecord(error.field, f"{error.problem} ({where})")


def last_of_each(embeddings: Sequence[records.Embedding]) -> list[int]:
    """The place of the last embedding of each id, by id: who writes in one order never waits in a ring."""
    last = {embedding.id: place for place, embedding in enumerate(embeddings)}
    return [last[id] for id in sorted(last)]
