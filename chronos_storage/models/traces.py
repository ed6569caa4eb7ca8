from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField, MetadataField, TextField, TimestampField
from ..text import name as shown


class Trace(models.Model):
    """A span: one timed step of a run."""

    id: IdField = IdField(primary_key=True)
    session_id: IdField = IdField()
    parent_id: IdField = IdField()
    name: IdField = IdField()
    kind: IdField = IdField()
    input: JSONTextField = JSONTextField(default=None, blank=True)
    output: JSONTextField = JSONTextField(default=None, blank=True)
    error: TextField = TextField(default="", blank=True)
    attributes: MetadataField = MetadataField()
    started_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    ended_at: models.DateTimeField[datetime | None, datetime | None] = TimestampField(null=True, blank=True)

    class Meta:
        db_table = "chronos_storage_trace"
        verbose_name: ClassVar[Any] = _("span")
        verbose_name_plural: ClassVar[Any] = _("spans")
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["session_id", "started_at", "id"], name="chronos_trace_session"),
            models.Index(fields=["started_at"], name="chronos_trace_started"),
        )

    def __str__(self) -> str:
        return shown(self.name or self.id)
