"""Where records are kept: their keys, and their places in the indexes that lists and walks go by.

What an index is sorted by is one string. Times and numbers in it have a fixed width, and a text that others follow
ends with a NUL, which none contains, so that the strings sort as their parts do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...chains.hashing import time_text
from ...chains.numbering import audit_chain
from ...records import (
    KINDS,
    Artifact,
    AuditLog,
    Blob,
    Checkpoint,
    Event,
    Image,
    MemoryRecord,
    Message,
    Record,
    Session,
    Trace,
)
from .driver import Entry, Key

SHORT_TERM = "short_term"
KIND_OF: dict[type[Record], str] = {record: kind for kind, record in KINDS.items()} | {Blob: "blob"}
#: What belongs to a session, and has an id that is unique within it.
OF_SESSION = (Message, Event, Checkpoint)


@dataclass(frozen=True, slots=True)
class Index:
    """An order of the records of a type that have the same values in some fields.

    Attributes:
        order: the fields it is sorted by, ascending; unique together among the records that are the same in `equal`.
    """

    order: tuple[str, ...]
    equal: tuple[str, ...] = ()

    def partition(self, kind: str, values: Mapping[str, str]) -> Key:
        """Where the records of a kind with these values are."""
        return (kind, "/".join(self.order), *(part for name in self.equal for part in (name, values[name])))

    def place(self, record: Any) -> str:
        """Where a record is in the partition."""
        return place_of(*(value_of(record, name) for name in self.order))


def _filtered(order: tuple[str, ...], *names: str) -> tuple[Index, ...]:
    """The indexes of a list in this order: of all, and by each of its filters, the most telling first."""
    return (*(Index(order, (name,)) for name in names), Index(order))


#: All records of a type, by id.
BY_ID = Index(("id",))
_CHAIN = Index(("seq_num",), ("chain",))
#: What names a user, chain by chain.
CHAINS_OF_USER = Index(("chain", "seq_num"), ("user_id",))
_NUMBERED = (Index(("seq_num",), ("session_id",)), Index(("session_id",), ("id",)))

INDEXES: dict[type[Record], tuple[Index, ...]] = {
    Session: (
        *_filtered(("created_at", "id"), "user_id", "image_id", "container_id", "agent_id", "status"),
        *_filtered(("last_activity_at", "id"), "user_id", "agent_id"),
        *_filtered(("id",), "user_id"),
    ),
    Message: _NUMBERED,
    Event: _NUMBERED,
    Checkpoint: (
        Index(("seq_num",), ("session_id", "namespace")),
        Index(("seq_num",), ("session_id", "namespace", "run_id")),
        Index(("session_id",), ("id",)),
    ),
    MemoryRecord: (
        Index(("updated_at", "id"), ("agent_id",)),
        Index(("updated_at", "id"), ("agent_id", "key")),
        Index(("updated_at", "id"), ("user_id",)),
        *_filtered(("id",), "user_id", "session_id"),
    ),
    AuditLog: (
        *_filtered(("created_at", "seq_num", "id"), "session_id", "resource", "user_id", "actor", "agent_id", "action"),
        _CHAIN,
        CHAINS_OF_USER,
    ),
    Trace: (
        Index(("started_at", "id"), ("session_id",)),
        Index(("started_at", "id"), ("trace_id",)),
        *_filtered(("id",), "session_id"),
    ),
    Artifact: (
        Index(("version",), ("scope",)),
        *_filtered(("created_at", "id"), "session_id", "user_id", "name"),
        *_filtered(("id",), "session_id", "user_id", "sha256"),
    ),
    Blob: (BY_ID,),
    Image: (*_filtered(("created_at", "id"), "name", "container_id"), BY_ID),
}
# Those of others are of a list of all, and of walks through all, and through a user's.
for _record in set(KINDS.values()).difference(INDEXES):
    _owners = (name for name in ("user_id", "session_id") if hasattr(_record, name))
    INDEXES[_record] = (Index(("created_at", "id")), *_filtered(("id",), *_owners))


#: The orders, as partitions name them, in which a record stays where it is as long as it is there.
STEADY = frozenset(
    "/".join(index.order)
    for indexes in INDEXES.values()
    for index in indexes
    if not {"last_activity_at", "updated_at"}.intersection(index.order)
)


def value_of(record: Any, name: str) -> Any:
    """What an index sees of a record."""
    return audit_chain(record.session_id, record.agent_id) if name == "chain" else getattr(record, name)


def place_of(*parts: datetime | int | str | None) -> str:
    """What an index is sorted by, for these values."""
    *firsts, last = parts
    return "".join(f"{part}\x00" if isinstance(part, str) else _text(part) for part in firsts) + _text(last)


def _text(part: Any) -> str:
    match part:
        case datetime():
            return time_text(part)
        case int():
            return f"{part:019}"
        case _:
            return str(part)


def key_of(record: Any) -> Key:
    """The key of the document that keeps a record."""
    if isinstance(record, OF_SESSION):
        return KIND_OF[type(record)], record.session_id, record.id
    return KIND_OF[type(record)], record.id


def memory_place(record: MemoryRecord) -> Key:
    """The key of the document that says which record is under a natural key."""
    return "place", record.agent_id, record.user_id, record.session_id, record.kind, record.key


def expiry_of(record: Any) -> datetime | None:
    """From when on a record is of no use to anybody; None for what is kept."""
    return record.expires_at if isinstance(record, MemoryRecord) and record.kind == SHORT_TERM else None


def entries_of(record: Any) -> tuple[Entry, ...]:
    """A record's places in the indexes."""
    kind = KIND_OF[type(record)]
    entries = []
    for index in INDEXES[type(record)]:
        values = {name: value_of(record, name) for name in index.equal}
        entries.append(Entry(index.partition(kind, values), index.place(record)))
    return tuple(entries)


def series_of(kind: str, owner: str, namespace: str = "") -> Key:
    """The partition of a series' records, by their numbers."""
    match kind:
        case "audit_log":
            return _CHAIN.partition(kind, {"chain": owner})
        case "artifact":
            return INDEXES[Artifact][0].partition(kind, {"scope": namespace})
        case "checkpoint":
            return INDEXES[Checkpoint][0].partition(kind, {"session_id": owner, "namespace": namespace})
        case _:
            return _NUMBERED[0].partition(kind, {"session_id": owner})
