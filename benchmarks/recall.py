"""How many of the nearest a filtered search finds on PostgreSQL, and whether it is slower than sorting all that match.

The rows that match are chosen at random, or are those nearest to the query, or those farthest from it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
from django.core.management import call_command

from chronos_storage.jsonb import condition
from chronos_storage.records import Embedding
from chronos_storage.vectors.questions import Question
from chronos_storage.vectors.stores import database_store

from .databases import Vendor
from .measure import Figure
from .vectors import Sample, there_is_data

KINDS = ("random", "near", "far")
#: Which part of the rows matches, in percent.
PARTS = (0.1, 0.5, 1, 2, 5, 10, 25, 50, 90)
TOP_KS = (1, 10, 100)
#: How often each search is timed.
_TIMES = 3
#: Where the rows, by their nearness to a query, are divided, so that each part from either end is some whole bands.
_BANDS = sorted({*PARTS, *(100 - part for part in PARTS)})


@dataclass(slots=True)
class Cell:
    """What came out for some of the searches.

    Attributes:
        recalls: of each search, the part of the true nearest that it found.
        seconds: that each took, and that sorting all that match took.
    """

    recalls: list[float] = field(default_factory=list)
    seconds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The mean."""
        return sum(self.recalls) / len(self.recalls)

    @property
    def slower(self) -> float:
        """How much longer a search took than the sorting."""
        return median(mine / theirs for mine, theirs in self.seconds)


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group: by kind and top_k, those of the worst part."""
    if not vendor.has_bars or not there_is_data():
        return
    cells = measured(vendor, queries=4 if quick else 16)
    for kind in KINDS:
        for top_k in TOP_KS:
            parts = {part: cells[kind, part, top_k] for part in PARTS}
            worst = min(parts, key=lambda part: parts[part].recall)
            recall = parts[worst].recall
            yield Figure(
                name=f"recall@{top_k}, {kind} rows match, worst of {len(PARTS)}: {worst:g}%",
                unit="",
                ours=recall,
                other=1,
                ratio=recall,
                against="float64",
                at_least=0.97,
            )
            slowest = max(parts, key=lambda part: parts[part].slower)
            seconds = parts[slowest].seconds
            yield Figure(
                name=f"search for {top_k}, {kind} rows match, slowest: {slowest:g}%",
                unit="ms",
                ours=median(1000 * mine for mine, _ in seconds),
                other=median(1000 * theirs for _, theirs in seconds),
                ratio=parts[slowest].slower,
                against="all sorted",
                rounds=seconds,
            )


def measured(vendor: Vendor, queries: int) -> dict[tuple[str, float, int], Cell]:
    """By kind, part and top_k; every search must give as many as there are, best first."""
    sample = Sample(queries)
    vectors = sample.vectors.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # The place of each row: by its nearness to each query, and at random.
    orders = [np.argsort(-(vectors @ query.astype(np.float64)), kind="stable") for query in sample.queries]
    shuffled = np.random.default_rng(5).permutation(len(vectors))
    bands = {f"q{number}": _bands(order) for number, order in enumerate(orders)} | {"random": _bands(shuffled)}
    cells = {(kind, part, top_k): Cell() for kind in KINDS for part in PARTS for top_k in TOP_KS}
    with vendor.database() as database:
        alias: str = database.storage.alias
        call_command("migrate", "chronos_vectors", database=alias, verbosity=0)
        store: Any = database_store(using=alias)
        store.create_collection("docs", vectors.shape[1])
        store.upsert(
            "docs",
            [
                Embedding(
                    id=str(place), vector=vector, metadata={name: int(band[place]) for name, band in bands.items()}
                )
                for place, vector in enumerate(sample.vectors)
            ],
        )
        store.close()  # waits for the index
        database.analyze()
        for number, (query, order) in enumerate(zip(sample.queries, orders, strict=True)):
            for kind, part, top_k in cells:
                name = "random" if kind == "random" else f"q{number}"
                wanted = [place for place, edge in enumerate([*_BANDS, 100]) if _is_in(edge, kind, part)]
                matching = np.isin(bands[name], wanted)
                truth = [str(place) for place in order[matching[order]][:top_k]]
                _search(store, cells[kind, part, top_k], query, {name: {"$in": wanted}}, top_k, truth)
        store.close()
    return cells


def _bands(order: Any) -> Any:
    """The band of each row, by its place in an order."""
    places = np.empty(len(order), dtype=int)
    places[order] = np.arange(len(order))
    return np.searchsorted(np.array(_BANDS) / 100 * len(order), places, side="right")


def _is_in(edge: float, kind: str, part: float) -> bool:
    """Whether the band that ends there is of this part of the rows."""
    return edge > 100 - part if kind == "far" else edge <= part


def _search(store: Any, cell: Cell, query: Any, filter: dict[str, Any], top_k: int, truth: list[str]) -> None:  # noqa: A002
    found = [each.id for each in store.search("docs", query, top_k, filter=filter)]
    assert len(found) == len(truth), f"{len(found)} results, where {len(truth)} match"
    cell.recalls.append(len({*found} & {*truth}) / len(truth))
    shape = store._shape("docs")
    question = Question(shape.dimension, shape.metric, query, top_k, filter, None)
    for _ in range(_TIMES):
        start = time.perf_counter()
        store.search("docs", query, top_k, filter=filter)
        middle = time.perf_counter()
        store._exactly(shape, question, condition(question.filter, "metadata"), prepare=True).results()
        cell.seconds.append((middle - start, time.perf_counter() - middle))
