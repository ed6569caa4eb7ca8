from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import CostField, IdField, JSONTextField, MetadataField, TextField, TimestampField
from ..indexes import FailedIndex
from ..text import name as shown
from .usage import TokenCounts


class Trace(TokenCounts):
    """A span: one timed step of a run."""

    id: IdField = IdField(primary_key=True)
    trace_id: IdField = IdField()
    session_id: IdField = IdField()
    parent_id: IdField = IdField()
    name: IdField = IdField()
    kind: IdField = IdField()
    input: JSONTextField = JSONTextField(default=None, blank=True)
    output: JSONTextField = JSONTextField(default=None, blank=True)
    error: TextField = TextField(default="", blank=True)
    status: IdField = IdField(default="unset")
    model: IdField = IdField()
    cost: CostField = CostField()
    attributes: MetadataField = MetadataField()
    resource: MetadataField = MetadataField()
    events: JSONTextField = JSONTextField(default=list, blank=True)
    links: JSONTextField = JSONTextField(default=list, blank=True)
    started_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    ended_at: models.DateTimeField[datetime | None, datetime | None] = TimestampField(null=True, blank=True)

    class Meta:
        db_table = "chronos_storage_trace"
        verbose_name: ClassVar[Any] = _("span")
        verbose_name_plural: ClassVar[Any] = _("spans")
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["session_id", "started_at", "id"], name="chronos_trace_session"),
            models.Index(fields=["trace_id", "started_at", "id"], name="chronos_trace_run"),
            models.Index(fields=["started_at"], name="chronos_trace_started"),
            FailedIndex(fields=["session_id", "started_at"], name="chronos_trace_failed"),
        )

    def __str__(self) -> str:
        return shown(self.name or self.id)
