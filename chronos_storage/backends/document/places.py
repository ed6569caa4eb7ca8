"""Where records are kept: their keys, and their entries in the indexes that lists and walks go by.

What an index is sorted by is one string. Times and numbers in it have a fixed width, and an id, which has none, comes
last, so that the strings sort as their parts do.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ...chains.hashing import time_text
from ...chains.numbering import audit_chain
from ...records import (
    KINDS,
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Record,
    Session,
    Trace,
)
from .driver import Entry, Key

_KINDS = {record: kind for kind, record in KINDS.items()}

#: The filters of each list that have an index, the most telling first, by the order of the list.
SESSION_FILTERS = {
    "created_at": ("user_id", "image_id", "container_id", "agent_id", "status"),
    "last_activity_at": ("user_id", "agent_id"),
}
AUDIT_FILTERS = ("session_id", "resource", "user_id", "actor", "agent_id", "action")
IMAGE_FILTERS = ("name", "container_id")


def place_of(*parts: datetime | int | str | None) -> str:
    """What an index is sorted by, for these times and numbers and at last an id."""
    return "".join(map(_fixed, parts))


def _fixed(part: Any) -> str:
    match part:
        case datetime():
            return time_text(part)
        case int():
            return f"{part:019}"
        case _:
            return str(part)


def key_of(record: Any) -> Key:
    """The key of the document that keeps a record."""
    match record:
        case Message() | Event() | Checkpoint():
            return _KINDS[type(record)], record.session_id, record.id
        case _:
            return _KINDS[type(record)], record.id


def memory_place(record: MemoryRecord) -> Key:
    """The key of the document that says which record is under a natural key."""
    return "place", record.agent_id, record.user_id, record.session_id, record.kind, record.key


def filtered(kind: str, order: str, name: str = "", value: str = "") -> Key:
    """The partition of a list: in this order, of the records that have this value, or of all."""
    return (kind, order, name, value) if name else (kind, order)


def entries_of(record: Any) -> tuple[Entry, ...]:
    """A record's places in the indexes."""
    return tuple(_ENTRIES[type(record)](record))


def _session(session: Session) -> list[Entry]:
    entries = [Entry(("session",), session.id), Entry(("session", "user", session.user_id), session.id)]
    for order, names in SESSION_FILTERS.items():
        place = place_of(getattr(session, order), session.id)
        entries.append(Entry(filtered("session", order), place))
        entries += [Entry(filtered("session", order, name, getattr(session, name)), place) for name in names]
    return entries


def _numbered(kind: str) -> Callable[[Any], list[Entry]]:
    def entries(record: Any) -> list[Entry]:
        return [
            Entry((kind, "session", record.session_id), place_of(record.seq_num)),
            Entry((kind, "id", record.id), record.session_id),
        ]

    return entries


def _memory(record: MemoryRecord) -> list[Entry]:
    place = place_of(record.updated_at, record.id)
    return [
        Entry(("memory",), record.id),
        Entry(("memory", "user", record.user_id), record.id),
        Entry(("memory", "session", record.session_id), record.id),
        Entry(("memory", "agent", record.agent_id), place),
        Entry(("memory", "key", record.agent_id, record.key), place),
    ]


def _audit_log(log: AuditLog) -> list[Entry]:
    chain, place = audit_chain(log.session_id, log.agent_id), place_of(log.created_at, log.seq_num, log.id)
    return [
        Entry(("audit_log", "chain", chain), place_of(log.seq_num)),
        Entry(("audit_log", "user", log.user_id), f"{chain}\x00{place_of(log.seq_num)}"),
        Entry(filtered("audit_log", "created_at"), place),
        *[Entry(filtered("audit_log", "created_at", name, getattr(log, name)), place) for name in AUDIT_FILTERS],
    ]


def _trace(trace: Trace) -> list[Entry]:
    return [
        Entry(("trace",), trace.id),
        Entry(("trace", "session", trace.session_id), trace.id),
        Entry(("trace", "started_at", trace.session_id), place_of(trace.started_at, trace.id)),
    ]


def _checkpoint(checkpoint: Checkpoint) -> list[Entry]:
    series, place = (checkpoint.session_id, checkpoint.namespace), place_of(checkpoint.seq_num)
    return [
        Entry(("checkpoint", "series", *series), place),
        Entry(("checkpoint", "run", *series, checkpoint.run_id), place),
        Entry(("checkpoint", "id", checkpoint.id), checkpoint.session_id),
    ]


def _container(container: Container) -> list[Entry]:
    place = place_of(container.created_at, container.id)
    return [Entry(("container",), container.id), Entry(filtered("container", "created_at"), place)]


def _image(image: Image) -> list[Entry]:
    place = place_of(image.created_at, image.id)
    return [
        Entry(("image",), image.id),
        Entry(filtered("image", "created_at"), place),
        *[Entry(filtered("image", "created_at", name, getattr(image, name)), place) for name in IMAGE_FILTERS],
    ]


_ENTRIES: dict[type[Record], Callable[[Any], list[Entry]]] = {
    Session: _session,
    Message: _numbered("message"),
    MemoryRecord: _memory,
    AuditLog: _audit_log,
    Trace: _trace,
    Event: _numbered("event"),
    Checkpoint: _checkpoint,
    Container: _container,
    Image: _image,
}
