"""Full-text search by the database's own index, for the stores that rank vectors themselves."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.db import connections

from .schema_sqlite import WORDS


def ranked(using: str, collection_id: int, text: str) -> list[int]:
    """The embeddings of a collection whose content has some of the words, best first, as primary keys."""
    # Words alone: the signs between them are parts of the databases' query languages.
    words = list(dict.fromkeys(re.findall(r"\w+", text)))
    if not words:
        return []
    sql, parameters = _STATEMENTS[connections[using].vendor](collection_id, words)
    with connections[using].cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def _fts5(collection_id: int, words: list[str]) -> tuple[str, list[int | str]]:
    sql = (
        f"SELECT {WORDS}.rowid FROM {WORDS} JOIN chronos_vectors_embedding AS e ON e.id = {WORDS}.rowid"
        f" WHERE {WORDS} MATCH %s AND e.collection_id = %s ORDER BY bm25({WORDS}), e.embedding_id"
    )
    # In quotes NOT, too, is only a word.
    return sql, [" OR ".join(f'"{word}"' for word in words), collection_id]


def _fulltext(collection_id: int, words: list[str]) -> tuple[str, list[int | str]]:
    relevance = "MATCH (content) AGAINST (%s IN NATURAL LANGUAGE MODE)"
    text = " ".join(words)
    sql = (
        f"SELECT id FROM chronos_vectors_embedding WHERE {relevance} AND collection_id = %s"
        f" ORDER BY {relevance} DESC, embedding_id"
    )
    return sql, [text, collection_id, text]


_STATEMENTS: dict[str, Callable[[int, list[str]], tuple[str, list[int | str]]]] = {"sqlite": _fts5, "mysql": _fulltext}
