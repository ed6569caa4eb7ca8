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
from pgvector.psycopg.vector import register_vector_info
from psycopg.adapt import AdaptersMap, Dumper
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.string import ByteaBinaryLoader

from .. import preparing
from ..compat.connections import connect, database_errors, driver_connection, settings_of, wrapped_cursor


@dataclass(frozen=True, slots=True)
class Vectors:
    """A parameter of the type ``vector[]``.

    Attributes:
        matrix: an array of float32, a vector a row.
    """

    matrix: Any


class _VectorsDumper(Dumper):
    format = Format.BINARY
    element_type: int

    def dump(self, value: Vectors) -> bytes:
        count, dimension = value.matrix.shape
        fields = [("length", ">i4"), ("dimension", ">u2"), ("unused", ">u2"), ("numbers", ">f4", (dimension,))]
        elements = np.empty(count, dtype=fields)
        elements["length"] = 4 + 4 * dimension
        elements["dimension"] = dimension
        elements["unused"] = 0
        elements["numbers"] = value.matrix
        return struct.pack(">iiIii", 1, 0, self.element_type, count, 1) + elements.tobytes()


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
    query = "SELECT 'vector'::regtype::oid, 'vector[]'::regtype::oid, pg_backend_pid()"
    with database_errors(wrapper):
        vector, vectors, session = connection.execute(query).fetchone() or (0, 0, 0)
    made = AdaptersMap(connection.adapters)
    register_vector_info(cast(Any, made), TypeInfo("vector", vector, vectors))  # which asks for no more of a connection
    made.register_loader(vector, ByteaBinaryLoader)
    several: Any = type("VectorsDumper", (_VectorsDumper,), {"oid": vectors, "element_type": vector})
    made.register_dumper(Vectors, several)
    _adapters[connection] = made
    if session != connection.info.backend_pid and not _host_decides(wrapper):
        # Not the server itself has greeted us. A statement of the same name, prepared by somebody else in the session
        # that we are given, would be taken for ours without an error.
        preparing.turn_off(wrapper)
    return made


def _host_decides(wrapper: Any) -> bool:
    """Whether the host says what is to be prepared."""
    return "prepare_threshold" in settings_of(wrapper)["OPTIONS"]


class _Cursor(psycopg.Cursor[Any]):
    """A cursor with adapters of its own, which prepares its statements as it says, whatever Django has for its own.

    Attributes:
        threshold: the driver's `prepare_threshold` while it executes: 0 prepares from the first use on, None never.
    """

    adapters: Any = None
    threshold: int | None = None

    def execute(self, *arguments: Any, **options: Any) -> Any:
        connection = self.connection
        threshold, connection.prepare_threshold = connection.prepare_threshold, self.threshold
        try:
            return super().execute(*arguments, **options)
        finally:
            connection.prepare_threshold = threshold


def execute(using: str, sql: str, parameters: list[Any], *, prepare: bool = False) -> list[Any]:
    """The rows of a statement, whose parameters go to the server apart from it and whose values come in binary.

    Args:
        prepare: plan it once and not for each of its parameters, unless the host says ``DISABLE_SERVER_SIDE_CURSORS``
            or there is a pooler that gives each transaction another session. A host that has a ``prepare_threshold``
            in OPTIONS decides itself.
    """
    with _begun(_connected(using), sql, parameters, prepare) as cursor:
        rows: list[Any] = cursor.fetchall()
        return rows


def execute_each(using: str, sql: str, parameters: Iterable[list[Any]]) -> list[Any]:
    """The rows of a statement for each of the parameters, sent while the server is still at work on those before."""
    connection = _connected(using)
    with database_errors(connection), driver_connection(connection).pipeline():
        cursors = [_begun(connection, sql, each, prepare=True) for each in parameters]
    return [row for cursor in cursors for row in cursor.fetchall()]


def _connected(using: str) -> Any:
    """Django's connection, made where it isn't."""
    connection = connections[using]
    connect(connection)
    return connection


def _begun(connection: Any, sql: str, parameters: list[Any], prepare: bool) -> Any:
    driver = driver_connection(connection)
    cursor = _Cursor(driver)
    cursor.adapters = _adapters.get(driver) or adapters(connection)
    if preparing.is_off(connection):
        cursor.threshold = None
    elif _host_decides(connection):
        cursor.threshold = driver.prepare_threshold
    elif prepare and not settings_of(connection).get("DISABLE_SERVER_SIDE_CURSORS"):
        cursor.threshold = 0
    cursor.format = Format.BINARY
    # Django's wrapper translates errors and tells whoever logs or forbids queries.
    wrapped = wrapped_cursor(connection, cursor)
    wrapped.execute(sql, parameters)
    return wrapped
