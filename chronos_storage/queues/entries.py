"""Storing entries: numbers without a gap, in the order in which transactions commit.

Whoever has advanced a topic's number holds its row until the transaction ends, so the next publisher's entry is
committed later and has a higher number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connections, transaction
from django.db.models import F, Value
from django.db.models.query import QuerySet

from .. import codec, models, records
from ..chains.numbering import owner_of
from ..compat.queries import Fetch, fetch_values
from ..exceptions import AlreadyExists, InvalidRecord
from ..ledger.mapping import Table
from ..ledger.postgresql_entries import entry_statement
from ..ledger.rows import insert_models
from ..preparing import prepared_cursor
from ..records import QueueEntry
from ..redaction import redacted
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


@dataclass(frozen=True, slots=True)
class KeptTopic:
    """A part of a topic as it is kept.

    Attributes:
        base: the cursor of the last entry that retention has removed; of none, one that all entries come after.
        entries: in order, with their keys.
        consumers: by name, what each has acknowledged, and when it was last heard of.
    """

    topic: str
    base: str
    entries: list[NewEntry]
    consumers: dict[str, tuple[str, datetime]]

    def after(self, last: int) -> list[NewEntry]:
        """The entries after a number.

        Raises:
            InvalidRecord: the first of them is not the next one.
        """
        new = [entry for entry in self.entries if number_of(entry.cursor, "cursor") > last]
        if new and number_of(new[0].cursor, "cursor") != last + 1:
            raise InvalidRecord("entries", f"go on with {new[0].cursor}; {self.topic!r} with {cursor_of(last + 1)}")
        return new


class _EntryTable(Table[QueueEntry]):
    """Cursors are kept as numbers."""

    def __init__(self, record: type[QueueEntry]) -> None:
        super().__init__(record, models.QueueEntry)
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

    def insert(self, using: str, new: Iterable[QueueEntry]) -> None:
        insert_models(self, using, new)

    def fetch(self, rows: Any, fetch: Fetch = fetch_values, using: str = "") -> list[QueueEntry]:
        at = self._at
        found = fetch(rows, self.columns)
        return [self._build(*row[:at], cursor_of(row[at]), *row[at + 1 :]) for row in found]


ENTRIES = _EntryTable(QueueEntry)
KEYED_ENTRIES: Table[Any] = _EntryTable(NewEntry)


def entries_of(using: str, topic: str) -> QuerySet[models.QueueEntry]:
    """A topic's entries."""
    return models.QueueEntry.objects.using(using).filter(owner=owner_of(topic), topic=topic)


def head_of(using: str, topic: str) -> QuerySet[models.Topic]:
    """A topic's row."""
    return models.Topic.objects.using(using).filter(owner=owner_of(topic), name=topic)


def new_entry(topic: str, event: Any, user_id: str, key: str | None) -> NewEntry:
    """An entry to be stored, checked."""
    entry = redacted(NewEntry(topic=topic_name(topic), event=event, user_id=user_id, key=key))
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
            first = advance(using, topic, len(entries)) - len(entries) + 1
            for number, entry in enumerate(entries, first):
                entry.cursor = cursor_of(number)
        now = records.now()
        for entry in new:
            entry.created_at = entry.created_at or now
        ENTRIES.insert(using, new)


def find(using: str, entry: NewEntry) -> QueueEntry | None:
    """What the entry's topic has under its key, whatever the caller's transaction sees of it."""
    rows = entries_of(using, entry.topic).filter(key=entry.key)
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


def advance(using: str, topic: str, count: int) -> int:
    """Move the topic's last number, in the caller's transaction; returns what it is then."""
    row = head_of(using, topic)
    if not row.update(seq_num=F("seq_num") + count):
        models.Topic.objects.using(using).bulk_create([models.Topic(name=topic)], ignore_conflicts=True)
        row.update(seq_num=F("seq_num") + count)
    return row.values_list("seq_num", flat=True).get()


def append_one(using: str, entry: NewEntry, channel: str) -> None:
    """`append` of one entry on PostgreSQL: in one statement, which tells the channel of it."""
    entry.created_at = entry.created_at or records.now()
    given = [document(entry), entry.user_id, str(entry.created_at), entry.key, channel]
    with prepared_cursor(connections[using]) as cursor:
        cursor.execute(entry_statement(), [owner_of(entry.topic), entry.topic, *given])
        (number,) = cursor.fetchone()
    entry.cursor = cursor_of(number)
