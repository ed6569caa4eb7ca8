from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .. import codec
from ..exceptions import InvalidRecord
from . import fields
from .base import Record


def _digest(value: Any, field: str) -> str:
    digest = codec.string(value, field).lower()
    if digest and not re.fullmatch("[0-9a-f]{64}", digest):
        raise InvalidRecord(field, "must be a SHA-256 in hexadecimal: 64 digits")
    return digest


@dataclass(slots=True, kw_only=True)
class Artifact(Record):
    """A file that an agent made or was given, whose bytes are in a file storage.

    Attributes:
        name: what its versions have in common, with session_id and user_id, either of which may be empty.
        version: the store's, from 1.
        mime_type: what the bytes are said to be; nobody looks.
        size: how many bytes it has.
        sha256: their SHA-256 in hexadecimal.
    """

    id: str = fields.string()
    session_id: str = fields.string()
    user_id: str = fields.string()
    name: str = fields.string()
    version: int = fields.number()
    mime_type: str = fields.string()
    size: int = fields.number()
    sha256: str = fields.field(_digest, default="")
    metadata: dict[str, Any] = fields.filterable()
    created_at: datetime | None = fields.timestamp()

    @property
    def scope(self) -> str:
        """The SHA-256 of what its versions have in common; no part can hold the NUL that joins them."""
        return hashlib.sha256("\x00".join((self.session_id, self.user_id, self.name)).encode()).hexdigest()

    def cleaned(self) -> Artifact:
        copy = Record.cleaned(self)
        if not copy.name:
            raise InvalidRecord("name", "is empty; say what the artifact is called, such as 'report.pdf'")
        return copy


@dataclass(slots=True, kw_only=True)
class Blob(Record):
    """Which file has the bytes of a digest, for the stores themselves.

    Attributes:
        id: the bytes' SHA-256. That of the empty id has no bytes: its `kept` is the name of the store's own folder.
        kept: the name of the file; empty while there is none.
        others: the names of files with the same bytes that are being written, each with the time when that began, or
            with None, of those that are of no use any more.
        used_at: when an artifact was last given these bytes.
    """

    id: str = fields.string()
    kept: str = fields.string()
    others: dict[str, Any] = fields.json_object()
    used_at: datetime | None = fields.timestamp()
