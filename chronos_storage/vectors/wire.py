"""PostgreSQL's binary formats for vectors, and a cursor that speaks them: text would cost more than the search.

A vector is its dimension and a zero as 16-bit integers, then float32, all big-endian (pgvector, ``vector_send``); an
array has a header of its dimensions and element type, then each element behind its length (``array_send``).
"""

from __future__ import annotations

import struct
from typing import Any
from weakref import WeakSet

import numpy as np
import psycopg
from django.db import connections
from psycopg.adapt import Dumper
from psycopg.pq import Format

_FLOAT4, _FLOAT4_ARRAY = 700, 1021


class Numbers:
    """A parameter of the type ``real[]``, which casts to ``vector``.

    Args:
        numbers: an array of float32.
    """

    def __init__(self, numbers: Any) -> None:
        self.numbers = numbers


class Vectors:
    """A parameter of the type ``vector[]``.

    Args:
        matrix: an array of float32, a vector a row.
        type_id, array_id: pgvector's types in this database, see `type_ids`.
    """

    def __init__(self, matrix: Any, type_id: int, array_id: int) -> None:
        self.matrix = matrix
        self.type_id = type_id
        self.array_id = array_id


class _NumbersDumper(Dumper):
    format = Format.BINARY
    oid = _FLOAT4_ARRAY

    def dump(self, value: Numbers) -> bytes:
        elements = np.empty(len(value.numbers), dtype=[("length", ">i4"), ("number", ">f4")])
        elements["length"] = 4
        elements["number"] = value.numbers
        return _header(_FLOAT4, len(elements)) + elements.tobytes()


class _VectorsDumper(Dumper):
    format = Format.BINARY

    def get_key(self, value: Vectors, format: Any) -> Any:  # noqa: A002  (psycopg's name)
        return (self.cls, value.array_id)

    def upgrade(self, value: Vectors, format: Any) -> Dumper:  # noqa: A002
        dumper = _VectorsDumper(self.cls)
        dumper.oid = value.array_id
        return dumper

    def dump(self, value: Vectors) -> bytes:
        count, dimension = value.matrix.shape
        fields = [("length", ">i4"), ("dimension", ">i2"), ("unused", ">i2"), ("numbers", ">f4", (dimension,))]
        elements = np.empty(count, dtype=fields)
        elements["length"] = 4 + 4 * dimension
        elements["dimension"] = dimension
        elements["unused"] = 0
        elements["numbers"] = value.matrix
        return _header(value.type_id, len(elements)) + elements.tobytes()


def _header(element_type: int, count: int) -> bytes:
    return struct.pack(">iiIii", 1, 0, element_type, count, 1)


def unpack(vectors: list[bytes]) -> Any:
    """The vectors that pgvector sent, a row each, in an array of float32."""
    matrix = np.frombuffer(b"".join(vectors), dtype=">f4").reshape(len(vectors), -1)
    return matrix[:, 1:].astype(np.float32)  # before the numbers stand as many bytes as one takes


#: The driver's connections that know our parameters.
_prepared: WeakSet[psycopg.Connection[Any]] = WeakSet()


def execute(using: str, sql: str, parameters: list[Any]) -> list[Any]:
    """The rows of a statement, whose parameters go to the server apart from it and whose values come in binary."""
    connection: Any = connections[using]
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if connection.connection not in _prepared:
        connection.connection.adapters.register_dumper(Numbers, _NumbersDumper)
        connection.connection.adapters.register_dumper(Vectors, _VectorsDumper)
        _prepared.add(connection.connection)
    cursor = psycopg.Cursor(connection.connection)
    cursor.format = Format.BINARY
    # Django's wrapper translates errors and tells whoever logs or forbids queries.
    with connection._prepare_cursor(cursor) as wrapped:
        wrapped.execute(sql, parameters)
        rows: list[Any] = wrapped.fetchall() if cursor.description else []
        return rows


def type_ids(using: str) -> tuple[int, int]:
    """The types ``vector`` and ``vector[]`` in this database."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT 'vector'::regtype::oid::bigint, 'vector[]'::regtype::oid::bigint")
        type_id, array_id = cursor.fetchone()
        return type_id, array_id
