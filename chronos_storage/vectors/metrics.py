"""How vectors are compared, by NumPy."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import InvalidRecord

METRICS = ("cosine", "l2", "inner_product")
#: Lengths of vectors whose squares neither vanish nor overflow in float32, which databases compute with.
_SHORTEST, _LONGEST = 1e-15, 1e18
#: What a product in float32 may lose by being small, and a length below which it might be lost.
_TINY, _SHORT = np.float32(1.2e-38), np.float32(1e-30)
#: More than an inner product in float32 loses by being small.
_NOTHING = 1e-30


def as_matrix(vectors: Sequence[array[float]], dimension: int, metric: str, field: str) -> Any:
    """Vectors that a collection of this shape can compare, a row each, in an array of float32.

    Raises:
        InvalidRecord: naming `field`, where one can't be compared.
    """
    for vector in vectors:
        _refuse_other_dimension(vector, dimension, field)
    matrix = np.frombuffer(b"".join(vectors), dtype=np.float32).reshape(len(vectors), dimension)
    squares = np.einsum("ij,ij->i", matrix, matrix)
    _refuse_incomparable(squares.min(), squares.max(), metric, field)
    return matrix


def matrix_of(vectors: Sequence[bytes], dimension: int) -> Any:
    """Vectors that are kept as little-endian float32, a row each, in an array of float32."""
    return np.frombuffer(b"".join(vectors), dtype="<f4").reshape(len(vectors), dimension).astype(np.float32, copy=False)


def as_row(vector: array[float], dimension: int, metric: str, field: str) -> Any:
    """As `as_matrix`, of one vector; an array of float32."""
    _refuse_other_dimension(vector, dimension, field)
    row = np.frombuffer(vector, dtype=np.float32)
    wide = row.astype(np.float64)  # in which no square overflows
    square = float(wide.dot(wide))
    _refuse_incomparable(square, square, metric, field)
    return row


def _refuse_other_dimension(vector: array[float], dimension: int, field: str) -> None:
    if len(vector) != dimension:
        raise InvalidRecord(field, f"has {len(vector)} dimensions; the collection's have {dimension}")


def _refuse_incomparable(least: float, most: float, metric: str, field: str) -> None:
    """Refuse vectors by the squares of their lengths."""
    if most > _LONGEST**2:
        raise InvalidRecord(field, f"has the length {most**0.5:g}; at most {_LONGEST:g} can be compared")
    if metric == "cosine" and least < _SHORTEST**2:
        raise InvalidRecord(field, "has no direction, being of length 0, which the metric cosine compares by")


def scores(metric: str, query: Any, vectors: Any) -> list[float]:
    """The similarity of each of the vectors to the query, computed in float64: the same for every store.

    Equal vectors have equal scores, whatever stands beside them, and a vector has the score 1 to itself by cosine and
    l2.

    Args:
        query: an array of float32.
        vectors: a matrix of float32, or of those as float64, a vector a row.
    """
    rows, wanted = vectors.astype(np.float64, copy=False), query.astype(np.float64)
    # In few calls of NumPy's, each of which takes longer than the arithmetic of a few rows.
    if metric == "l2":
        rows = rows - wanted
        return [1 / (1 + math.sqrt(square)) for square in _products(rows, rows)]
    products = _products(rows, wanted)
    if metric == "inner_product":
        return products
    square = float(np.vecdot(wanted, wanted))
    cosines = [product / math.sqrt(own * square) for product, own in zip(products, _products(rows, rows), strict=True)]
    # Rounding may take it beyond.
    return [cosine if -1.0 <= cosine <= 1.0 else math.copysign(1.0, cosine) for cosine in cosines]


def _products(rows: Any, others: Any) -> list[float]:
    """The inner products of rows, each added up alike: a matrix product's last bits depend on the row's place."""
    products: list[float] = np.vecdot(rows, others).tolist()
    return products


def lengths(matrix: Any) -> Any:
    """The length of each row of float32, in float32, whose own squares might vanish."""
    return np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64)).astype(np.float32)


def rough_scores(metric: str, query: Any, block: Any, lengths: Any) -> tuple[Any, Any]:
    """What orders the rows of a block as `scores` does, but for an error; quickly, in float32.

    Args:
        query: an array of float32; for cosine its length doesn't matter.
        block: a matrix of float32, a vector a row.
        lengths: the rows' lengths.

    Returns:
        The numbers, and the most by which each, or all, may be off.
    """
    dimension = len(query)
    off, least = relative_error(dimension), dimension * _TINY
    if metric == "l2":
        apart = block - query
        squares = np.einsum("ij,ij->i", apart, apart)
        return -squares, off * squares + least
    similar, length = block @ query, float(np.linalg.norm(query.astype(np.float64)))
    if metric == "cosine":
        return similar / lengths, np.float32(off * length)
    return similar, np.float32(off * length) * np.maximum(lengths, _SHORT) + least


def beyond(metric: str, query: Any, vectors: Any, similar: list[float]) -> float:
    """The highest score that another vector may have which float32 takes for no nearer than any of these.

    Args:
        query: an array of float32.
        vectors: a matrix of float32, or of those as float64, a vector a row.
        similar: their scores.
    """
    error = 2 * relative_error(len(query))
    if metric == "inner_product":
        off = error * float(lengths(query[np.newaxis])[0]) * lengths(vectors).astype(np.float64)
        return float((similar + off).min()) + _NOTHING
    lowest = min(similar)
    return lowest + error * (lowest if metric == "l2" else 1)


def prolonged(query: Any) -> Any:
    """A query as long as one may be, an array of float32: the order of its inner products stays the same."""
    length = float(lengths(query[np.newaxis])[0])
    return np.ldexp(query, math.floor(math.log2(_LONGEST / length))) if length else query


def relative_error(dimension: int) -> float:
    """How far a sum of so many products in float32 may be off, whatever the order, relative to the factors' lengths.

    That is numerical analysis' bound, dimension · 2⁻²⁴, twice: for the rounding of differences and quotients besides.
    """
    return float((dimension + 8) * 2.0**-23)


def first_beyond(matrix: Any, most: float) -> int | None:
    """The place of the first row of an array of float32 that holds a number larger than this, with either sign."""
    found = np.flatnonzero(np.abs(matrix).max(axis=1) > most)
    return int(found[0]) if len(found) else None
