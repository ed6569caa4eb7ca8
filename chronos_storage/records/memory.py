from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from . import fields
from .base import Record


@dataclass(slots=True, kw_only=True)
class MemoryRecord(Record):
    """A fact an agent keeps, under the natural key (agent_id, user_id, session_id, kind, key).

    Known kinds: ``short_term``, ``long_term``. From `expires_at` on the record is not there any more.

    Attributes:
        schema: the name of the value's shape; see `chronos_storage.upcasters`.
        schema_version: which version of it, from 0.
    """

    id: str = fields.string()
    agent_id: str = fields.string()
    user_id: str = fields.string()
    session_id: str = fields.string()
    kind: str = fields.string()
    key: str = fields.string()
    value: Any = fields.json_value()
    schema: str = fields.string()
    schema_version: int = fields.number()
    created_at: datetime | None = fields.timestamp()
    updated_at: datetime | None = fields.timestamp()
    expires_at: datetime | None = fields.timestamp()
