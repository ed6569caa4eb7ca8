from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField, MetadataField, TimestampField
from ..text import name as shown
from .sessions import Session


class Checkpoint(models.Model):
    """A snapshot of a graph's state, numbered per (session, namespace)."""

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
    state: JSONTextField = JSONTextField(default=dict, blank=True)
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
