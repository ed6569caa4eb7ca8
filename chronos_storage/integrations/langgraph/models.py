"""The tables of LangGraph's checkpoints and store.

Its checkpoints are not the storage's own: they are written over, have typed bytes and an order by ids, and their writes
may come before them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ...extras import require_app
from ...fields import IdField, JSONTextField, MetadataField, TextField, TimestampField
from ...indexes import GivenIndex
from ...text import name as shown

require_app("chronos_storage.integrations.langgraph")


class Thread(models.Model):
    """A thread of LangGraph's, of which there is a session: all that the thread has goes with it."""

    session: models.OneToOneField[Any, Any] = models.OneToOneField(
        "chronos_storage.Session", on_delete=models.CASCADE, primary_key=True, related_name="+"
    )
    session_id: str
    #: As LangGraph knows it. The session has the same id, or where that is too long a digest of it.
    thread_id: TextField = TextField()
    #: Whether `delete_thread` has removed what it had; the session is soft-deleted, so that no late write revives it.
    deleted: models.BooleanField[bool, bool] = models.BooleanField(default=False)

    class Meta:
        db_table = "chronos_langgraph_thread"
        verbose_name: ClassVar[Any] = _("thread")
        verbose_name_plural: ClassVar[Any] = _("threads")

    def __str__(self) -> str:
        return shown(self.thread_id)


class Namespace(models.Model):
    """A graph of a thread: the root, or a subgraph. Its row is the lock that who writes its logs takes turns on."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    # The unique constraint begins with the thread, so the foreign key needs no index of its own.
    thread: models.ForeignKey[Thread, Thread] = models.ForeignKey(
        Thread, on_delete=models.CASCADE, related_name="namespaces", db_index=False
    )
    thread_id: str
    #: The name, or where that is too long a digest of it.
    key: IdField = IdField()
    name: TextField = TextField(default="", blank=True)
    #: Another with every change of the logs, and never one that was there before, so that who has seen it knows that
    #: what was there then still is.
    version: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    #: By the channel, the position at which its log goes on: JSON. None is ever given again.
    ends: TextField = TextField(default="{}")

    class Meta:
        db_table = "chronos_langgraph_namespace"
        verbose_name: ClassVar[Any] = _("namespace")
        verbose_name_plural: ClassVar[Any] = _("namespaces")
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["thread", "key"], name="chronos_langgraph_namespace_key"),
        )

    def __str__(self) -> str:
        return shown(self.name or "/")


class GraphCheckpoint(models.Model):
    """A checkpoint of a graph, without the values of its channels that are in their logs.

    Who writes has locked the session and seen the namespace, so that the database need not look for it again with each
    row; here and in the tables below.
    """

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    namespace: models.ForeignKey[Namespace, Namespace] = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, related_name="checkpoints", db_index=False, db_constraint=False
    )
    namespace_id: int
    checkpoint_id: IdField = IdField()
    parent_id: IdField = IdField()
    run_id: IdField = IdField()
    #: What LangGraph's serializer calls the form of the bytes, and the bytes.
    type: IdField = IdField(max_length=64)
    data: models.BinaryField[bytes, bytes] = models.BinaryField()
    #: Where the values of the channels are, as `channels.Place` says: JSON.
    places: TextField = TextField()
    #: The channel with the most items, if these lie one behind the other, and where: they are read with the row.
    main: IdField = IdField()
    main_start: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    main_stop: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    metadata: MetadataField = MetadataField()
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_langgraph_checkpoint"
        verbose_name: ClassVar[Any] = _("checkpoint")
        verbose_name_plural: ClassVar[Any] = _("checkpoints")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["namespace", "checkpoint_id"], name="chronos_langgraph_checkpoint_id"),
        )
        indexes: ClassVar[tuple[models.Index, ...]] = (GivenIndex(fields=["run_id"], name="chronos_langgraph_run"),)

    def __str__(self) -> str:
        return shown(self.checkpoint_id)


class GraphItems(models.Model):
    """A run of the items that the values of one channel are made of, which lie one behind the other in its log.

    Rows are added, and removed when no checkpoint uses them any more, but never changed.
    """

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    namespace: models.ForeignKey[Namespace, Namespace] = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    namespace_id: int
    channel: IdField = IdField()
    #: The position of the first item in the log, and the one after the last.
    start: models.BigIntegerField[int, int] = models.BigIntegerField()
    stop: models.BigIntegerField[int, int] = models.BigIntegerField()
    #: Of each item its digest and its length; and the items, one behind the other.
    entries: models.BinaryField[bytes, bytes] = models.BinaryField()
    items: models.BinaryField[bytes, bytes] = models.BinaryField()

    class Meta:
        db_table = "chronos_langgraph_items"
        verbose_name: ClassVar[Any] = _("items of channels")
        verbose_name_plural: ClassVar[Any] = _("items of channels")
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["namespace", "channel", "start"], name="chronos_langgraph_items_place"),
        )

    def __str__(self) -> str:
        return f"{self.start} to {self.stop}"


class GraphWrite(models.Model):
    """What a task wrote to a channel, after the checkpoint that it began from, which may come later."""

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    namespace: models.ForeignKey[Namespace, Namespace] = models.ForeignKey(
        Namespace, on_delete=models.CASCADE, related_name="writes", db_index=False, db_constraint=False
    )
    namespace_id: int
    checkpoint_id: IdField = IdField()
    task_id: IdField = IdField()
    idx: models.IntegerField[int, int] = models.IntegerField()
    task_path: TextField = TextField(default="", blank=True)
    channel: TextField = TextField()
    type: IdField = IdField(max_length=64)
    data: models.BinaryField[bytes, bytes] = models.BinaryField()

    class Meta:
        db_table = "chronos_langgraph_write"
        verbose_name: ClassVar[Any] = _("pending write")
        verbose_name_plural: ClassVar[Any] = _("pending writes")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(
                fields=["namespace", "checkpoint_id", "task_id", "idx"], name="chronos_langgraph_write_place"
            ),
        )

    def __str__(self) -> str:
        return shown(self.channel)


class StoredItem(models.Model):
    """An item of LangGraph's store: a value under a key in a namespace of labels."""

    #: The beginning of the namespace, two periods and the digest of namespace and key, which both may be long: the one
    #: index that who puts an item writes, and who looks below a prefix reads.
    place: IdField = IdField(primary_key=True)
    #: The labels with a period between, which none has in it.
    namespace: TextField = TextField()
    key: TextField = TextField()
    value: JSONTextField = JSONTextField(default=dict)
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    updated_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    #: For how many minutes it is kept after it was last written, or read; None for ever.
    ttl: models.FloatField[float | None, float | None] = models.FloatField(null=True, blank=True)
    expires_at: models.DateTimeField[datetime | None, datetime | None] = TimestampField(null=True, blank=True)

    class Meta:
        db_table = "chronos_langgraph_item"
        verbose_name: ClassVar[Any] = _("item of the store")
        verbose_name_plural: ClassVar[Any] = _("items of the store")
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(
                fields=["expires_at"],
                name="chronos_langgraph_item_expiry",
                condition=models.Q(expires_at__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return shown(f"{self.namespace} {self.key}")
