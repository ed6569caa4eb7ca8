"""The queue over Django's models: the host's own database and its transactions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, connections, router, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.db.models.query import QuerySet

from .. import codec, models, records
from ..aliases import known_alias
from ..async_threads import release
from ..compat.connections import in_transaction
from ..exceptions import ConfigurationError, CursorExpired, InvalidRecord
from ..forks import PerProcess
from ..ids import new_id
from ..ledger.pages import fetch_page
from ..records import QueueEntry
from ..snapshots import current, refuse_unseen
from ..transactions import attempt, retried
from . import entries
from .base import RETENTION, EventQueue, Handler, age_of, page_size
from .cursors import cursor_of, number_of
from .entries import ENTRIES, NewEntry, named
from .notifiers import Wake, notifier_for
from .readers import Readers
from .retention import Retention
from .subscriptions import DELAY, FAILURES, Subscription

logger = logging.getLogger("chronos_storage.queue")

_PAGE = 100


class OrmQueue(EventQueue, PerProcess):
    """`EventQueue` on one database alias. Threads and event loops may share one.

    Args:
        using: the alias; without it the host's database routers decide, by `db_for_write`.
        poll_interval: seconds between two looks for what other processes published, where the database can't tell.
        redis_cache: the alias of a cache that django-redis keeps: Redis then tells, whatever the database is.
        listen_using: the alias to listen on instead, for PostgreSQL behind a pooler such as PgBouncer: one with the
            address of the server itself.
    """

    def __init__(
        self,
        using: str | None = None,
        *,
        poll_interval: float = 0.2,
        redis_cache: str | None = None,
        listen_using: str | None = None,
    ) -> None:
        #: The database alias that is used.
        self.alias: str = known_alias(using or router.db_for_write(models.QueueEntry))
        known_alias(listen_using or self.alias)
        if poll_interval <= 0:
            raise ConfigurationError(f"POLL_INTERVAL must be a number of seconds above 0, not {poll_interval!r}")
        self._notifier = notifier_for(
            self.alias,
            self._last_numbers,
            poll_interval=poll_interval,
            redis_cache=redis_cache,
            listen_using=listen_using,
        )
        self._readers = Readers()
        super().__init__()

    def begin(self) -> None:
        self._subscriptions: set[Subscription] = set()
        #: Another one after each `close`.
        self._era = object()

    # Publishing

    def publish(self, topic: str, event: Any, *, user_id: str = "", key: str | None = None) -> str:
        # A key that nobody else has yet needs no savepoint: it is taken only if an attempt's answer was lost.
        needs_savepoint = key is not None and in_transaction(connections[self.alias])
        entry = entries.new_entry(topic, event, user_id, new_id() if key is None else key)

        def append_once() -> str:
            try:
                with transaction.atomic(using=self.alias) if needs_savepoint else nullcontext():
                    self.append([entry])
            except IntegrityError:
                # What was done before its answer was lost, too, even if the server came to it only now.
                if (stored := entries.find(self.alias, entry)) is None:
                    raise
                return entries.cursor_of_repeat(entry, stored)
            return entry.cursor

        return attempt(self.alias, append_once)

    @property
    def channel(self) -> str | None:
        """The channel of the database that the statement itself tells of an entry; None where there is none."""
        return self._notifier.channel

    def append(self, new: Sequence[NewEntry]) -> None:
        """Store checked entries, all or none, give them their cursors, and have those who wait for them woken."""
        if len(new) == 1 and self.channel:
            entries.append_one(self.alias, new[0], self.channel)
            return
        with transaction.atomic(using=self.alias):
            entries.append(self.alias, new)
            self._notifier.announce(self.alias, {entry.topic for entry in new})

    # Reading

    @retried
    def recover(self, topic: str, after: str | None = None, limit: int | None = 1000) -> list[QueueEntry]:
        topic = entries.topic_name(topic)
        number = None if after is None else number_of(after, "after")
        return self._entries_after(topic, number, None if limit is None else codec.integer(limit, "limit"))

    @retried
    def recover_page(self, topic: str, after: str | None = None, limit: int = 1000) -> tuple[list[QueueEntry], bool]:
        limit, topic = page_size(limit), entries.topic_name(topic)
        number = None if after is None else number_of(after, "after")
        found, more = fetch_page(ENTRIES, self._rows_after(topic, number), ["seq_num"], limit)
        self._require_kept(topic, number, found)
        return found, more

    def _entries_after(self, topic: str, after: int | None, limit: int | None) -> list[QueueEntry]:
        found = ENTRIES.fetch(self._rows_after(topic, after).order_by("seq_num")[:limit])
        self._require_kept(topic, after, found)
        return found

    def _rows_after(self, topic: str, after: int | None) -> QuerySet[models.QueueEntry]:
        rows = models.QueueEntry.objects.using(self.alias).filter(topic=topic)
        return rows if after is None else rows.filter(seq_num__gt=after)

    def _require_kept(self, topic: str, after: int | None, found: list[QueueEntry]) -> None:
        """Raise an error where entries that came after the number are missing, or it is none of the topic's."""
        if after is None or (found and found[0].cursor == cursor_of(after + 1)):
            return
        # Numbers have no gap: nothing is there yet, or not any more. To be asked second, as it only ever grows.
        if after < self._require_given(topic, after, "after"):
            raise CursorExpired

    def _require_given(self, topic: str, number: int, argument: str) -> int:
        """The last number that retention removed; raises where the topic has not given this one yet."""
        last, base = self._head(topic)
        if number > last and number > self._current_head(topic):
            raise InvalidRecord(argument, f"is no cursor that {topic!r} has given")
        return base

    @retried
    def _head(self, topic: str) -> tuple[int, int]:
        """The topic's last number, and the last that retention removed."""
        rows = models.Topic.objects.using(self.alias).filter(name=topic)
        return rows.values_list("seq_num", "base_seq").first() or (0, 0)

    @retried
    def _last_numbers(self, topics: list[str]) -> dict[str, int]:
        return dict(models.Topic.objects.using(self.alias).filter(name__in=topics).values_list("name", "seq_num"))

    @retried
    def last_cursor(self, topic: str) -> str:
        return cursor_of(self._head(entries.topic_name(topic))[0])

    # Live

    def stream(self, topic: str, after: str | None = None) -> AsyncGenerator[QueueEntry, None]:
        return self._stream(entries.topic_name(topic), None if after is None else number_of(after, "after"))

    async def _stream(self, topic: str, after: int | None) -> AsyncGenerator[QueueEntry, None]:
        era, news, has_read = self._era, asyncio.Event(), False
        with self._notifier.waiting([topic], partial(asyncio.get_running_loop().call_soon_threadsafe, news.set)):
            while self._era is era:
                news.clear()
                # Not Django's own threads: each request has one of its own under ASGI, and so a connection.
                try:
                    page, after = await asyncio.wrap_future(self._readers.submit(partial(self._page, topic, after)))
                except FAILURES as error:
                    logger.warning("A stream of %r can't read; trying again: %s", topic, error)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(news.wait(), DELAY)
                    continue
                except InvalidRecord:
                    if not has_read:
                        raise
                    logger.error("The topic %r began anew under a stream, which goes on from there", topic)
                    after = None
                    continue
                has_read = True
                for entry in page:
                    yield entry
                if len(page) < _PAGE:
                    await news.wait()

    @retried
    def _page(self, topic: str, after: int | None) -> tuple[list[QueueEntry], int]:
        """The next entries, and the number to go on after."""
        page = self._entries_after(topic, after, _PAGE)
        if page:
            return page, number_of(page[-1].cursor, "cursor")
        return page, self._head(topic)[1] if after is None else after

    def watching(self, topics: list[str], wake: Wake) -> AbstractContextManager[None]:
        """Within the block, have `wake` called, in any thread, when there may be something new on one of the topics."""
        return self._notifier.waiting([*map(entries.topic_name, topics)], wake)

    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        topic = entries.topic_name(topic)
        if not callable(handler):
            raise InvalidRecord("handler", f"must be callable, not {type(handler).__name__}")

        def read(after: int | None) -> tuple[list[QueueEntry], int]:
            return self._readers.submit(partial(self._page, topic, after)).result()

        # Asked in another thread, whose connection sees what is committed, and nothing of the caller's transaction.
        last, _ = self._readers.submit(partial(self._head, topic)).result()
        subscription = Subscription(topic, handler, read, last)
        self._subscriptions.add(subscription)
        subscription.start(self._notifier)

        def unsubscribe() -> None:
            self._subscriptions.discard(subscription)
            subscription.stop()

        return unsubscribe

    # Consumers

    @retried
    def ack(self, consumer: str, topic: str, cursor: str) -> None:
        consumer, topic = named(consumer, "consumer"), entries.topic_name(topic)
        number, now = number_of(cursor, "cursor"), records.now()
        self._require_given(topic, number, "cursor")
        row = models.Consumer.objects.using(self.alias).filter(topic=topic, name=consumer)
        forward = {name: Greatest(F(name), Value(value)) for name, value in (("seq_num", number), ("seen_at", now))}
        if not row.update(**forward):
            new = models.Consumer(topic=topic, name=consumer, seq_num=number, seen_at=now)
            models.Consumer.objects.using(self.alias).bulk_create([new], ignore_conflicts=True)
            row.update(**forward)  # what another call may have made just now

    def _current_head(self, topic: str) -> int:
        """The topic's last number, whatever the caller's transaction sees of it."""
        with transaction.atomic(using=self.alias):
            refuse_unseen(self.alias, models.Topic(name=topic))
            rows = current(models.Topic.objects.using(self.alias).filter(name=topic))
            return rows.values_list("seq_num", flat=True).first() or 0

    @retried
    def get_cursor(self, consumer: str, topic: str) -> str | None:
        number = self._acknowledged(consumer, topic)
        return None if number is None else cursor_of(number)

    def _acknowledged(self, consumer: str, topic: str) -> int | None:
        consumer, topic = named(consumer, "consumer"), entries.topic_name(topic)
        rows = models.Consumer.objects.using(self.alias).filter(topic=topic, name=consumer)
        return rows.values_list("seq_num", flat=True).first()

    @retried
    def unread_count(self, consumer: str, topic: str) -> int:
        acknowledged = self._acknowledged(consumer, topic) or 0
        last, base = self._head(topic)
        return last - max(acknowledged, base)

    # Care

    def cleanup(self, *, older_than: timedelta = RETENTION) -> int:
        older_than = age_of(older_than)
        return Retention(self.alias, older_than).run()

    def close(self) -> None:
        self._era = object()
        subscriptions, self._subscriptions = self._subscriptions, set()
        for subscription in subscriptions:
            subscription.stop()
        self._notifier.close()
        self._readers.close()
        release(self.alias)
