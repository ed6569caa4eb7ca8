"""Merging changes into a row's metadata."""

from __future__ import annotations

from typing import Any

from django.db import connections
from django.db.models import F, Func, Value
from django.db.models.query import QuerySet

from ... import codec
from ...fields import MetadataField
from ...ledger.heads import locked


def merge_metadata(row: QuerySet[Any], changes: dict[str, Any], **also: Any) -> None:
    """Set the keys of `changes` in the metadata of the one row, if it is there, and the columns of `also`.

    Must be called in a transaction: only PostgreSQL has an operator for it that keeps every number as it is.
    """
    changes = codec.filterable_object(changes, "changes")
    if connections[row.db].vendor == "postgresql":
        both = (F("metadata"), Value(changes, MetadataField()))
        merged = Func(*both, template="(%(expressions)s)", arg_joiner=" || ", output_field=MetadataField())
        row.update(metadata=merged, **also)
        return
    for found in locked(row.only("metadata")):
        row.update(metadata={**found.metadata, **changes}, **also)
