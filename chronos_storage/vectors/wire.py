"""PostgreSQL's binary formats for vectors, and a cursor that speaks them: text would cost more than the search.

A vector is its dimension and a zero as 16-bit integers, then float32, all big-endian (pgvector, ``vector_send``); an
array has a header of its dimensions and element type, then each element behind its length (``array_send``).
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import Any

import numpy as np
import psycopg
from django.db import connections
from psycopg.adapt import Dumper
from psycopg.pq import Format

_FLOAT4, _FLOAT4_ARRAY = 700, 1021


class Numbers:
    """A parameter of the type ``real[]``, which casts to ``vector``."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = numbers


class Vectors:
    """A parameter of the type ``vector[]``.

    Args:
        type_id, array_id: pgvector's types in this database, see `type_ids`.
    """

    def __init__(self, vectors: list[list[float]], type_id: int, array_id: int) -> None:
        self.vectors = vectors
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
        dimension = len(value.vectors[0])
        fields = [("length", ">i4"), ("dimension", ">i2"), ("unused", ">i2"), ("numbers", ">f4", (dimension,))]
        elements = np.empty(len(value.vectors), dtype=fields)
        elements["length"] = 4 + 4 * dimension
        elements["dimension"] = dimension
        elements["unused"] = 0
        elements["numbers"] = value.vectors
        return _header(value.type_id, len(elements)) + elements.tobytes()


def _header(element_type: int, count: int) -> bytes:
    return struct.pack(">iiIii", 1, 0, element_type, count, 1)


def unpack(data: bytes) -> list[float]:
    """The vector that pgvector sent."""
    packed = array("f", data[4:])
    if sys.byteorder == "little":
        packed.byteswap()
    return packed.tolist()


def execute(using: str, sql: str, parameters: list[Any]) -> list[Any]:
    """The rows of a statement, whose parameters go to the server apart from it and whose values come in binary."""
    connection: Any = connections[using]
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    cursor = psycopg.Cursor(connection.connection)
    cursor.adapters.register_dumper(Numbers, _NumbersDumper)
    cursor.adapters.register_dumper(Vectors, _VectorsDumper)
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
