from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import codec
from . import fields
from .base import Record


@dataclass(slots=True, kw_only=True)
class Session(Record):
    """A conversation or run of an agent; what messages, events and checkpoints belong to.

    Known statuses: ``active``, ``running``, ``paused``, ``completed``, ``failed``, ``ended``.

    Attributes:
        require_fence: whether only a writer with the session's fence may write to it; see `Storage.acquire`.
        legal_hold: whether nothing that belongs to it may be removed; `Storage.set_legal_hold` alone changes it.
    """

    id: str = fields.string()
    agent_id: str = fields.string()
    user_id: str = fields.string()
    author: str = fields.string()
    title: str = fields.string(codec.MAX_TEXT)
    status: str = fields.field(codec.string, default="active")
    metadata: dict[str, Any] = fields.filterable()
    container_id: str = fields.string()
    image_id: str = fields.string()
    created_at: datetime | None = fields.timestamp()
    updated_at: datetime | None = fields.timestamp()
    last_activity_at: datetime | None = fields.timestamp()
    deleted_at: datetime | None = fields.timestamp()
    require_fence: bool = fields.field(codec.boolean, default=False)
    legal_hold: bool = fields.field(codec.boolean, default=False)


@dataclass(slots=True, kw_only=True)
class Fence(Record):
    """A writer's hold on a session, which a later one ends.

    Attributes:
        holder: who writes.
        token: the session's next number when it was acquired; what shows that a writer is the last who acquired it.
        expires_at: until when another holder is kept out; None for not at all.
    """

    session_id: str = fields.string()
    holder: str = fields.string()
    token: int = fields.number()
    expires_at: datetime | None = fields.timestamp()
