"""The queue over Django's models: the host's own database and its transactions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import IntegrityError, connections, router, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.db.models.query import QuerySet

from .. import models, records
from ..aliases import known_alias
from ..async_threads import release
from ..batches import batches
from ..chains.numbering import owner_of
from ..compat.connections import in_transaction
from ..exceptions import AlreadyExists, ConfigurationError
from ..ids import new_id
from ..ledger.heads import locked
from ..ledger.pages import fetch_page
from ..records import QueueEntry
from ..snapshots import current, refuse_unseen
from ..transactions import attempt, retried
from . import entries
from .base import RETENTION, Lag, age_of, page_size
from .cursors import number_of
from .entries import ENTRIES, KeptTopic, NewEntry, named
from .live import LiveQueue
from .notifiers import notifier_for
from .retention import Retention

T = TypeVar("T")


class OrmQueue(LiveQueue):
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
        super().__init__(
            notifier_for(
                self.alias,
                self._last_numbers,
                poll_interval=poll_interval,
                redis_cache=redis_cache,
                listen_using=listen_using,
            )
        )

    def _attempt(self, call: Callable[[], T]) -> T:
        return attempt(self.alias, call)

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
    def recover_page(self, topic: str, after: str | None = None, limit: int = 1000) -> tuple[list[QueueEntry], bool]:
        limit, topic = page_size(limit), entries.topic_name(topic)
        number = None if after is None else number_of(after, "after")
        found, more = fetch_page(ENTRIES, self._rows_after(topic, number), ["seq_num"], limit)
        self._require_kept(topic, number, found)
        return found, more

    def _entries(self, topic: str, after: int | None, limit: int | None) -> list[QueueEntry]:
        return ENTRIES.fetch(self._rows_after(topic, after).order_by("seq_num")[:limit])

    def _rows_after(self, topic: str, after: int | None) -> QuerySet[models.QueueEntry]:
        rows = entries.entries_of(self.alias, topic)
        return rows if after is None else rows.filter(seq_num__gt=after)

    @retried
    def _head(self, topic: str) -> tuple[int, int]:
        """The topic's last number, and the last that retention removed."""
        rows = entries.head_of(self.alias, topic)
        return rows.values_list("seq_num", "base_seq").first() or (0, 0)

    @retried
    def _last_numbers(self, topics: list[str]) -> dict[str, int]:
        return dict(self._named(topics).values_list("name", "seq_num"))

    def _named(self, topics: Sequence[str]) -> QuerySet[models.Topic]:
        owners = map(owner_of, topics)
        return models.Topic.objects.using(self.alias).filter(owner__in=owners, name__in=topics)

    # Consumers

    @retried
    def ack(self, consumer: str, topic: str, cursor: str) -> None:
        consumer, topic = named(consumer, "consumer"), entries.topic_name(topic)
        number, now = number_of(cursor, "cursor"), records.now()
        self._require_given(topic, number, "cursor")
        self._acknowledge(consumer, topic, number, now)

    def _acknowledge(self, consumer: str, topic: str, number: int, now: datetime) -> None:
        row = models.Consumer.objects.using(self.alias).filter(topic=topic, name=consumer)
        forward = {name: Greatest(F(name), Value(value)) for name, value in (("seq_num", number), ("seen_at", now))}
        if not row.update(**forward):
            new = models.Consumer(topic=topic, name=consumer, seq_num=number, seen_at=now)
            models.Consumer.objects.using(self.alias).bulk_create([new], ignore_conflicts=True)
            row.update(**forward)  # what another call may have made just now

    def _last_given(self, topic: str) -> int:
        """The topic's last number, whatever the caller's transaction sees of it."""
        with transaction.atomic(using=self.alias):
            refuse_unseen(self.alias, models.Topic(name=topic))
            rows = current(entries.head_of(self.alias, topic))
            return rows.values_list("seq_num", flat=True).first() or 0

    def _acknowledged(self, consumer: str, topic: str) -> int | None:
        rows = models.Consumer.objects.using(self.alias).filter(topic=topic, name=consumer)
        return rows.values_list("seq_num", flat=True).first()

    @retried
    def lags(self) -> list[Lag]:
        rows = models.Consumer.objects.using(self.alias).values_list("topic", "name", "seq_num", "seen_at")
        consumers = list(rows)
        ends: dict[str, tuple[int, int]] = {}
        for names in batches({topic for topic, *_ in consumers}):
            topics = self._named(names).filter(seq_num__gt=0)
            ends |= {name: (last, base) for name, last, base in topics.values_list("name", "seq_num", "base_seq")}
        return sorted(
            Lag(topic, name, max(ends[topic][0] - max(number, ends[topic][1]), 0), seen)
            for topic, name, number, seen in consumers
            if topic in ends
        )

    # Copying

    def _topics(self) -> list[str]:
        return list(models.Topic.objects.using(self.alias).values_list("name", flat=True))

    def _keyed(self, topic: str, after: int, limit: int) -> list[NewEntry]:
        return fetch_page(entries.KEYED_ENTRIES, self._rows_after(topic, after), ["seq_num"], limit)[0]

    def _consumers(self, topic: str) -> list[tuple[str, int, datetime]]:
        rows = models.Consumer.objects.using(self.alias).filter(topic=topic)
        return list(rows.values_list("name", "seq_num", "seen_at"))

    def _load(self, kept: KeptTopic, base: int) -> int:
        head = entries.head_of(self.alias, kept.topic)
        try:
            with transaction.atomic(using=self.alias):
                last = entries.advance(self.alias, kept.topic, 0)  # other publishers wait from now on
                if base > last:
                    entries.entries_of(self.alias, kept.topic).delete()
                    head.update(seq_num=base, base_seq=base)
                if new := kept.after(max(last, base)):
                    entries.KEYED_ENTRIES.insert(self.alias, new)
                    head.update(seq_num=number_of(new[-1].cursor, "cursor"))
                    self._notifier.announce(self.alias, {kept.topic})
        except IntegrityError as error:
            raise AlreadyExists(f"a key of an entry to load is another entry's on {kept.topic!r}") from error
        return len(new)

    # Care

    def cleanup(self, *, older_than: timedelta = RETENTION) -> int:
        older_than = age_of(older_than)
        return Retention(self.alias, older_than).run()

    @retried
    def list_user_entries(self, user_id: str) -> list[QueueEntry]:
        return ENTRIES.fetch(self._of_user(user_id).order_by("topic", "seq_num"))

    @retried
    def erase_user(self, user_id: str, *, but: Collection[str] = ()) -> int:
        return self._of_user(user_id).exclude(topic__in=but).update(event=None, user_id="", key=None)

    def _of_user(self, user_id: str) -> QuerySet[models.QueueEntry]:
        return models.QueueEntry.objects.using(self.alias).filter(user_id=named(user_id, "user_id"))

    @retried
    def erase_topic(self, topic: str) -> int:
        topic = entries.topic_name(topic)
        with transaction.atomic(using=self.alias):
            locked(entries.head_of(self.alias, topic))
            removed: int = entries.entries_of(self.alias, topic).delete()[0]
            models.Consumer.objects.using(self.alias).filter(topic=topic).delete()
            entries.head_of(self.alias, topic).delete()
        return removed

    def close(self) -> None:
        super().close()
        release(self.alias)
