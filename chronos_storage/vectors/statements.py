"""The SQL of `PgVectorStore`.

A search is one statement, and there are two ways to the nearest vectors:

- `exactly`: the distance of every row that matches the filter, sorted. It can be bounded to so many rows, and tells
  whether there were more.
- `by_index`: the HNSW index, which gives rows by distance until enough match the filter (iterative scan).

Where words are searched for too, the places of the nearest vectors are fused with those of the best matching texts.

A partial index is used only where the collection's number stands in the statement itself, and the cast is the index's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .fusion import CONSTANT, depth
from .indexes import TABLE, Shape
from .metrics import relative_error
from .tsvectors import KEPT_WORDS, OFTEN, WORDS

#: A statement, or a part of one, and the parameters of its placeholders.
Part = tuple[str, list[Any]]

#: A filter that no more rows match is answered by sorting them, however small the collection.
_FEW = 2_000
#: What pgvector may look at in a scan, and take for it in multiples of work_mem: more than it needs.
_MOST_TUPLES, _MEMORY_FACTOR = 1_000_000, 16
#: The largest hnsw.ef_search that pgvector takes.
_MAX_EF_SEARCH = 1_000


@dataclass(frozen=True, slots=True)
class Nearest:
    """Common table expressions that end with ``nearest``: id, embedding_id, distance.

    Attributes:
        matched: the expression for how many rows were found to match the filter.
    """

    sql: str
    parameters: list[Any]
    matched: str


def nothing() -> Nearest:
    """No vectors: words alone are asked for."""
    sql = "nearest AS (SELECT 0::bigint AS id, ''::text AS embedding_id, 0::float8 AS distance WHERE FALSE)"
    return Nearest(sql, [], "0")


def exactly(shape: Shape, query: Any, matching: Part, count: int, *, at_most: int | None = None) -> Nearest:
    """The `count` nearest of all rows that match; with `at_most`, of so many of them and one more."""
    condition, parameters = matching
    bound = "" if at_most is None else f" LIMIT {at_most + 1}"
    return Nearest(
        f"matching AS MATERIALIZED (SELECT id, embedding_id, {shape.distance} AS distance"
        f" FROM {TABLE} WHERE collection_id = {shape.id} AND {condition}{bound}),"
        f" nearest AS (SELECT * FROM matching ORDER BY distance, embedding_id LIMIT {count})",
        [query, *parameters],
        "(SELECT count(*) FROM matching)",
    )


def by_index(shape: Shape, query: Any, matching: Part, count: int) -> Nearest:
    """The `count` nearest rows that match, as the index finds them."""
    columns = f"id, embedding_id, {shape.distance} AS distance"
    candidates, parameters = _candidates(shape, query, matching, count, columns)
    return Nearest(
        f"candidates AS MATERIALIZED ({candidates}),"
        f" nearest AS (SELECT * FROM candidates ORDER BY distance, embedding_id LIMIT {count})",
        [query, *parameters],
        "(SELECT count(*) FROM nearest)",
    )


def _candidates(shape: Shape, query: Any, matching: Part, count: int, columns: str) -> Part:
    condition, parameters = matching
    looked_at = min(max(shape.ef_search, count), _MAX_EF_SEARCH)
    # A halfvec's order is rough: more candidates, which their float32 then sorts.
    candidates = count if shape.kind == "vector" else max(4 * count, looked_at)
    # A condition without a column is evaluated once, before the scan begins: so the settings need no statement of
    # their own, and no transaction to end with. A scan that comes to a limit of pgvector's gives whatever it has seen,
    # which is not what is nearest: ours comes first.
    settings = (
        f"(SELECT set_config('hnsw.ef_search', '{looked_at}', true)"
        f" || set_config('hnsw.max_scan_tuples', '{_MOST_TUPLES}', true)"
        f" || set_config('hnsw.scan_mem_multiplier', '{_MEMORY_FACTOR}', true)"
        " || set_config('hnsw.iterative_scan', 'relaxed_order', true)) IS NOT NULL"
    )
    rows = f"{TABLE} AS e WHERE collection_id = {shape.id} AND {settings} ORDER BY {shape.indexed_distance}"
    if condition != "TRUE":
        # Among so many of the nearest enough match, if those that match are anywhere; if they are far, the caller sorts
        # all of them, which is sooner done than a deep scan, and finds the nearest.
        deepest = 2 * candidates * shape.rows // few(shape, candidates)
        rows = f"(SELECT * FROM {rows} LIMIT {max(deepest, 4 * candidates)}) AS e WHERE {condition}"
    return f"SELECT {columns} FROM {rows} LIMIT {candidates}", [query, *parameters]


def few(shape: Shape, top_k: int) -> int:
    """How many rows are sorted as soon as an index of all the collection is scanned for `top_k` of them."""
    return max(_FEW, math.isqrt(8 * top_k * shape.rows))


_COLUMNS = "e.embedding_id, e.vector, e.content, e.metadata::text, e.user_id"


def search_index(shape: Shape, query: Any, matching: Part, top_k: int) -> Part:
    """A search by vector alone, by the index; its rows are those of `search`, in the index's rough order."""
    return _candidates(shape, query, matching, top_k, _COLUMNS)


def search(shape: Shape, query: Any, matching: Part, count: int, *, at_most: int | None = None) -> Part:
    """A search by vector alone of all rows that match; with `at_most`, of so many of them and one more.

    Its rows, in no order: the embedding's columns, and with `at_most`, how many matched. They are the `count` nearest
    as far as pgvector can tell, which computes in float32; see `metrics.beyond`.
    """
    condition, parameters = matching
    least, least_parameters = _least(shape, query)
    kept, bound, matched = "NOT MATERIALIZED", "", ""
    if at_most is not None:
        kept, bound, matched = "MATERIALIZED", f" LIMIT {at_most + 1}", ", (SELECT count(*) FROM matching)"
    # Narrow rows: to sort whole ones would take longer than to fetch the winners again, by their place in the table.
    sql = (
        f"WITH matching AS {kept} (SELECT ctid AS place, embedding_id, {least} AS least FROM {TABLE}"
        f" WHERE collection_id = {shape.id} AND {condition}{bound}),"
        f" nearest AS (SELECT place FROM matching ORDER BY least, embedding_id LIMIT {count})"
        f" SELECT {_COLUMNS}{matched} FROM nearest JOIN {TABLE} AS e ON e.ctid = nearest.place"
    )
    return sql, [*least_parameters, *parameters]


def _least(shape: Shape, query: Any) -> Part:
    """The distance, or something that no farther row has less of, even where float32 can't tell which is farther."""
    if shape.metric != "inner_product":
        return shape.distance, [query]
    # The error of this one grows with the vector's length, and not with the distance.
    error = relative_error(shape.dimension)
    return f"{shape.distance} - vector_norm(vector) * vector_norm(%s) * {error!r}", [query, query]


def hybrid(shape: Shape, nearest: Nearest, matching: Part, text: str, top_k: int) -> Part:
    """A search by vector and words; its rows: the embedding's columns, how many matched, the fused score."""
    worded, parameters = _worded(shape, matching, text, depth(top_k))
    sql = (
        f"WITH {nearest.sql}, {worded},"
        " places AS (SELECT id, embedding_id, row_number() OVER (ORDER BY distance, embedding_id) AS place FROM nearest"
        " UNION ALL"
        " SELECT id, embedding_id, row_number() OVER (ORDER BY rank DESC, embedding_id) AS place FROM worded),"
        f" fused AS (SELECT id, embedding_id, sum(1.0::float8 / ({CONSTANT} + place)) AS score"
        f" FROM places GROUP BY id, embedding_id ORDER BY score DESC, embedding_id LIMIT {top_k})"
        f" SELECT {_COLUMNS}, {nearest.matched}, fused.score FROM fused JOIN {TABLE} AS e ON e.id = fused.id"
        " ORDER BY fused.score DESC, e.embedding_id"
    )
    return sql, [*nearest.parameters, *parameters]


#: The words that are looked for, each in quotes as a part of a query.
_WANTED_WORDS = "SELECT DISTINCT word FROM unnest(string_to_array(plainto_tsquery('english', %s)::text, ' & ')) AS word"
_ANY_WORD = "(SELECT string_agg(word, ' | ') FROM wanted)::tsquery"
#: More words than this have too many pairs, and a longer one, marked as being there often, may be none to a tsquery.
_PAIRED, _LONGEST = 8, 2_000
#: True of a text that has two of the words, or one of them often.
_MORE_WORDS = (
    "(SELECT string_agg(query, ' | ') FROM ("
    f"SELECT left(word, -1) || {OFTEN} || '''' FROM wanted UNION ALL"
    " SELECT one.word || ' & ' || other.word FROM wanted AS one JOIN wanted AS other ON one.word < other.word"
    f") AS more (query) WHERE (SELECT count(*) <= {_PAIRED} AND max(octet_length(word)) < {_LONGEST} FROM wanted)"
    ")::tsquery"
)


def _worded(shape: Shape, matching: Part, text: str, count: int) -> Part:
    """Common table expressions that end with ``worded``: id, embedding_id, rank of the `count` best texts.

    To rank a text, it has to be read, and a word can be in very many. Those that have two of the words, or one of them
    three times, come before all others in `ts_rank`, so that the others are read only where these are too few: of ours,
    a word that is there once counts 0.061 in it, twice 0.076, three times 0.083, and never more than 0.1.
    """
    condition, parameters = matching
    # The time that ts_rank_cd takes grows with the square of the query's words.
    columns = "w.id, w.embedding_id, ts_rank(words, (SELECT any_word FROM queries)) AS rank"
    best = f"ORDER BY rank DESC, w.embedding_id LIMIT {count}"
    wanted = f"wanted AS MATERIALIZED ({_WANTED_WORDS})"
    if not shape.worded:
        texts = (
            f"(SELECT id, embedding_id, {WORDS} AS words FROM {TABLE}"
            f" WHERE collection_id = {shape.id} AND {condition} OFFSET 0) AS w"
        )
        sql = (
            f"{wanted}, queries AS MATERIALIZED (SELECT {_ANY_WORD} AS any_word), worded AS ("
            f"SELECT {columns} FROM {texts} WHERE words @@ (SELECT any_word FROM queries) {best})"
        )
        return sql, [text, *parameters]
    texts, matches = f"{KEPT_WORDS} AS w", f"w.collection_id = {shape.id}"
    if condition != "TRUE":
        texts, matches = f"{texts} JOIN {TABLE} AS e ON e.id = w.id", f"{matches} AND {condition}"
    several = "(SELECT count(*) FROM several)"
    sql = (
        f"{wanted}, queries AS MATERIALIZED (SELECT {_ANY_WORD} AS any_word, {_MORE_WORDS} AS more_words),"
        f" several AS MATERIALIZED (SELECT {columns} FROM {texts}"
        f" WHERE {matches} AND words @@ (SELECT more_words FROM queries) {best}),"
        f" worded AS (SELECT * FROM several WHERE {several} = {count} UNION ALL (SELECT {columns} FROM {texts}"
        f" WHERE {matches} AND words @@ (SELECT any_word FROM queries) AND {several} < {count} {best}))"
    )
    return sql, [text, *parameters, *parameters]


def upsert(shape: Shape) -> str:
    """The statement that writes embeddings; a row comes back if the collection is there.

    Its parameters: a JSON list of objects (i: id, c: content, m: metadata, u: user_id), and as many vectors.
    """
    columns = ("vector", "content", "metadata", "user_id")
    # As text, for to a jsonb 1 and 1.0 are one number.
    kept, given = (
        ", ".join(f"{row}.{column}{'::text' * (column == 'metadata')}" for column in columns)
        for row in ("kept", "excluded")
    )
    return (
        # The lock keeps the collection from being dropped in between.
        f"WITH held AS MATERIALIZED (SELECT id FROM chronos_vectors_collection WHERE id = {shape.id} FOR KEY SHARE),"
        f" written AS (INSERT INTO {TABLE} AS kept (collection_id, embedding_id, {', '.join(columns)})"
        " SELECT held.id, given.i, given.v, given.c, given.m, given.u FROM held,"
        " ROWS FROM (json_to_recordset(%s::json) AS (i text, c text, m jsonb, u text), unnest(%s))"
        " AS given (i, c, m, u, v)"
        " ON CONFLICT (collection_id, embedding_id)"
        f" DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in columns)}"
        # A row that stays as it was keeps its entry in the HNSW index.
        f" WHERE ({kept}) IS DISTINCT FROM ({given}))"
        " SELECT id FROM held"
    )
