from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import codec
from . import fields
from .base import Record


@dataclass(slots=True, kw_only=True)
class Container(Record):
    """An isolation boundary that groups agents."""

    id: str = fields.string()
    config: dict[str, Any] = fields.json_object()
    created_at: datetime | None = fields.timestamp()
    updated_at: datetime | None = fields.timestamp()


@dataclass(slots=True, kw_only=True)
class Image(Record):
    """A snapshot of an agent's set-up from which sessions start; `parent_image_id` names the one it came from."""

    id: str = fields.string()
    container_id: str = fields.string()
    session_id: str = fields.string()
    name: str = fields.string()
    description: str = fields.string(codec.MAX_TEXT)
    system_prompt: str = fields.string(codec.MAX_TEXT)
    parent_image_id: str = fields.string()
    mcp_servers: dict[str, Any] = fields.json_object()
    metadata: dict[str, Any] = fields.filterable()
    created_at: datetime | None = fields.timestamp()
    updated_at: datetime | None = fields.timestamp()
