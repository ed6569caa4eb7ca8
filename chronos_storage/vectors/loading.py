"""Many new embeddings at once: PostgreSQL takes them by COPY sooner than by an upsert.

COPY writes over nothing, so that it is for embeddings of which none is there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from django.db import IntegrityError, connections, transaction

from .. import codec
from ..compat.connections import database_errors
from . import wire
from .given import Checked
from .indexes import TABLE, Shape

#: Embeddings of one COPY: the trigger that keeps words has all that a statement wrote in memory, or else in a file.
_MOST = 2_500
#: The most bytes of ids, as the JSON that they are looked up by.
_MOST_BYTES = 256 * 1024 * 1024

_COPY = f"COPY {TABLE} (collection_id, embedding_id, vector, content, metadata, user_id) FROM STDIN (FORMAT binary)"
_COLUMNS = 6
_BEGIN = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END = b"\xff\xff"
#: What a jsonb that is sent begins with: the version of its format.
_JSONB = b"\x01"
_length = struct.Struct(">i").pack


def load(using: str, shape: Shape, stored: Checked, batches: list[list[int]]) -> bool:
    """Store embeddings in the transaction that is open; whether that could be done, and otherwise nothing was.

    Args:
        batches: their places, in the order of their ids.
    """
    if not _are_new(using, shape, [stored.embeddings[place].id for batch in batches for place in batch]):
        return False
    try:
        with transaction.atomic(using=using):
            for rows in _parts(batches):
                _copy(connections[using], _rows(shape, stored, rows))
    except IntegrityError:  # another writer has stored one of them in between
        return False
    return True


def _are_new(using: str, shape: Shape, ids: list[str]) -> bool:
    """Whether none of these embeddings is there, but the collection, which can't be dropped from now on."""
    there = "embedding_id = ANY(ARRAY(SELECT json_array_elements_text(%s::json)))"
    sql = (
        f"SELECT 1 FROM chronos_vectors_collection WHERE id = {shape.id}"
        f" AND NOT EXISTS (SELECT FROM {TABLE} WHERE collection_id = {shape.id} AND {there}) FOR KEY SHARE"
    )
    return bool(wire.execute(using, sql, [codec.dumps(ids, limit=_MOST_BYTES)]))


def _parts(batches: list[list[int]]) -> Iterator[list[list[int]]]:
    """The batches of each COPY."""
    several = max(1, _MOST // max(map(len, batches)))
    for first in range(0, len(batches), several):
        yield batches[first : first + several]


def _copy(connection: Any, blocks: Iterator[bytes]) -> None:
    with database_errors(connection), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.write(_BEGIN)
        for block in blocks:  # made while the server is still at work on those before
            copy.write(block)
        copy.write(_END)


def _rows(shape: Shape, stored: Checked, batches: list[list[int]]) -> Iterator[bytes]:
    """The rows of each batch as COPY takes them: each value after its length."""
    begin = struct.pack(">hiq", _COLUMNS, 8, shape.id)
    width = 4 + 4 * shape.dimension
    for batch in batches:
        parts: list[bytes | memoryview] = []
        vectors = memoryview(wire.pack(stored.matrix[batch]))
        for number, place in enumerate(batch):
            row = stored.embeddings[place]
            id, content, user_id = row.id.encode(), row.content.encode(), row.user_id.encode()
            metadata = stored.metadata[place].encode()
            vector = vectors[number * (4 + width) : (number + 1) * (4 + width)]  # its length included
            parts += begin, _length(len(id)), id, vector, _length(len(content)), content
            parts += _length(1 + len(metadata)), _JSONB, metadata, _length(len(user_id)), user_id
        yield b"".join(parts)
