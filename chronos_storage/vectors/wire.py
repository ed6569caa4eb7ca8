"""Vectors in PostgreSQL's binary formats, and a cursor that speaks them: text would cost more than the search.

A single vector is written by pgvector's package. Many at once, written as an array and read as a matrix, are ours:
``python -m benchmarks vectors`` shows what that gains over one by one.

A vector is its dimension and a zero as 16-bit integers, then float32, all big-endian (pgvector, ``vector_send``); an
array has a header of its dimensions and element type, then each element after its length (``array_send``).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np
import psycopg
from django.db import connections
from pgvector import Vector
from pgvector.psycopg.vector import register_vector_info
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.string import ByteaBinaryLoader

from ..compat.connections import connect, database_errors, driver_connection, is_logged, wrapped_cursor
from ..preparing import KeptCursors, preparing_cursor
from ..transactions import connection_of


@dataclass(frozen=True, slots=True)
class Vectors:
    """A parameter of the type ``vector[]``.

    Attributes:
        matrix: an array of float32, a vector a row.
    """

    matrix: Any


class Query(Vector):
    """A parameter of the type ``vector``."""


def pack(matrix: Any) -> bytes:
    """Vectors as they are sent, each after its length."""
    count, dimension = matrix.shape
    fields = [("length", ">i4"), ("dimension", ">u2"), ("unused", ">u2"), ("numbers", ">f4", (dimension,))]
    vectors = np.empty(count, dtype=fields)
    vectors["length"] = 4 + 4 * dimension
    vectors["dimension"] = dimension
    vectors["unused"] = 0
    vectors["numbers"] = matrix
    return vectors.tobytes()


class _VectorsDumper(Dumper):
    format = Format.BINARY
    element_type: int

    def dump(self, value: Vectors) -> bytes:
        return struct.pack(">iiIii", 1, 0, self.element_type, len(value.matrix), 1) + pack(value.matrix)


class _Shown(Dumper):
    """What Django's log of queries shows of vectors where values are bound by the server: how many, and how long."""

    def dump(self, value: Vectors | Query) -> bytes:
        shape = value.matrix.shape if isinstance(value, Vectors) else (value.dimensions(),)
        return f"vectors {shape}".encode()


#: The numbers of a vector, as they are sent.
_SENT = np.dtype(">f4")


def unpack(vectors: list[bytes]) -> Any:
    """The vectors that pgvector sent, a row each, in an array of float64."""
    matrix = np.frombuffer(b"".join(vectors), dtype=_SENT).reshape(len(vectors), -1)
    return matrix[:, 1:].astype(np.float64)  # before the numbers stand as many bytes as one takes


def unpack_one(vector: bytes) -> array[float]:
    """A vector that pgvector sent."""
    numbers = array("f", vector[4:])
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


#: By the driver's connection: what our statements on it know of vectors, and those of the host don't.
_adapters: WeakKeyDictionary[psycopg.Connection[Any], AdaptersMap] = WeakKeyDictionary()


def adapters(wrapper: Any) -> AdaptersMap:
    """The adapters of Django's connection, new; each database has numbers of its own for an extension's types."""
    connection: psycopg.Connection[Any] = driver_connection(wrapper)
    query = "SELECT 'vector'::regtype::oid, 'vector[]'::regtype::oid"
    with database_errors(wrapper):
        vector, vectors = connection.execute(query).fetchone() or (0, 0)
    made = AdaptersMap(connection.adapters)
    register_vector_info(cast(Any, made), TypeInfo("vector", vector, vectors))  # which asks for no more of a connection
    made.register_loader(vector, ByteaBinaryLoader)
    several: Any = type("VectorsDumper", (_VectorsDumper,), {"oid": vectors, "element_type": vector})
    made.register_dumper(Vectors, several)
    for kind in (Vectors, Query):
        connection.adapters.register_dumper(kind, _Shown)
    _adapters[connection] = made
    return made


def _speak(connection: Any, cursor: Any) -> None:
    """Have a cursor know vectors, and values come in binary."""
    cursor.known = _adapters.get(cursor.connection) or adapters(connection)
    cursor.format = Format.BINARY


_cursors = KeptCursors(_speak)


def execute(using: str, sql: str, parameters: list[Any], *, prepare: bool = False) -> list[Any]:
    """The rows of a statement, whose parameters go to the server apart from it and whose values come in binary.

    Args:
        prepare: plan it once and not for each of its parameters, where `preparing` may.
    """
    connection = connection_of(using)
    with _cursors.of(connection, 0 if prepare else None, logged=is_logged(connection)) as cursor:
        cursor.execute(sql, parameters)
        rows: list[Any] = cursor.fetchall()
        return rows


def execute_each(using: str, sql: str, parameters: Iterable[list[Any]]) -> list[Any]:
    """The rows of a statement for each of the parameters, sent while the server is still at work on those before."""
    connection = connections[using]
    connect(connection)
    with database_errors(connection), driver_connection(connection).pipeline():
        cursors = [_begun(connection, sql, each) for each in parameters]
    return [row for cursor in cursors for row in cursor.fetchall()]


def _begun(connection: Any, sql: str, parameters: list[Any]) -> Any:
    cursor = preparing_cursor(connection, 0)
    _speak(connection, cursor)
    # Django's wrapper translates errors and tells whoever logs or forbids queries.
    wrapped = wrapped_cursor(connection, cursor)
    wrapped.execute(sql, parameters)
    return wrapped
