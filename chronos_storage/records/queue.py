from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import codec
from . import fields
from .base import Record


@dataclass(slots=True, kw_only=True)
class QueueEntry(Record):
    """An event that was published on a topic.

    Attributes:
        cursor: its place in the topic: opaque text that sorts, bytewise, in publishing order.
        event: what was published, any JSON.
    """

    cursor: str = fields.string()
    topic: str = fields.string(codec.MAX_TOPIC)
    event: Any = fields.json_value()
    user_id: str = fields.string()
    created_at: datetime | None = fields.timestamp()
