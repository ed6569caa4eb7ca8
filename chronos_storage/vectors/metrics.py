"""How vectors are compared, by NumPy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exceptions import InvalidRecord

METRICS = ("cosine", "l2", "inner_product")
#: Lengths of vectors whose squares neither vanish nor overflow in float32, which databases compute with.
_SHORTEST, _LONGEST = 1e-15, 1e18


def check_vector(vector: list[float], dimension: int, metric: str, field: str) -> None:
    """Refuse a vector that a collection of this shape can't compare."""
    if len(vector) != dimension:
        raise InvalidRecord(field, f"has {len(vector)} dimensions; the collection's have {dimension}")
    length = math.hypot(*vector)
    if length > _LONGEST:
        raise InvalidRecord(field, f"has the length {length:g}; at most {_LONGEST:g} can be compared")
    if metric == "cosine" and length < _SHORTEST:
        raise InvalidRecord(field, "has no direction, being of length 0, which the metric cosine compares by")


def scores(metric: str, query: Sequence[float], vectors: Any) -> list[float]:
    """The similarity of each of the vectors to the query, computed in float64: the same for every store."""
    if not len(vectors):
        return []
    rows, wanted = np.asarray(vectors, dtype=np.float64), np.asarray(query, dtype=np.float64)
    if metric == "l2":
        similar = 1 / (1 + np.linalg.norm(rows - wanted, axis=1))
    else:
        similar = rows @ wanted
        if metric == "cosine":
            similar = np.clip(similar / (np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted)), -1, 1)
    return [float(score) for score in similar]


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
