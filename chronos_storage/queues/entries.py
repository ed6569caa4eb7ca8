"""Storing entries: numbers without a gap, in the order in which transactions commit.

Whoever has advanced a topic's number holds its row until the transaction ends, so the next publisher's entry is
committed later and has a higher number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connections, transaction
from django.db.models import F, Value

from .. import codec, models, records
from ..compat.queries import Fetch, fetch_values
from ..exceptions import AlreadyExists, InvalidRecord
from ..ledger.mapping import Table
from ..records import QueueEntry
from ..snapshots import current
from .cursors import cursor_of, number_of

#: An event of the ledger with the largest payload, which has its other fields besides, must find room.
_MAX_BYTES = codec.MAX_JSON_BYTES + 16 * 1024


def named(name: Any, field: str, limit: int = codec.MAX_INDEXED) -> str:
    """A name that must not be empty, checked."""
    if not (name := codec.string(name, field, limit)):
        raise InvalidRecord(field, "is empty")
    return name


@dataclass(slots=True, kw_only=True)
class NewEntry(QueueEntry):
    """An entry to be stored.

    Attributes:
        key: what a repeat finds it by; without one it isn't looked for.
    """

    key: str | None = field(default=None, metadata={"check": named})


class _EntryTable(Table[QueueEntry]):
    """Cursors are kept as numbers."""

    def __init__(self) -> None:
        super().__init__(QueueEntry, models.QueueEntry)
        self.columns: tuple[str, ...] = tuple("seq_num" if name == "cursor" else name for name in self.names)
        self._at = self.columns.index("seq_num")

    def values(self, record: QueueEntry) -> dict[str, Any]:
        return {
            "topic": record.topic,
            "seq_num": number_of(record.cursor, "cursor"),
            "event": Value(document(record)),
            "user_id": record.user_id,
            "created_at": record.created_at,
            "key": getattr(record, "key", None),
        }

    def fetch(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[QueueEntry]:
        at = self._at
        found = fetch(rows, self.columns)
        return [self._build(*row[:at], cursor_of(row[at]), *row[at + 1 :]) for row in found]


ENTRIES = _EntryTable()


def new_entry(topic: str, event: Any, user_id: str, key: str | None) -> NewEntry:
    """An entry to be stored, checked."""
    entry = NewEntry(topic=topic_name(topic), event=event, user_id=user_id, key=key).cleaned()
    codec.dumps(entry.event, "event")
    return entry


def topic_name(topic: str) -> str:
    """The name of a topic, checked."""
    return named(topic, "topic", codec.MAX_TOPIC)


def document(entry: QueueEntry) -> str:
    """The text of an entry's event, as it is stored."""
    return codec.dumps(entry.event, "event", _MAX_BYTES)


def append(using: str, new: Sequence[NewEntry]) -> None:
    """Store entries, and give them their cursors and times; topics are locked in the order of their names."""
    by_topic: dict[str, list[NewEntry]] = defaultdict(list)
    for entry in new:
        by_topic[entry.topic].append(entry)
    with transaction.atomic(using=using):
        for topic in sorted(by_topic):
            entries = by_topic[topic]
            first = _advance(using, topic, len(entries)) - len(entries) + 1
            for number, entry in enumerate(entries, first):
                entry.cursor = cursor_of(number)
        now = records.now()
        for entry in new:
            entry.created_at = entry.created_at or now
        ENTRIES.insert(using, new)


def find(using: str, entry: NewEntry) -> QueueEntry | None:
    """What the entry's topic has under its key, whatever the caller's transaction sees of it."""
    rows = models.QueueEntry.objects.using(using).filter(topic=entry.topic, key=entry.key)
    with transaction.atomic(using=using):
        return next(iter(ENTRIES.fetch(current(rows))), None)


def cursor_of_repeat(entry: NewEntry, stored: QueueEntry) -> str:
    """The cursor of what is stored under the key of `entry`, which must be the same.

    Raises:
        AlreadyExists: it is something else.
    """
    for name in ("event", "user_id"):
        if codec.canonical(getattr(entry, name)) != codec.canonical(getattr(stored, name)):
            raise AlreadyExists(f"the key {entry.key!r} was given on {entry.topic!r} before, with another {name}")
    return stored.cursor


def _advance(using: str, topic: str, count: int) -> int:
    """Move the topic's last number, in the caller's transaction; returns what it is then."""
    row = models.Topic.objects.using(using).filter(name=topic)
    if not row.update(seq_num=F("seq_num") + count):
        models.Topic.objects.using(using).bulk_create([models.Topic(name=topic)], ignore_conflicts=True)
        row.update(seq_num=F("seq_num") + count)
    return row.values_list("seq_num", flat=True).get()


def append_one(using: str, entry: NewEntry, channel: str) -> None:
    """`append` of one entry on PostgreSQL: in one statement, which tells the channel of it."""
    entry.created_at = entry.created_at or records.now()
    parameters = [entry.topic, document(entry), entry.user_id, str(entry.created_at), entry.key, channel]
    with connections[using].cursor() as cursor:
        cursor.execute(_APPEND_ONE, parameters)
        entry.cursor = cursor_of(cursor.fetchone()[0])


_TOPIC, _ENTRY = models.Topic._meta.db_table, models.QueueEntry._meta.db_table
_APPEND_ONE = f"""
    WITH head AS (
        INSERT INTO {_TOPIC} AS topic (name, seq_num, base_seq) VALUES (%s, 1, 0)
        ON CONFLICT (name) DO UPDATE SET seq_num = topic.seq_num + 1
        RETURNING name, seq_num
    ), entry AS (
        INSERT INTO {_ENTRY} (topic, seq_num, event, user_id, created_at, key)
        SELECT name, seq_num, %s::json, %s::text, %s::timestamptz, %s::text FROM head
        RETURNING topic, seq_num
    )
    SELECT seq_num, pg_notify(%s::text, topic) FROM entry"""
