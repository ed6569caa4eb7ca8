from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import codec
from ..compat.models import PlacedModel
from ..fields import IdField, JSONTextField, TimestampField
from ..owners import OwnerField
from ..text import name as shown


class Topic(PlacedModel, models.Model):
    """The last number given on a topic of the queue, and the lock its publishers take turns on until they commit.

    The row stays when all entries are gone, so that no number is given twice.
    """

    _placed_by = "owner"

    name: IdField = IdField(primary_key=True, max_length=codec.MAX_TOPIC)
    owner: OwnerField = OwnerField("name", "name", max_length=codec.MAX_TOPIC)
    seq_num: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    #: The last number that retention removed: where the topic now begins.
    base_seq: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)

    class Meta:
        db_table = "chronos_storage_topic"
        verbose_name: ClassVar[Any] = _("queue topic")
        verbose_name_plural: ClassVar[Any] = _("queue topics")

    def __str__(self) -> str:
        return shown(self.name)


class QueueEntry(PlacedModel, models.Model):
    """An event that was published on a topic. The numbers of a topic's entries have no gap."""

    _placed_by = "owner"

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    topic: IdField = IdField(max_length=codec.MAX_TOPIC)
    owner: OwnerField = OwnerField("topic", "topic", max_length=codec.MAX_TOPIC)
    seq_num: models.BigIntegerField[int, int] = models.BigIntegerField()
    event: JSONTextField = JSONTextField(default=None, blank=True)
    user_id: IdField = IdField()
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    #: What a repeated publishing finds it by; NULL for what is part of a larger call, as the ledger's events are.
    key: IdField = IdField(null=True, default=None)  # type: ignore[misc]  # it gives None too

    class Meta:
        db_table = "chronos_storage_queueentry"
        verbose_name: ClassVar[Any] = _("queue entry")
        verbose_name_plural: ClassVar[Any] = _("queue entries")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["topic", "seq_num"], name="chronos_queueentry_number"),
            # NULLs are all different on every database, and so it needs no condition, which MariaDB would not know.
            models.UniqueConstraint(fields=["topic", "key"], name="chronos_queueentry_key"),
        )
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["created_at"], name="chronos_queueentry_created"),
        )

    def __str__(self) -> str:
        return shown(f"{self.topic} {self.seq_num}")


class Consumer(PlacedModel, models.Model):
    """How far a consumer has acknowledged a topic, and when it was last heard of."""

    _placed_by = "topic"

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    topic: IdField = IdField(max_length=codec.MAX_TOPIC)
    name: IdField = IdField()
    seq_num: models.BigIntegerField[int, int] = models.BigIntegerField()
    seen_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_consumer"
        verbose_name: ClassVar[Any] = _("queue consumer")
        verbose_name_plural: ClassVar[Any] = _("queue consumers")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["topic", "name"], name="chronos_consumer_name"),
        )

    def __str__(self) -> str:
        return shown(f"{self.name} {self.topic}")
