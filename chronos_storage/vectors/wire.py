"""PostgreSQL's binary formats for vectors, and a cursor that speaks them: text would cost more than the search.

A vector is its dimension and a zero as 16-bit integers, then float32, all big-endian (pgvector, ``vector_send``); an
array has a header of its dimensions and element type, then each element behind its length (``array_send``).
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

import numpy as np
import psycopg
from django.db import connections
from psycopg.adapt import Dumper
from psycopg.pq import Format

from .. import preparing


@dataclass(frozen=True, slots=True)
class Vector:
    """A parameter of the type ``vector``.

    Attributes:
        numbers: an array of float32.
    """

    numbers: Any


@dataclass(frozen=True, slots=True)
class Vectors:
    """A parameter of the type ``vector[]``.

    Attributes:
        matrix: an array of float32, a vector a row.
    """

    matrix: Any


class _VectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, value: Vector) -> bytes:
        numbers: bytes = value.numbers.astype(">f4").tobytes()
        return struct.pack(">HH", len(value.numbers), 0) + numbers


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


#: The driver's connections that know our parameters.
_adapted: WeakSet[psycopg.Connection[Any]] = WeakSet()


def _adapt(wrapper: Any) -> None:
    """Tell a connection of our parameters; each database has numbers of its own for an extension's types."""
    connection: psycopg.Connection[Any] = wrapper.connection
    query = "SELECT 'vector'::regtype::oid, 'vector[]'::regtype::oid, pg_backend_pid()"
    vector, vectors, session = connection.execute(query).fetchone() or (0, 0, 0)
    one: Any = type("VectorDumper", (_VectorDumper,), {"oid": vector})
    several: Any = type("VectorsDumper", (_VectorsDumper,), {"oid": vectors, "element_type": vector})
    connection.adapters.register_dumper(Vector, one)
    connection.adapters.register_dumper(Vectors, several)
    _adapted.add(connection)
    if session != connection.info.backend_pid and not _host_decides(wrapper):
        # Not the server itself has greeted us. A statement of the same name, prepared by somebody else in the session
        # that we are given, would be taken for ours without an error.
        preparing.turn_off(wrapper)


def _host_decides(wrapper: Any) -> bool:
    """Whether the host says what is to be prepared."""
    return "prepare_threshold" in wrapper.settings_dict["OPTIONS"]


class _Cursor(psycopg.Cursor[Any]):
    """A cursor that prepares its statements from their first use on, or never, whatever Django has for its own."""

    prepares = False

    def execute(self, *arguments: Any, **options: Any) -> Any:
        connection = self.connection
        threshold, connection.prepare_threshold = connection.prepare_threshold, 0 if self.prepares else None
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
    with connection.wrap_database_errors, connection.connection.pipeline():
        cursors = [_begun(connection, sql, each, prepare=True) for each in parameters]
    return [row for cursor in cursors for row in cursor.fetchall()]


def _connected(using: str) -> Any:
    """Django's connection, whose driver knows our parameters."""
    connection: Any = connections[using]
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    if connection.connection not in _adapted:
        with connection.wrap_database_errors:
            _adapt(connection)
    return connection


def _begun(connection: Any, sql: str, parameters: list[Any], prepare: bool) -> Any:
    if _host_decides(connection) and not preparing.is_off(connection):
        cursor = psycopg.Cursor(connection.connection)
    else:
        cursor = _Cursor(connection.connection)
        disabled = connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS") or preparing.is_off(connection)
        cursor.prepares = prepare and not disabled
    cursor.format = Format.BINARY
    # Django's wrapper translates errors and tells whoever logs or forbids queries.
    wrapped = connection._prepare_cursor(cursor)
    wrapped.execute(sql, parameters)
    return wrapped
