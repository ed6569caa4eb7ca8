from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import codec
from . import fields
from .base import Record


@dataclass(slots=True, kw_only=True)
class Checkpoint(Record):
    """A snapshot of a graph's state, numbered per (session_id, namespace).

    Attributes:
        schema: the name of the state's shape; see `chronos_storage.upcasters`.
        schema_version: which version of it, from 0.
    """

    id: str = fields.string()
    session_id: str = fields.string()
    namespace: str = fields.string()
    run_id: str = fields.string()
    node_id: str = fields.string()
    # It is measured item by item, by `checkpoints.outlines`.
    state: dict[str, Any] = fields.field(codec.json_object, default_factory=dict)
    seq_num: int = fields.number()
    parent_id: str = fields.string()
    metadata: dict[str, Any] = fields.filterable()
    schema: str = fields.string()
    schema_version: int = fields.number()
    created_at: datetime | None = fields.timestamp()
