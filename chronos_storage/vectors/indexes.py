"""The indexes of each collection on PostgreSQL, HNSW for its vectors and GIN for the words of its contents.

They are partial, on the rows of one collection only, so that collections of different dimensions stand in one table.
Small collections have none: each costs every search of the table some planning.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connections

#: From so many embeddings on a collection has its indexes.
INDEXED_FROM = 10_000
#: The most dimensions that HNSW takes of ``vector`` and of ``halfvec``.
MAX_VECTOR, MAX_HALFVEC = 2_000, 4_000
#: The largest number of a ``halfvec``.
MAX_HALF = 65_504
#: The content as an index holds its words: a ``tsvector`` can't be larger than a megabyte.
WORDS = "to_tsvector('english', left(content, 100000))"
#: By metric: pgvector's operator of its distance, and the end of its operator classes' names.
OPERATORS = {"cosine": ("<=>", "cosine_ops"), "l2": ("<->", "l2_ops"), "inner_product": ("<#>", "ip_ops")}

TABLE = "chronos_vectors_embedding"
#: The key of the advisory lock that all work on the indexes takes: any number of our own, of 31 bits.
LOCK = 0x43565354

#: The statement that a `Shape` is read by.
SHAPE = """
    SELECT c.id, c.dimension, c.metric, c.m, c.ef_construction, c.ef_search, coalesce(i.indisvalid, FALSE),
           coalesce((SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = i.indexrelid), 0)
    FROM chronos_vectors_collection AS c
    LEFT JOIN pg_index AS i ON i.indexrelid = to_regclass('chronos_vectors_' || c.id || '_hnsw')
    WHERE c.name = %s
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a statement has to know of a collection.

    Attributes:
        indexed: whether its HNSW index is there and complete.
        rows: how many rows the index has, about.
    """

    id: int
    dimension: int
    metric: str
    m: int
    ef_construction: int
    ef_search: int
    indexed: bool
    rows: int

    @property
    def kind(self) -> str:
        """pgvector's type that the index is on."""
        return "vector" if self.dimension <= MAX_VECTOR else "halfvec"

    @property
    def operator(self) -> str:
        """The operator that gives the distance."""
        return OPERATORS[self.metric][0]

    @property
    def expression(self) -> str:
        """What the index is on."""
        return f"(vector::{self.kind}({self.dimension}))"


def definitions(shape: Shape) -> dict[str, str]:
    """By name: what each index is on, and how."""
    where = f"WHERE collection_id = {shape.id}"
    operators = f"{shape.kind}_{OPERATORS[shape.metric][1]}"
    parameters = f"m = {shape.m}, ef_construction = {shape.ef_construction}"
    return {
        f"chronos_vectors_{shape.id}_words": f"USING gin ({WORDS}) {where}",
        # Last: a search takes its being there for the sign that both are.
        f"chronos_vectors_{shape.id}_hnsw": f"USING hnsw ({shape.expression} {operators}) WITH ({parameters}) {where}",
    }


def state(alias: str, collection_id: int) -> tuple[str, int]:
    """The state of a collection's HNSW index, see `CollectionStats`, and its bytes."""
    hnsw = f"chronos_vectors_{collection_id}_hnsw"
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, i.indisvalid, pg_relation_size(c.oid)"
            " FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid"
            f" WHERE i.indrelid = '{TABLE}'::regclass AND c.relname ~ %s",
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
