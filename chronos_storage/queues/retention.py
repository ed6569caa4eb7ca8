"""Removing old entries: always a topic's first ones, so that its numbers have no gap."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Min, Value
from django.db.models.functions import Least

from .. import records
from ..models import Consumer, QueueEntry
from ..transactions import retried
from .base import HARD_LIMIT, SILENCE
from .entries import entries_of, head_of

#: Entries removed in one transaction, for which publishers of the topic wait.
_BATCH = 1000


class Retention:
    """The removal of entries from the tables of one database alias.

    Args:
        older_than: how old an entry must be.
    """

    def __init__(self, alias: str, older_than: timedelta) -> None:
        self.alias = alias
        now = records.now()
        self._kept_since = now - older_than
        self._held_since = now - max(older_than, HARD_LIMIT)
        self._alive_since = now - SILENCE

    def run(self) -> int:
        """Remove what is old, on all topics; returns how many entries."""
        return sum(self._clean(topic) for topic in self._topics())

    @retried
    def _topics(self) -> list[str]:
        old = QueueEntry.objects.using(self.alias).filter(created_at__lt=self._kept_since)
        return list(old.order_by("topic").values_list("topic", flat=True).distinct())

    def _clean(self, topic: str) -> int:
        through, removed = self._end(topic), 0
        while (some := self._remove_some(topic, through)) is not None:
            removed += some
        return removed

    @retried
    def _end(self, topic: str) -> int:
        """The number of the last entry that goes."""
        through = self._last_before(topic, self._kept_since)
        alive = Consumer.objects.using(self.alias).filter(topic=topic, seen_at__gte=self._alive_since)
        acknowledged = alive.aggregate(number=Min("seq_num"))["number"]
        if acknowledged is not None and acknowledged < through:
            through = max(acknowledged, self._last_before(topic, self._held_since))
        return through

    def _last_before(self, topic: str, timestamp: datetime) -> int:
        """The number of the last entry before the first that is not older."""
        # Asked first, so that what is published meanwhile has a higher number.
        last = head_of(self.alias, topic).values_list("seq_num", flat=True).get()
        kept = entries_of(self.alias, topic).filter(created_at__gte=timestamp)
        first = kept.order_by("seq_num").values_list("seq_num", flat=True).first()
        return last if first is None else first - 1

    @retried
    def _remove_some(self, topic: str, through: int) -> int | None:
        """Remove a batch of the entries up to and including a number; returns how many, or None if all are gone."""
        head = head_of(self.alias, topic)
        with transaction.atomic(using=self.alias):
            if not head.filter(base_seq__lt=through).update(base_seq=Least(F("base_seq") + _BATCH, Value(through))):
                return None
            base = head.values_list("base_seq", flat=True).get()
            removed: int = entries_of(self.alias, topic).filter(seq_num__lte=base).delete()[0]
        return removed
