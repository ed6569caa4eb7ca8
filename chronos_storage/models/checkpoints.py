from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..compat.models import PlacedModel
from ..fields import IdField, JSONTextField, MetadataField, TextField, TimestampField
from ..text import name as shown
from .sessions import Session


class Checkpoint(PlacedModel, models.Model):
    """A snapshot of a graph's state, numbered per (session, namespace)."""

    _placed_by = "session_id"

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    checkpoint_id: IdField = IdField()
    # The unique constraints begin with the session, so the foreign key needs no index of its own.
    session: models.ForeignKey[Session, Session] = models.ForeignKey(
        Session, on_delete=models.CASCADE, related_name="checkpoints", db_index=False
    )
    session_id: str
    namespace: IdField = IdField()
    run_id: IdField = IdField()
    node_id: IdField = IdField()
    #: The state, an object; or its skeleton, a list, whose items are in `CheckpointItems`.
    state: JSONTextField = JSONTextField(default=dict, blank=True)
    #: How many characters the state has whose skeleton it is; None for a whole one.
    state_size: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(null=True, blank=True)
    seq_num: models.BigIntegerField[int, int] = models.BigIntegerField()
    parent_id: IdField = IdField()
    metadata: MetadataField = MetadataField()
    schema: IdField = IdField()
    schema_version: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_checkpoint"
        verbose_name: ClassVar[Any] = _("checkpoint")
        verbose_name_plural: ClassVar[Any] = _("checkpoints")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["session", "checkpoint_id"], name="chronos_checkpoint_id"),
            models.UniqueConstraint(fields=["session", "namespace", "seq_num"], name="chronos_checkpoint_number"),
        )
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["checkpoint_id"], name="chronos_checkpoint_any_session"),
            models.Index(fields=["session", "run_id", "seq_num"], name="chronos_checkpoint_run"),
        )

    def __str__(self) -> str:
        return shown(f"{self.seq_num} {self.node_id}")


class CheckpointItems(PlacedModel, models.Model):
    """A run of the items that states of one series of checkpoints are made of: see `chronos_storage.checkpoints`.

    Rows are added, and removed when no checkpoint uses them any more, but never changed.
    """

    _placed_by = "session_id"

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    # The unique constraint begins with the session, so the foreign key needs no index of its own.
    session: models.ForeignKey[Session, Session] = models.ForeignKey(
        Session, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    session_id: str
    namespace: IdField = IdField()
    #: The position of the first item in the log of the series, and the one after the last.
    start: models.BigIntegerField[int, int] = models.BigIntegerField()
    stop: models.BigIntegerField[int, int] = models.BigIntegerField()
    digests: models.BinaryField[bytes, bytes] = models.BinaryField()
    items: TextField = TextField()

    class Meta:
        db_table = "chronos_storage_checkpoint_items"
        verbose_name: ClassVar[Any] = _("items of checkpoints")
        verbose_name_plural: ClassVar[Any] = _("items of checkpoints")
        default_permissions: ClassVar[tuple[str, ...]] = ()
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["session", "namespace", "start"], name="chronos_checkpoint_items_place"),
        )

    def __str__(self) -> str:
        return shown(f"{self.start} to {self.stop} of {self.session_id} {self.namespace}")
