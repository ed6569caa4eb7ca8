"""The columns of vectors and their contents."""

from __future__ import annotations

import sys
from array import array
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from .. import codec, float32
from ..compat.models import Column

if TYPE_CHECKING:
    # For type checkers alone Django's fields are generic: in what they are set to, and in what they give.
    _VectorField = models.Field[Any, array[float]]
    _TextField = models.TextField[str, str]
else:
    _TextField = models.TextField
    try:
        from pgvector.django import VectorField as _VectorField
    except ImportError:  # it needs psycopg, which a host without PostgreSQL need not have
        _VectorField = models.Field


def pack(vector: array[float]) -> bytes:
    """The vector as little-endian float32, four bytes a dimension."""
    if sys.byteorder == "big":
        vector = vector[:]
        vector.byteswap()
    return vector.tobytes()


def unpack(data: bytes) -> array[float]:
    """The vector that `pack` packed."""
    vector = array("f", data)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector


class VectorField(_VectorField):
    """A vector of float32, of any dimension: pgvector's ``vector`` on PostgreSQL, packed bytes elsewhere.

    Where psycopg and pgvector's package are installed, it is a subclass of the package's field; migrations have it by
    the same name and arguments with and without.
    """

    description: str = "Vector of float32"
    empty_strings_allowed = False

    def get_internal_type(self) -> str:
        return "VectorField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return {"postgresql": "vector", "mysql": "longblob", "sqlite": "BLOB"}[connection.vendor]

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> array[float] | None:
        if value is None:
            return None
        if connection.vendor == "postgresql":
            # Text, unless the host has pgvector's class registered for it.
            given = value.to_list() if hasattr(value, "to_list") else value
            return float32.vector(codec.loads(given) if isinstance(given, str) else given, self.name)
        return unpack(value)

    def to_python(self, value: Any) -> Any:
        return float32.vector(codec.loads(value) if isinstance(value, str) else value, self.name)

    def get_prep_value(self, value: Any) -> Any:
        return value  # what its database takes is made of it below

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if value is None or hasattr(value, "as_sql"):
            return value
        vector = float32.vector(value, self.name)
        return codec.dumps(vector.tolist()) if connection.vendor == "postgresql" else pack(vector)

    def value_to_string(self, obj: models.Model) -> str:
        return codec.dumps(list(self.value_from_object(obj)))


class ContentField(Column, _TextField):
    """A text whose words are searched for, in any case: on MariaDB and MySQL that takes a collation."""

    def get_internal_type(self) -> str:
        return "TextField"

    def collation(self, connection: BaseDatabaseWrapper) -> str | None:
        return "utf8mb4_unicode_ci" if connection.vendor == "mysql" else None
