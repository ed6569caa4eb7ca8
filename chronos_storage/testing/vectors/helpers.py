"""What the tests of every group share."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ...exceptions import NotSupported
from ...records import Embedding, SearchResult
from ...vectors.base import Capability, Metric, VectorStore

METRICS: tuple[Metric, ...] = ("cosine", "l2", "inner_product")
#: Strings that a careless store takes for one another, or for something else than a string.
ODD_STRINGS = [
    *("x", "X", "x ", " x", "\u00e9", "e\u0301", "\u00df", "ss", "1", "01", "1e5", "-1", "true", "null", "NaN"),
    *("a:b", "a/b?", "$x", "$", "#", "?", "*", "%", "_", "a%b", "%s", "%(x)s", "{}", "{x}", "\\", "\\\\", "a\\b"),
    *("..", "../x", "'", '"', "`", "''", "x'--", "'; DROP TABLE x; --", "[x]", "\t", "\n", " ", "\x01", "a.b"),
    *("\u200b", "\uffff", "\U0001f642", "\U0010ffff", "a,b", "a;b", "a\nb", "l" * 255, "\U0001f642" * 255),
]


def numbers(count: int, dimension: int, seed: int = 0) -> list[list[float]]:
    """So many vectors of normally distributed numbers, the same for a seed."""
    source = random.Random(seed)  # noqa: S311
    return [[source.gauss(0, 1) for _ in range(dimension)] for _ in range(count)]


def similarity(metric: str, first: list[float], second: list[float]) -> float:
    """The score, by its definition."""
    product = math.fsum(a * b for a, b in zip(first, second, strict=True))
    if metric == "inner_product":
        return product
    if metric == "cosine":
        return product / math.hypot(*first) / math.hypot(*second)
    return 1 / (1 + math.dist(first, second))


def ids(results: Iterable[Any]) -> list[str]:
    """The ids of records."""
    return [result.id for result in results]


def points(store: VectorStore, *metadata: dict[str, Any], collection: str = "c") -> list[Embedding]:
    """A new collection of one dimension by l2, with an embedding a metadata: "0" at 0.0, "1" at 1.0 …"""
    store.create_collection(collection, 1, metric="l2")
    return store.upsert(
        collection,
        [Embedding(id=str(place), vector=[float(place)], metadata=each) for place, each in enumerate(metadata)],
    )


def found(store: VectorStore, filter: Any, collection: str = "c") -> list[str]:  # noqa: A002
    """The ids of what a filter matches, in their order."""
    results: list[SearchResult] = store.search(collection, [0.0], 1_000, filter=filter)
    return sorted(ids(results), key=int)


@contextmanager
def needs(store: VectorStore, capability: Capability) -> Iterator[None]:
    """A block that has to work; or where the store declares that it lacks the capability, has to be refused.

    Without the declaration `NotSupported` is an error like any other.
    """
    if capability not in store.lacks:
        yield
        return
    with pytest.raises(NotSupported):
        yield
    pytest.skip(f"declared: {type(store).__name__} lacks {capability.value}")
