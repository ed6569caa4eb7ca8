"""Merging changes into a row's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connections
from django.db.models import BooleanField, F, Func, Value
from django.db.models.query import QuerySet

from ...exceptions import StoreFailure
from ...fields import MetadataField
from ...ledger.heads import locked


def can_merge(using: str) -> bool:
    """Whether the database can do it in its statement."""
    return connections[using].vendor == "postgresql"


def merged(changes: Any) -> Func:
    """The metadata with the keys of `changes`, which are checked, where the database `can_merge`.

    Args:
        changes: a mapping, or an expression of one.
    """
    value = changes if hasattr(changes, "resolve_expression") else Value(dict(changes), MetadataField())
    both = (F("metadata"), value)
    return Func(*both, template="(%(expressions)s)", arg_joiner=" || ", output_field=MetadataField())


def merge_metadata(row: QuerySet[Any], changes: Mapping[str, Any], **also: Any) -> int:
    """Set the keys of `changes`, which are checked, in the metadata of the one row, and the columns of `also`.

    Returns how many rows there are, 0 or 1. Must be called in a transaction: only PostgreSQL has an operator for it
    that keeps every number as it is.

    Raises:
        StoreFailure: what was written there behind the storage's back is no object.
    """
    count = 0
    for found in locked(row.only("metadata")):
        if not isinstance(found.metadata, dict):
            raise StoreFailure(f"{found._meta.get_field('metadata')} holds {found.metadata!r}, which is no object")
        value = merged(changes) if can_merge(row.db) else {**found.metadata, **changes}
        count += row.update(metadata=value, **also)
    return count


class IsObject(Func):
    """Whether PostgreSQL has an object in a column of JSON, and not what nothing can be merged into."""

    template = "jsonb_typeof(%(expressions)s) = 'object'"
    output_field: BooleanField[bool, bool] = BooleanField()
