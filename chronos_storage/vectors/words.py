"""Full-text search by the database's own index, for the stores that rank vectors themselves."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.db import connections

from .schema_sqlite import WORDS


def ranked(using: str, collection_id: int, text: str) -> list[int]:
    """The embeddings of a collection whose content has some of the words, best first, as primary keys."""
    sql, parameters = _STATEMENTS[connections[using].vendor](collection_id, text)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def _fts5(collection_id: int, text: str) -> tuple[str, list[object]]:
    words = dict.fromkeys(re.findall(r"\w+", text))
    return (
        f"SELECT {WORDS}.rowid FROM {WORDS} JOIN chronos_vectors_embedding AS e ON e.id = {WORDS}.rowid"
        f" WHERE {WORDS} MATCH %s AND e.collection_id = %s ORDER BY bm25({WORDS}), e.embedding_id",
        # In quotes a word is only a word, not part of FTS5's query language.
        [" OR ".join(f'"{word}"' for word in words) or '""', collection_id],
    )


def _fulltext(collection_id: int, text: str) -> tuple[str, list[object]]:
    relevance = "MATCH (content) AGAINST (%s IN NATURAL LANGUAGE MODE)"
    return (
        f"SELECT id FROM chronos_vectors_embedding WHERE {relevance} AND collection_id = %s"
        f" ORDER BY {relevance} DESC, embedding_id",
        [text, collection_id, text],
    )


_STATEMENTS: dict[str, Callable[[int, str], tuple[str, list[object]]]] = {"sqlite": _fts5, "mysql": _fulltext}
