"""Hybrid search: one ranking out of several.

Reciprocal rank fusion as in Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual
Rank Learning Methods", SIGIR 2009: the score is the sum, over the rankings, of 1/(60 + rank), the best having rank 1.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

H = TypeVar("H", bound=Hashable)

CONSTANT = 60


def depth(top_k: int) -> int:
    """How many places of each ranking are fused for `top_k` results."""
    return max(64, 2 * top_k)  # as many as a scan of an index looks at


def fuse(*rankings: Sequence[H]) -> dict[H, float]:
    """The fused score of everything that stands in some ranking."""
    scores: dict[H, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(ranking, 1):
            scores[item] = scores.get(item, 0.0) + 1 / (CONSTANT + rank)
    return scores
