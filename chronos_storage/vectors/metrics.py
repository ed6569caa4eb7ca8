"""How vectors are compared, by NumPy."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import InvalidRecord

METRICS = ("cosine", "l2", "inner_product")
#: Lengths of vectors whose squares neither vanish nor overflow in float32, which databases compute with.
_SHORTEST, _LONGEST = 1e-15, 1e18


def as_matrix(vectors: Sequence[array[float]], dimension: int, metric: str, field: str) -> Any:
    """Vectors that a collection of this shape can compare, a row each, in an array of float32.

    Raises:
        InvalidRecord: naming `field`, where one can't be compared.
    """
    for vector in vectors:
        if len(vector) != dimension:
            raise InvalidRecord(field, f"has {len(vector)} dimensions; the collection's have {dimension}")
    matrix = np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(len(vectors), dimension)
    squares = np.einsum("ij,ij->i", matrix, matrix)
    if (longest := squares.max()) > _LONGEST**2:
        raise InvalidRecord(field, f"has the length {longest**0.5:g}; at most {_LONGEST:g} can be compared")
    if metric == "cosine" and squares.min() < _SHORTEST**2:
        raise InvalidRecord(field, "has no direction, being of length 0, which the metric cosine compares by")
    return matrix


def scores(metric: str, query: Any, vectors: Any) -> list[float]:
    """The similarity of each of the vectors to the query, computed in float64: the same for every store.

    Args:
        query: an array of float32.
        vectors: a matrix of float32, a vector a row.
    """
    rows, wanted = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "l2":
        rows -= wanted
        similar = 1 / (1 + np.sqrt(np.einsum("ij,ij->i", rows, rows)))
    else:
        similar = rows @ wanted
        if metric == "cosine":
            similar /= np.sqrt(np.einsum("ij,ij->i", rows, rows) * (wanted @ wanted))
            np.minimum(similar, 1, out=similar)
            np.maximum(similar, -1, out=similar)
    found: list[float] = similar.tolist()
    return found


def rough_scores(metric: str, query: Any, block: Any, lengths: Any) -> Any:
    """What orders the rows of a block as `scores` would, quickly: an array of float32.

    Args:
        query: an array of float32; for cosine its length doesn't matter.
        block: a matrix of float32, a vector a row.
        lengths: the rows' lengths.
    """
    if metric == "l2":
        apart = block - query
        return -np.einsum("ij,ij->i", apart, apart)
    similar = block @ query
    return similar / lengths if metric == "cosine" else similar
