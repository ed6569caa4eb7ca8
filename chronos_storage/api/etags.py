"""ETags, and updates that write only over what their writer has seen."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable
from typing import Any

from django.db.models.query import QuerySet
from rest_framework.request import Request

from .. import codec
from ..exceptions import NotFound
from ..ledger.heads import locked
from ..models.mapping import Table
from ..records import Record
from .problems import PreconditionFailed
from .store import served

_TAG = re.compile(r'\s*(W/)?("[^"]*")\s*(?:,|\Z)')


def etag(record: Any) -> str:
    """The version of what an update can change; a session's activity is no part of it."""
    values = {
        field.name: str(value) if field.name.endswith("_at") else value
        for field in dataclasses.fields(record)
        if field.name != "last_activity_at"
        for value in (getattr(record, field.name),)
    }
    return f'"{hashlib.sha256(codec.canonical(values).encode()).hexdigest()[:32]}"'


def write_if_match(request: Request, table: Table[Any], rows: QuerySet[Any], write: Callable[[], Any]) -> Any:
    """What `write` returns, if the row, one of `rows`, still has the version that ``If-Match`` names.

    The row is locked from the look to the write, so that of several writers who saw one version one wins.

    Raises:
        PreconditionFailed: it has another version by now.
        NotFound: there is no row.
    """
    condition = request.headers.get("If-Match")
    with served().atomic():
        if not locked(rows.only("pk")):
            raise NotFound
        if condition is not None and condition.strip() != "*":
            [record] = table.fetch(rows)
            if etag(record) not in _strong_tags(condition):
                raise PreconditionFailed
        return write()


def _strong_tags(condition: str) -> set[str]:
    return {tag for weak, tag in _TAG.findall(condition) if not weak}


def replaced(record: Record, changes: dict[str, Any]) -> Any:
    """The record with these changes."""
    return dataclasses.replace(record, **changes)  # type: ignore[type-var]
