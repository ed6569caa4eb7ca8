"""Merging changes into a row's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connections
from django.db.models import F, Func, Value
from django.db.models.query import QuerySet

from ...fields import MetadataField
from ...ledger.heads import locked


def can_merge(using: str) -> bool:
    """Whether the database can do it in its statement."""
    return connections[using].vendor == "postgresql"


def merged(changes: Mapping[str, Any]) -> Func:
    """The metadata with the keys of `changes`, which are checked, where the database `can_merge`."""
    both = (F("metadata"), Value(dict(changes), MetadataField()))
    return Func(*both, template="(%(expressions)s)", arg_joiner=" || ", output_field=MetadataField())


def merge_metadata(row: QuerySet[Any], changes: Mapping[str, Any], **also: Any) -> int:
    """Set the keys of `changes`, which are checked, in the metadata of the one row, and the columns of `also`.

    Returns how many rows there are, 0 or 1. Must be called in a transaction: only PostgreSQL has an operator for it
    that keeps every number as it is.
    """
    if can_merge(row.db):
        return row.update(metadata=merged(changes), **also)
    return sum(row.update(metadata={**found.metadata, **changes}, **also) for found in locked(row.only("metadata")))
