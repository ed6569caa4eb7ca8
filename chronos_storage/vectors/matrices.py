"""Collections in memory, for exact search: matrices of float32 in blocks, and a bounded cache of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connections

from .. import codec
from ..filters import And
from ..forks import PerProcess
from .metrics import lengths, rough_scores, scores

#: Bytes of a block's vectors: few blocks, as each begins another product.
_BLOCK_BYTES = 32 * 1024 * 1024
#: What a parsed metadata object takes in memory, in multiples of its text's length, and besides.
_METADATA_FACTOR, _METADATA_BYTES = 8, 300

_PAGE = """
    SELECT id, embedding_id, vector, metadata FROM chronos_vectors_embedding
    WHERE collection_id = %s AND embedding_id > %s ORDER BY embedding_id LIMIT %s
"""


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a collection, in the order of their ids.

    Attributes:
        keys: their primary keys, an array of int64.
        matrix: their vectors, a row each, an array of float32.
        lengths: the vectors' lengths.
        metadata: their metadata.
        size: the bytes all this takes, about.
    """

    keys: Any
    matrix: Any
    lengths: Any
    metadata: list[dict[str, Any]]
    size: int

    def candidates(self, metric: str, query: Any, count: int, filter: And) -> Any:  # noqa: A002
        """The places of the rows that match and may be among the `count` nearest to the query, in no order."""
        matrix, lengths, chosen = self.matrix, self.lengths, None
        if filter.parts:
            places = (place for place, metadata in enumerate(self.metadata) if filter.matches(metadata))
            chosen = np.fromiter(places, dtype=np.int64)
            matrix, lengths = matrix[chosen], lengths[chosen]
        if len(matrix) > count:
            rough, error = rough_scores(metric, query, matrix, lengths)
            # So many are at least as near as this; float64 then tells which of those that may be nearer are.
            bound = np.partition(rough - error, -count)[-count]
            found = np.flatnonzero(rough + error >= bound)
        else:
            found = np.arange(len(matrix))
        return found if chosen is None else chosen[found]

    def matching(self, filter: And) -> set[int]:  # noqa: A002
        """The keys of the rows that match."""
        return {int(key) for key, metadata in zip(self.keys, self.metadata, strict=True) if filter.matches(metadata)}


def nearest(
    blocks: Iterator[Block],
    metric: str,
    query: Any,
    count: int,
    filter: And,  # noqa: A002
) -> dict[int, float]:
    """The `count` rows that match and are nearest to the query, best first, ties by id: by their keys, the scores.

    Args:
        query: an array of float32.
    """
    best: list[tuple[float, int, int]] = []  # minus the score, place, key
    before = 0
    for block in blocks:
        places = block.candidates(metric, query, count, filter)
        exact = scores(metric, query, block.matrix[places])
        found = zip(exact, places.tolist(), block.keys[places].tolist(), strict=True)
        best = sorted([*best, *((-score, before + place, key) for score, place, key in found)])[:count]
        before += len(block.keys)
    return {key: -score for score, _, key in best}


def read(using: str, collection_id: int, dimension: int) -> Iterator[Block]:
    """All rows of a collection, block by block."""
    last = ""
    at_once = max(1, _BLOCK_BYTES // (4 * dimension))
    while True:
        with connections[using].cursor() as cursor:
            # The empty string is no id, so that every row is after it.
            cursor.execute(_PAGE, [collection_id, last, at_once])
            rows = cursor.fetchall()
        if rows:
            last = rows[-1][1]
            yield _block(rows, dimension)
        if len(rows) < at_once:
            return


def _block(rows: list[Any], dimension: int) -> Block:
    matrix = np.frombuffer(b"".join(row[2] for row in rows), dtype="<f4").reshape(len(rows), dimension)
    matrix = matrix.astype(np.float32, copy=False)
    texts = sum(len(row[3]) for row in rows)
    return Block(
        keys=np.array([row[0] for row in rows], dtype=np.int64),
        matrix=matrix,
        lengths=lengths(matrix),
        metadata=[codec.loads(row[3]) for row in rows],
        size=matrix.nbytes + _METADATA_FACTOR * texts + _METADATA_BYTES * len(rows),
    )


class Cache(PerProcess):
    """The blocks of the collections searched last.

    Args:
        limit: how many bytes they may take together. A larger collection is not kept: it is read for every search.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: OrderedDict[tuple[str, int], tuple[str, list[Block]]] = OrderedDict()
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.Lock()

    def blocks(self, using: str, collection_id: int, dimension: int, version: str, *, keep: bool) -> Iterator[Block]:
        """The blocks of a collection as it was in this version or later.

        Args:
            version: as read before, so that what is read afterwards is at least as new.
            keep: whether others, too, would read what is read now.
        """
        key = using, collection_id
        with self._lock:
            kept_version, kept = self._kept.get(key, ("", []))
            if kept_version == version:
                self._kept.move_to_end(key)
        if kept_version == version:
            yield from kept
            return
        blocks: list[Block] | None = [] if keep else None
        for block in read(using, collection_id, dimension):
            yield block
            if blocks is not None:
                blocks.append(block)
                if sum(each.size for each in blocks) > self.limit:
                    blocks = None
        self._keep(key, version, blocks)

    def _keep(self, key: tuple[str, int], version: str, blocks: list[Block] | None) -> None:
        with self._lock:
            self._kept.pop(key, None)
            if blocks is None:
                return
            self._kept[key] = version, blocks
            while sum(block.size for _, kept in self._kept.values() for block in kept) > self.limit:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
