"""The storage service of Ago: sessions and the events in them, in memory or in PostgreSQL.

A session is a session. An event is one turn of it, so a message, whose content is the event's whole message object;
what a message has no field for (`METADATA`) stands in its metadata, beside what the event's own metadata says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from django.db import connections

from .. import codec, records
from ..backends.base import Storage
from ..backends.document import MemoryStorage
from ..exceptions import InvalidRecord
from ..records import TokenUsage
from .ago_database import Config, open_database
from .exchange import Exchanged

__all__ = ["METADATA", "Config", "Event", "Service", "Session", "new"]

P = ParamSpec("P")
T = TypeVar("T")

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


def new(config: Config | None = None) -> Service:
    """The service that a configuration describes: without one, or without a URL in it, in memory, on its own.

    Raises:
        ConfigurationError: the configuration can't be right, or its database can't be used.
    """
    if config is None or not config.database_url:
        return Service(MemoryStorage())
    return Service(open_database(config), pooled=True)


def _released(method: Callable[Concatenate[Service, P], T]) -> Callable[Concatenate[Service, P], T]:
    """A method that gives its connection back to the pool, for the next thread."""

    @wraps(method)
    def call(self: Service, *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(self, *args, **kwargs)
        finally:
            if self._pooled:
                self._storage.close()

    return cast("Callable[Concatenate[Service, P], T]", call)


class Service:
    """Ago's eleven methods over a storage.

    Args:
        pooled: the storage's connections are a pool's, and go back to it after each call.
    """

    def __init__(self, storage: Storage, *, pooled: bool = False) -> None:
        self._storage = storage
        self._pooled = pooled

    @_released
    def create_session(self, session: Session) -> Session:
        """Store a new session; returns it with what the store filled in.

        Raises:
            AlreadyExists: its id is taken, be it by a deleted session.
        """
        return _session(self._storage.create_session(session_of(session)))

    @_released
    def get_session(self, id: str) -> Session | None:
        """The session, or None."""
        found = self._storage.get_session(id)
        return None if found is None else _session(found)

    @_released
    def update_session(self, session: Session) -> Session:
        """Write a session's author, title and metadata, and its user, which it keeps once it has one.

        Raises:
            NotFound: there is no such session, or it is deleted.
        """
        written = session_of(session)
        names = ("user_id", "author", "title", "metadata")
        return _session(self._storage.patch_session(session.id, **{name: getattr(written, name) for name in names}))

    @_released
    def delete_session(self, id: str) -> bool:
        """Soft-delete a session; whether it was there. Its events stay readable."""
        return self._storage.delete_session(id)

    @_released
    def list_sessions(self, user_id: str = "", limit: int = 0, offset: int = 0) -> list[Session]:
        """A user's sessions, or with an empty user_id everyone's, newest first. A limit of 0 or less is all."""
        limited = limit if codec.integer(limit, "limit", codec.MIN_INTEGER) > 0 else None
        skipped = max(0, codec.integer(offset, "offset", codec.MIN_INTEGER))
        found = self._storage.list_sessions(user_id=user_id or None, limit=limited, offset=skipped)
        return [_session(session) for session in found]

    @_released
    def create_event(self, event: Event) -> Event:
        """Store an event at the end of its session; again with the same content, the stored one comes back.

        Raises:
            NotFound: there is no such session, or it is deleted.
            AlreadyExists: its id is taken by other content.
        """
        return _event(self._storage.add_message(message_of(event)))

    @_released
    def create_events(self, events: Iterable[Event]) -> list[Event]:
        """Store several events, all or none; see `create_event`."""
        stored = self._storage.add_messages([message_of(event) for event in events])
        return [_event(message) for message in stored]

    @_released
    def get_events(self, session_id: str) -> list[Event]:
        """A session's events, oldest first."""
        return [_event(message) for message in self._storage.list_messages(session_id)]

    @_released
    def get_recent_events(self, session_id: str, limit: int) -> list[Event]:
        """A session's last `limit` events, oldest first; all, if it is 0 or less."""
        if codec.integer(limit, "limit", codec.MIN_INTEGER) <= 0:
            return [_event(message) for message in self._storage.list_messages(session_id)]
        latest = self._storage.list_messages(session_id, order="desc", limit=limit)
        return [_event(message) for message in reversed(latest)]

    @_released
    def get_event(self, id: str) -> Event | None:
        """The event, or None.

        Raises:
            AmbiguousId: several sessions have an event of this id.
        """
        found = self._storage.get_message(id)
        return None if found is None else _event(found)

    def close(self) -> None:
        """Release connections, the pool's too; again, no change."""
        self._storage.close()
        if self._pooled:
            connection: Any = connections[self._storage.alias]  # type: ignore[attr-defined]
            connection.close_pool()


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


def _session(session: records.Session) -> Session:
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


def _event(message: records.Message) -> Event:
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
