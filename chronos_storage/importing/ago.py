"""The tables of Ago: ``sessions`` and ``events``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ..exceptions import InvalidRecord
from ..interfaces import ago_records as ago
from ..records import Message, Session
from . import tables
from .source import Conversation, Source, json_of, within
from .tables import Row, Tables

_SESSIONS = ("id", "user_id", "author", "title", "metadata", "created_at", "updated_at", "deleted_at")
_EVENTS = (
    *("id", "session_id", "message_id", "user_id", "agent"),
    *("content", "error", "usage", "created_at", "metadata"),
)


@contextmanager
def opened(url: str) -> Iterator[Source]:
    """What an Ago keeps in the database that an address names."""
    with tables.opened(url) as found:
        found.require("sessions", *_SESSIONS)
        found.require("events", *_EVENTS)
        yield _Ago(found)


class _Ago(Source):
    def __init__(self, found: Tables) -> None:
        self._tables = found

    def count(self) -> int:
        return self._tables.count("sessions")

    def conversations(self) -> Iterator[Conversation]:
        for row in self._tables.rows("sessions", "id"):
            place = f"sessions '{row['id']}'"
            yield Conversation(
                place=place,
                session=partial(_session, place, row),
                messages=partial(self._messages, row["id"]),
                deleted=row["deleted_at"] is not None,
            )

    def _messages(self, session_id: Any) -> Iterator[Message]:
        for row in self._tables.rows("events", "created_at", session_id=session_id):
            with within(f"events '{row['id']}'"):
                yield ago.message_of(
                    ago.Event(
                        **_texts(row, "id", "session_id", "message_id", "user_id", "agent", "error"),
                        **{name: json_of(row[name], name) for name in ("content", "usage", "metadata")},
                        created_at=_timestamp(row, "created_at"),
                    )
                ).cleaned()


def _session(place: str, row: Row) -> Session:
    with within(place):
        return ago.session_of(
            ago.Session(
                **_texts(row, "id", "user_id", "author", "title"),
                metadata=json_of(row["metadata"], "metadata"),
                created_at=_timestamp(row, "created_at"),
                updated_at=_timestamp(row, "updated_at"),
            )
        ).cleaned()


def _texts(row: Row, *names: str) -> dict[str, Any]:
    """Columns as text, UUIDs among them."""
    return {name: "" if row[name] is None else str(row[name]) for name in names}


def _timestamp(row: Row, name: str) -> datetime | None:
    """A time, which SQLite has as text; one without a zone is in UTC."""
    value = row[name]
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise InvalidRecord(name, f"must be a time, not {value!r}") from None
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
