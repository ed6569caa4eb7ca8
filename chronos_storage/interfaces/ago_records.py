"""Ago's records, and the records of the storage that they are kept as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Self

from .. import codec, records
from ..exceptions import InvalidRecord
from ..records import TokenUsage
from .exchange import Exchanged

#: The fields of an event that stand in its message's metadata, under their names.
METADATA = ("agent", "error", "usage", "message_id", "user_id")
#: What Ago's models report of tokens, and a message's usage.
_USAGE = {
    "promptTokenCount": "prompt_tokens",
    "candidatesTokenCount": "completion_tokens",
    "totalTokenCount": "total_tokens",
    "cachedContentTokenCount": "cache_read_tokens",
    **{field.name: field.name for field in fields(TokenUsage)},
}


class _Exchanged(Exchanged):
    """Ago's JSON has the names as they are, and times as RFC 3339 writes them."""

    __slots__ = ()

    @staticmethod
    def spelling(name: str) -> str:
        return name

    def to_json(self) -> dict[str, Any]:
        return {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in Exchanged.to_json(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        record = super().from_json(data)
        for name in ("created_at", "updated_at", "deleted_at"):
            if isinstance(text := getattr(record, name, None), str):
                try:
                    setattr(record, name, datetime.fromisoformat(text))
                except ValueError:
                    raise InvalidRecord(name, f"must be a time such as 2026-03-08T12:00:00Z, not {text!r}") from None
        return record

    @classmethod
    def _usage(cls, value: Any) -> Any:
        return value


@dataclass(slots=True, kw_only=True)
class Session(_Exchanged):
    """A conversation or workflow. An empty id is made; times that are not given are now."""

    id: str = ""
    user_id: str = ""
    author: str = ""
    title: str = ""
    metadata: dict[str, Any] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Event(_Exchanged):
    """A single turn within a session.

    Attributes:
        content: the message: an object with its role, and mostly its parts.
        usage: what the model reported, an object.
    """

    id: str = ""
    session_id: str
    message_id: str = ""
    user_id: str = ""
    agent: str = ""
    content: Any
    error: str = ""
    usage: dict[str, Any] | None = None
    created_at: datetime | None = None
    metadata: dict[str, Any] | None = None


def session_of(session: Session) -> records.Session:
    """The session of the storage that one of Ago's is."""
    return records.Session(
        id=session.id,
        user_id=session.user_id,
        author=session.author,
        title=session.title,
        metadata=session.metadata or {},
        created_at=session.created_at,
        updated_at=session.updated_at,
    )


def ago_session_of(session: records.Session) -> Session:
    """Ago's session that one of the storage is."""
    return Session(
        id=session.id,
        user_id=session.user_id,
        author=session.author,
        title=session.title,
        metadata=session.metadata or None,
        created_at=session.created_at,
        updated_at=session.updated_at,
        deleted_at=session.deleted_at,
    )


def message_of(event: Event) -> records.Message:
    """The message of the storage that an event is.

    Raises:
        InvalidRecord: the content names no role, or the metadata has a key that is one of the event's own fields.
    """
    role = event.content.get("role") if isinstance(event.content, dict) else None
    if not isinstance(role, str) or not role:
        raise InvalidRecord("content", "must be a message: an object with its role, such as 'user', and its parts")
    metadata = codec.json_object(event.metadata or {}, "metadata")
    for name in METADATA:
        if name in metadata:
            raise InvalidRecord(f"metadata.{name}", "stands for the event's own field of this name")
        if value := getattr(event, name):
            metadata[name] = codec.json_object(value, name) if name == "usage" else codec.string(value, name)
    return records.Message(
        id=event.id,
        session_id=event.session_id,
        role=role,
        content=event.content,
        usage=_counted(event.usage or {}),
        metadata=metadata,
        created_at=event.created_at,
    )


def _counted(usage: dict[str, Any]) -> TokenUsage:
    return TokenUsage(**{_USAGE[name]: value for name, value in usage.items() if name in _USAGE and type(value) is int})


def event_of(message: records.Message) -> Event:
    """The event that a message is."""
    own: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in message.metadata.items():
        is_own = name in METADATA and isinstance(value, dict if name == "usage" else str)
        (own if is_own else metadata)[name] = value
    if message.usage is not None:
        reported = {name: count for name, count in asdict(message.usage).items() if count is not None}
        own.setdefault("usage", reported)
    return Event(
        id=message.id,
        session_id=message.session_id,
        content=_content(message),
        created_at=message.created_at,
        metadata=metadata or None,
        **own,
    )


def _content(message: records.Message) -> dict[str, Any]:
    """The message object of a message, which another interface may have written without one."""
    content = message.content
    if isinstance(content, dict) and "role" in content:
        return content
    if isinstance(content, str):
        content = {"text": content}
    parts = content if isinstance(content, list) else [] if content is None else [content]
    calls = {} if message.tool_calls is None else {"tool_calls": message.tool_calls}
    return {"role": message.role, "parts": parts, **calls}
