"""The storage service of Ago: sessions and the events in them, in memory or in PostgreSQL.

A session is a session. An event is one turn of it, so a message, whose content is the event's whole message object;
what a message has no field for (`METADATA`) stands in its metadata, beside what the event's own metadata says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.db import connections

from .. import codec
from ..backends.document import MemoryBackend
from ..exceptions import InvalidRecord
from ..facade import Storage
from .ago_database import Config, open_database
from .ago_records import METADATA, Event, Session, ago_session_of, event_of, message_of, session_of
from .unique import add_unique

__all__ = ["METADATA", "Config", "Event", "Service", "Session", "new"]

P = ParamSpec("P")
T = TypeVar("T")


def new(config: Config | None = None) -> Service:
    """The service that a configuration describes: without one, or without a URL in it, in memory, on its own.

    Raises:
        ConfigurationError: the configuration can't be right, or its database can't be used.
    """
    if config is None or not config.database_url:
        return Service(Storage(MemoryBackend()))
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
        return ago_session_of(self._storage.create_session(session_of(session)))

    @_released
    def get_session(self, id: str) -> Session | None:
        """The session, or None."""
        found = self._storage.get_session(id)
        return None if found is None else ago_session_of(found)

    @_released
    def update_session(self, session: Session) -> Session:
        """Write a session's author, title and metadata, and its user, which it keeps once it has one.

        Raises:
            NotFound: there is no such session, or it is deleted.
        """
        written = session_of(session)
        changes: dict[str, Any] = {"author": written.author, "title": written.title, "metadata": written.metadata}
        if written.user_id:
            changes["user_id"] = written.user_id
        return ago_session_of(self._storage.patch_session(session.id, **changes))

    @_released
    def delete_session(self, id: str) -> bool:
        """Soft-delete a session; whether it was there. Its events stay readable."""
        return self._storage.delete_session(id)

    @_released
    def list_sessions(self, user_id: str = "", limit: int = 0, offset: int = 0) -> list[Session]:
        """A user's sessions, or with an empty user_id everyone's, newest first. A limit of 0 or less is all."""
        limited = limit if codec.integer(limit, "limit", codec.MIN_INTEGER) > 0 else None
        skipped = max(0, codec.integer(offset, "offset", codec.MIN_INTEGER))
        user_id = codec.string(user_id, "user_id")
        found = self._storage.list_sessions(user_id=user_id or None, limit=limited, offset=skipped)
        return [ago_session_of(session) for session in found]

    @_released
    def create_event(self, event: Event) -> Event:
        """Store an event at the end of its session; again with the same content, the stored one comes back.

        Raises:
            NotFound: there is no such session, or it is deleted.
            AlreadyExists: its id is taken, in another session or by other content.
        """
        [stored] = add_unique(self._storage, [message_of(event)])
        return event_of(stored)

    @_released
    def create_events(self, events: Iterable[Event]) -> list[Event]:
        """Store several events, all or none; see `create_event`."""
        if not isinstance(events, Iterable):
            raise InvalidRecord("events", f"must be Event records, not {type(events).__name__}")
        stored = add_unique(self._storage, [message_of(event) for event in events])
        return [event_of(message) for message in stored]

    @_released
    def get_events(self, session_id: str) -> list[Event]:
        """A session's events, oldest first."""
        return [event_of(message) for message in self._storage.list_messages(session_id)]

    @_released
    def get_recent_events(self, session_id: str, limit: int) -> list[Event]:
        """A session's last `limit` events, oldest first; all, if it is 0 or less."""
        if codec.integer(limit, "limit", codec.MIN_INTEGER) <= 0:
            return [event_of(message) for message in self._storage.list_messages(session_id)]
        latest = self._storage.list_messages(session_id, order="desc", limit=limit)
        return [event_of(message) for message in reversed(latest)]

    @_released
    def get_event(self, id: str) -> Event | None:
        """The event, or None; the newest, should another interface have given several sessions its id."""
        found = self._storage.find_messages([codec.string(id, "id")])
        return event_of(found[id]) if found else None

    def close(self) -> None:
        """Release connections, the pool's too; again, no change."""
        self._storage.close()
        if self._pooled:
            connection: Any = connections[self._storage.alias]
            connection.close_pool()
