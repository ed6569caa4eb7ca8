"""The queue beside a storage over documents, whatever keeps those, which is looked at again and again for news."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from .. import codec, records
from ..backends.document import Document, DocumentBackend, Entry, Key
from ..chains.hashing import time_text
from ..exceptions import ConfigurationError
from ..facade import Storage
from ..facade.stores import storages
from ..ids import new_id
from ..records import QueueEntry
from . import entries
from .cursors import cursor_of, number_of
from .entries import KeptTopic, NewEntry, named, new_entry
from .notifiers import PollingNotifier
from .paged import PagedQueue

T = TypeVar("T")

#: Entries that are removed at once, and characters of a page of them.
_MANY, _SIZE = 500, 4 * 1024 * 1024
_TOPICS = ("topics",)


class DocumentQueue(PagedQueue):
    """`EventQueue` beside a storage over documents. It joins no transaction: what is published is there at once.

    Args:
        storage: the storage, or its alias in the settings.
        poll_interval: seconds between two looks for what other processes published.
    """

    def __init__(self, storage: Storage | str = "default", *, poll_interval: float = 0.2) -> None:
        backend = (storages[storage] if isinstance(storage, str) else storage).backend
        if not isinstance(backend, DocumentBackend):
            raise ConfigurationError(f"STORAGE must be a storage over documents, not over {backend!r}")
        if poll_interval <= 0:
            raise ConfigurationError(f"POLL_INTERVAL must be a number of seconds above 0, not {poll_interval!r}")
        self._backend = backend
        super().__init__(PollingNotifier(self._last_numbers, poll_interval))

    def _attempt(self, call: Callable[[], T]) -> T:
        return self._backend.run(call)

    # A topic has a document with its last number, and one with the last that was removed, so that who publishes is not
    # in the way of who removes. An entry is kept under its key.

    def publish(self, topic: str, event: Any, *, user_id: str = "", key: str | None = None) -> str:
        entry = new_entry(topic, event, user_id, new_id() if key is None else key)
        cursor = self._attempt(partial(self._publish, entry, records.now()))
        self._notifier.wake([entry.topic])
        return cursor

    def _publish(self, entry: NewEntry, created_at: datetime) -> str:
        head, place = _head_key(entry.topic), ("published", entry.topic, entry.key or "")
        with self._backend.work() as work:
            work.fetch([head, place])
            if (stored := work.document(place)) is not None:
                return entries.cursor_of_repeat(entry, _entry(entry.topic, stored))
            cursor = cursor_of(_number(work.document(head)) + 1)
            entry.cursor, entry.created_at = cursor, created_at
            work.write(_published(entry))
            work.write(Document(head, codec.dumps(number_of(cursor, "cursor")), (Entry(_TOPICS, entry.topic),)))
        return cursor

    def _head(self, topic: str) -> tuple[int, int]:
        keys = _base_key(topic), _head_key(topic)
        found = self._backend.read(keys)
        base, last = (_number(found.get(key)) for key in keys)
        return max(base, last), base

    def _last_numbers(self, topics: list[str]) -> dict[str, int]:
        found = self._backend.read(map(_head_key, topics))
        return {topic: _number(found.get(_head_key(topic))) for topic in topics}

    def _some(self, topic: str, after: int, limit: int) -> list[QueueEntry]:
        return [QueueEntry.of(entry, "entry") for entry in self._keyed(topic, after, limit)]

    # Copying

    def _keyed(self, topic: str, after: int, limit: int) -> list[NewEntry]:
        found = self._backend.page(_entries_of(topic), above=cursor_of(after), limit=limit, size=_SIZE)
        return [_entry(topic, document) for _, document in found]

    def _load(self, kept: KeptTopic, base: int) -> int:
        topic = kept.topic
        if base > (last := self._head(topic)[0]):
            while self._remove(topic, last):
                pass
        with self._backend.work() as work:
            last = _number(work.document(_head_key(topic)))
            if base > last:
                work.write(Document(_base_key(topic), codec.dumps(base)))
            new = kept.after(max(last, base))
            for entry in new:
                work.write(_published(entry))
            last = number_of(new[-1].cursor, "cursor") if new else max(last, base)
            work.write(Document(_head_key(topic), codec.dumps(last), (Entry(_TOPICS, topic),)))
        self._notifier.wake([topic])
        return len(new)

    # Consumers

    def ack(self, consumer: str, topic: str, cursor: str) -> None:
        consumer, topic = named(consumer, "consumer"), entries.topic_name(topic)
        self._attempt(partial(self._ack, consumer, topic, number_of(cursor, "cursor"), records.now()))

    def _ack(self, consumer: str, topic: str, number: int, now: datetime) -> None:
        self._require_given(topic, number, "cursor")
        self._acknowledge(consumer, topic, number, now)

    def _acknowledge(self, consumer: str, topic: str, number: int, now: datetime) -> None:
        key = ("consumer", topic, consumer)
        with self._backend.work() as work:
            before, seen = _consumer(work.document(key)) or (number, now)
            body = codec.dumps([max(before, number), time_text(max(seen, now))])
            work.write(Document(key, body, (Entry(_consumers_of(topic), consumer),)))

    def _acknowledged(self, consumer: str, topic: str) -> int | None:
        found = _consumer(self._backend.read_one(("consumer", topic, consumer)))
        return None if found is None else found[0]

    # Care

    def _topics(self) -> Iterable[str]:
        return (document.key[1] for document in self._backend.walk(_TOPICS))

    def _consumers(self, topic: str) -> Iterable[tuple[str, int, datetime]]:
        for document in self._backend.walk(_consumers_of(topic)):
            if (found := _consumer(document)) is not None:
                yield document.key[2], *found

    def erase_user(self, user_id: str, *, but: Collection[str] = ()) -> int:
        user_id = named(user_id, "user_id")
        found = [
            document.key
            for topic in [each for each in self._topics() if each not in but]
            for document in self._backend.walk(_entries_of(topic))
            if _entry(topic, document).user_id == user_id
        ]
        return sum(self._attempt(partial(self._empty, key, user_id)) for key in found)

    def _empty(self, key: Key, user_id: str) -> int:
        with self._backend.work() as work:
            stored = work.document(key)
            if stored is None or _entry(key[1], stored).user_id != user_id:
                return 0
            cursor, _, created_at, _ = codec.loads(stored.body)
            work.remove(key)  # which may name the user
            new = ("published", key[1], new_id())
            work.write(Document(new, codec.encode([cursor, "", created_at, None]), stored.entries))
        return 1

    def erase_topic(self, topic: str) -> int:
        topic = entries.topic_name(topic)
        removed = 0
        while some := self._attempt(partial(self._erase_some, topic, _entries_of(topic))):
            removed += some
        while self._attempt(partial(self._erase_some, topic, _consumers_of(topic))):
            pass
        return removed

    def _erase_some(self, topic: str, partition: Key) -> int:
        """Remove a batch of a topic's entries or consumers; returns how many. With the last of them its heads go."""
        with self._backend.work() as work:
            heads = [work.document(key) for key in (_head_key(topic), _base_key(topic))]
            found = self._backend.page(partition, limit=_MANY, size=_SIZE)
            if not found:
                work.remove_found(filter(None, heads))
            return work.remove_found(document for _, document in found)

    def _remove(self, topic: str, through: int) -> int:
        with self._backend.work() as work:
            base = _number(work.document(_base_key(topic)))
            bounds: Any = {"above": cursor_of(base), "below": cursor_of(through + 1)}
            found = self._backend.page(_entries_of(topic), **bounds, limit=_MANY, size=_SIZE) if base < through else []
            if found:
                last = number_of(found[-1][0], "cursor")
                work.write(Document(_base_key(topic), codec.dumps(last)))
            return work.remove_found(document for _, document in found)


def _published(entry: NewEntry) -> Document:
    assert entry.created_at is not None
    fields = [codec.dumps(each) for each in (entry.cursor, entry.user_id, time_text(entry.created_at))]
    body = f"[{','.join(fields)},{entries.document(entry)}]"
    key = ("published", entry.topic, entry.key or new_id())
    return Document(key, body, (Entry(_entries_of(entry.topic), entry.cursor),))


def _head_key(topic: str) -> Key:
    return "topic", topic


def _base_key(topic: str) -> Key:
    return "topic_base", topic


def _entries_of(topic: str) -> Key:
    return "published", topic


def _consumers_of(topic: str) -> Key:
    return "consumers", topic


def _number(document: Document | None) -> int:
    number: int = 0 if document is None else codec.loads(document.body)
    return number


def _entry(topic: str, document: Document) -> NewEntry:
    cursor, user_id, created_at, event = codec.loads(document.body)
    at = datetime.fromisoformat(created_at)
    key = document.key[2]
    return NewEntry(cursor=cursor, topic=topic, event=event, user_id=user_id, created_at=at, key=key)


def _consumer(document: Document | None) -> tuple[int, datetime] | None:
    """What a consumer has acknowledged, and when it was last heard of."""
    if document is None:
        return None
    number, seen = codec.loads(document.body)
    return number, datetime.fromisoformat(seen)
