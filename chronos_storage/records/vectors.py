from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from .. import codec, float32
from . import fields
from .base import Record


@dataclass(slots=True, kw_only=True)
class Collection(Record):
    """A named set of embeddings that can be compared: of one dimension, by one metric.

    Attributes:
        dimension: how many numbers each vector has.
        metric: ``cosine``, ``l2`` or ``inner_product``.
    """

    name: str = fields.string()
    dimension: int = fields.number()
    metric: str = fields.field(codec.string, default="cosine")


@dataclass(slots=True, kw_only=True)
class Embedding(Record):
    """A content and the vector that stands for it; its id is unique within the collection.

    Attributes:
        vector: given as a list of numbers or a NumPy array; comes back as an ``array("f")``, Python's own array of
            float32, which NumPy takes as it lies in memory.
    """

    id: str = fields.string()
    vector: Any = fields.field(float32.vector, default=())
    content: str = fields.string(codec.MAX_TEXT)
    metadata: dict[str, Any] = fields.filterable()
    user_id: str = fields.string()


@dataclass(slots=True, kw_only=True)
class SearchResult(Embedding):
    """An embedding that a search found; its vector is empty where it was not asked for.

    Attributes:
        score: the similarity to the query, higher is better: the cosine, the inner product, or 1/(1 + distance) for
            l2; of a hybrid search, the fused ranks: the sum of 1/(60 + rank).
    """

    score: float = 0.0


@dataclass(slots=True, kw_only=True, frozen=True)
class CollectionStats:
    """What a vector store knows of a collection.

    Attributes:
        count: how many embeddings it has.
        size: the bytes its vectors take as float32.
        index: the state of its approximate index: ``none`` (searches are exact), ``building``, ``ready`` or
            ``broken`` (a build failed or was killed; reindex makes it again).
        index_size: the bytes the index takes.
        parameters: what the index is built and searched with.
    """

    name: str
    dimension: int
    metric: str
    count: int
    size: int
    index: str = "none"
    index_size: int = 0
    parameters: dict[str, int] = dataclasses.field(default_factory=dict)
