"""The indexes of each collection on PostgreSQL, HNSW for its vectors and GIN for the words of its contents.

They are partial, on the rows of one collection only, so that collections of different dimensions stand in one table.
Small collections have none: each costs every search of the table some planning.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from django.contrib.postgres.indexes import OpClass
from django.db import connections
from django.db.models import F, Q, Value
from django.db.models.expressions import OrderBy
from django.db.models.functions import Cast, Collate
from pgvector.django import CosineDistance, HalfVectorField, HnswIndex, L2Distance, MaxInnerProduct, VectorField

from ..compat.queries import expression_sql
from ..compat.schema import index_statement
from .models import Embedding
from .tsvectors import ALL_WORDS, KEPT_WORDS

#: From so many embeddings on a collection has its indexes.
INDEXED_FROM = 10_000
#: The most dimensions that HNSW takes of ``vector`` and of ``halfvec``.
MAX_VECTOR, MAX_HALFVEC = 2_000, 4_000
#: The largest number of a ``halfvec``.
MAX_HALF = 65_504
#: By metric: the expression of its distance, and the end of its operator classes' names.
_DISTANCES: dict[str, tuple[Any, str]] = {
    "cosine": (CosineDistance, "cosine_ops"),
    "l2": (L2Distance, "l2_ops"),
    "inner_product": (MaxInnerProduct, "ip_ops"),
}

TABLE = "chronos_vectors_embedding"
#: Those that have the collections' indexes.
TABLES = f"('{TABLE}'::regclass, to_regclass('{KEPT_WORDS}'))"
#: The key of the advisory lock that all work on the indexes takes: any number of our own, of 31 bits.
LOCK = 0x43565354

#: Another schema on the search path has indexes of these names too.
_SHAPES = f"""
    SELECT c.id, c.dimension, c.metric, c.m, c.ef_construction, c.ef_search, coalesce(i.indisvalid, FALSE),
           coalesce((SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = i.indexrelid), 0),
           c.worded = {ALL_WORDS}
    FROM chronos_vectors_collection AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass('chronos_vectors_' || c.id || '_hnsw')
        AND i.indrelid IN {TABLES}
"""
#: The statement that a `Shape` is read by, and the one for those of all collections that were indexed without words, or
#: with what was kept of them before.
SHAPE, UNWORDED = f"{_SHAPES} WHERE c.name = %s", f"{_SHAPES} WHERE i.indisvalid AND c.worded < {ALL_WORDS}"


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement has to know of a collection.

    Attributes:
        using: the alias of its database.
        indexed: whether its HNSW index is there and complete.
        rows: how many rows the index has, about.
        worded: whether the words of its contents are kept, all of them, with their index.
    """

    using: str
    id: int
    dimension: int
    metric: str
    m: int
    ef_construction: int
    ef_search: int
    indexed: bool
    rows: int
    worded: bool

    @property
    def kind(self) -> str:
        """pgvector's type that the index is on."""
        return "vector" if self.dimension <= MAX_VECTOR else "halfvec"

    @property
    def distance(self) -> str:
        """The distance of a row's vector to a parameter."""
        return _distance(self.using, self.metric, None)

    @property
    def indexed_distance(self) -> str:
        """The same as the index has it, of the type and dimension that it is on."""
        return _distance(self.using, self.metric, self.dimension)


def _of_dimension(expression: Any, dimension: int) -> Any:
    """A vector as HNSW takes it: by its dimension, of one type or the other."""
    kind: Any = VectorField if dimension <= MAX_VECTOR else HalfVectorField
    return Cast(expression, kind(dimensions=dimension))


@cache
def _distance(using: str, metric: str, dimension: int | None) -> str:
    vectors = [F("vector"), Value("")]
    if dimension is not None:
        vectors = [_of_dimension(vector, dimension) for vector in vectors]
    return expression_sql(using, Embedding, _DISTANCES[metric][0](*vectors))


def hnsw(shape: Shape, ending: str = "") -> tuple[str, str]:
    """The name of the index of a collection's vectors, and the statement that builds it beside the work of others.

    Args:
        ending: appended to its name.
    """
    name, on_it = f"chronos_vectors_{shape.id}_hnsw", Q(collection_id=shape.id)
    operators = OpClass(_of_dimension(F("vector"), shape.dimension), f"{shape.kind}_{_DISTANCES[shape.metric][1]}")
    index = HnswIndex(
        operators, name=f"{name}{ending}", m=shape.m, ef_construction=shape.ef_construction, condition=on_it
    )
    return name, index_statement(shape.using, Embedding, index, (OrderBy, OpClass, Collate))


def words(shape: Shape, ending: str = "") -> tuple[str, str]:
    """The same of its words."""
    name = f"chronos_vectors_{shape.id}_words"
    # A pending list would have to be read by every search until a vacuum comes.
    return name, (
        f"CREATE INDEX CONCURRENTLY {name}{ending} ON {KEPT_WORDS} USING gin (words) WITH (fastupdate = off)"
        f" WHERE collection_id = {shape.id}"
    )


def state(alias: str, collection_id: int) -> tuple[str, int]:
    """The state of a collection's HNSW index, see `CollectionStats`, and its bytes."""
    hnsw = f"chronos_vectors_{collection_id}_hnsw"
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, i.indisvalid, pg_relation_size(c.oid)"
            " FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
            f" WHERE i.indrelid IN {TABLES} AND c.relname ~ %s",
            [f"^chronos_vectors_{collection_id}_(hnsw|words)(_new)?$"],
        )
        found = cursor.fetchall()
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database()))",
            [LOCK],
        )
        [under_way] = cursor.fetchone()
    size = next((size for name, is_valid, size in found if is_valid and name == hnsw), None)
    is_whole = all(is_valid and not name.endswith("_new") for name, is_valid, _ in found) and size is not None
    if found and not is_whole and not under_way:
        return "broken", size or 0
    return ("ready" if size is not None else "building" if found else "none"), size or 0
