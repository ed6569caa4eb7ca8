"""Ago's records, and the records of the storage that they are kept as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Self

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


#: Go's time of which nothing is known.
_ZERO = "0001-01-01T00:00:00Z"
_TIMES = ("created_at", "updated_at", "deleted_at")
#: Under this key stands what is no message object, in a message's content.
_CONTENT = "json"
#: Under this one stands the metadata that can't stand beside other keys, or is no object.
_METADATA = "metadata"


class _Exchanged(Exchanged):
    """Ago's JSON has the names as they are, times as RFC 3339 writes them, and what is empty as Go's tags say."""

    __slots__ = ()

    #: The fields that are left out where they are empty; all others are always there.
    omitempty: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def spelling(name: str) -> str:
        return name

    def to_json(self) -> dict[str, Any]:
        written = {}
        for field in fields(self):  # type: ignore[arg-type]  # of every subclass
            value = getattr(self, field.name)
            if field.name in self.omitempty and (value is None or value == ""):
                continue
            if field.name in _TIMES:
                value = _ZERO if value is None else value.isoformat()
            written[field.name] = value
        return written

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        if isinstance(data, dict):
            data = {name: value for name, value in data.items() if value is not None or name == "content"}
        record = super().from_json(data)
        for name in _TIMES:
            if isinstance(text := getattr(record, name, None), str):
                try:
                    setattr(record, name, None if text == _ZERO else datetime.fromisoformat(text))
                except ValueError:
                    raise InvalidRecord(name, f"must be a time such as 2026-03-08T12:00:00Z, not {text!r}") from None
        return record

    @classmethod
    def _usage(cls, value: Any) -> Any:
        return value


@dataclass(slots=True, kw_only=True)
class Session(_Exchanged):
    """A conversation or workflow. An empty id is made; times that are not given are now.

    Attributes:
        metadata: any JSON, mostly an object.
    """

    omitempty: ClassVar[tuple[str, ...]] = ("metadata", "deleted_at")

    id: str = ""
    user_id: str = ""
    author: str = ""
    title: str = ""
    metadata: Any = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Event(_Exchanged):
    """A single turn within a session.

    Attributes:
        content: the message, an object with its role and mostly its parts, or any other JSON.
        usage: what the model reported, mostly an object.
        metadata: any JSON, mostly an object.
    """

    omitempty: ClassVar[tuple[str, ...]] = ("agent", "error", "usage", "metadata")

    id: str = ""
    session_id: str
    message_id: str = ""
    user_id: str = ""
    agent: str = ""
    content: Any
    error: str = ""
    usage: Any = None
    created_at: datetime | None = None
    metadata: Any = None


def session_of(session: Session) -> records.Session:
    """The session of the storage that one of Ago's is."""
    session = Session.of(session, "session")
    return records.Session(
        id=session.id,
        user_id=session.user_id,
        author=session.author,
        title=session.title,
        metadata=_kept(session.metadata),
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
        metadata=_given(session.metadata),
        created_at=session.created_at,
        updated_at=session.updated_at,
        deleted_at=session.deleted_at,
    )


def message_of(event: Event) -> records.Message:
    """The message of the storage that an event is.

    Content that names no role is an assistant's where the event names an agent, and otherwise a user's.
    """
    event = Event.of(event, "event")
    role = _role(event.content)
    metadata = _kept(event.metadata, *METADATA)
    for name in METADATA:
        value = getattr(event, name)
        if value is not None and value != "":
            metadata[name] = value if name == "usage" else codec.string(value, name)
    return records.Message(
        id=event.id,
        session_id=event.session_id,
        role=role or ("assistant" if event.agent else "user"),
        content=event.content if role else {_CONTENT: event.content},
        usage=_counted(event.usage) if isinstance(event.usage, dict) else None,
        metadata=metadata,
        created_at=event.created_at,
    )


def _role(content: Any) -> str:
    role = content.get("role") if isinstance(content, dict) else None
    return role if isinstance(role, str) else ""


def _counted(usage: dict[str, Any]) -> TokenUsage:
    return TokenUsage(**{_USAGE[name]: value for name, value in usage.items() if name in _USAGE and type(value) is int})


def _kept(metadata: Any, *reserved: str) -> dict[str, Any]:
    """The object that metadata is kept as, which has room for the reserved keys."""
    if metadata is None:
        return {}
    if isinstance(metadata, dict) and not metadata.keys() & {*reserved, _METADATA}:
        return dict(metadata)
    return {_METADATA: metadata}


def _given(metadata: dict[str, Any]) -> Any:
    """The metadata that was kept so."""
    return metadata[_METADATA] if metadata.keys() == {_METADATA} else metadata or None


def event_of(message: records.Message) -> Event:
    """The event that a message is."""
    own: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for name, value in message.metadata.items():
        is_own = name == "usage" or (name in METADATA and isinstance(value, str))
        (own if is_own else metadata)[name] = value
    if message.usage is not None:
        reported = {name: count for name, count in asdict(message.usage).items() if count is not None}
        own.setdefault("usage", reported)
    return Event(
        id=message.id,
        session_id=message.session_id,
        content=_content(message),
        created_at=message.created_at,
        metadata=_given(metadata),
        **own,
    )


def _content(message: records.Message) -> Any:
    """The content of an event, or the message object of a message that another interface has written without one."""
    content = message.content
    if isinstance(content, dict) and content.keys() == {_CONTENT}:
        return content[_CONTENT]
    if _role(content):
        return content
    if isinstance(content, str):
        content = {"text": content}
    parts = content if isinstance(content, list) else [] if content is None else [content]
    calls = {} if message.tool_calls is None else {"tool_calls": message.tool_calls}
    return {"role": message.role, "parts": parts, **calls}
