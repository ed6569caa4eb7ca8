from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField, MetadataField, MomentField, TextField
from ..text import name as shown


class Trace(models.Model):
    """A span: one timed step of a run."""

    id = IdField(primary_key=True)
    session_id = IdField()
    parent_id = IdField()
    name = IdField()
    kind = IdField()
    input = JSONTextField(default=None, blank=True)
    output = JSONTextField(default=None, blank=True)
    error = TextField(default="", blank=True)
    attributes = MetadataField()
    started_at = MomentField(default=timezone.now)
    ended_at = MomentField(null=True, blank=True)

    class Meta:
        db_table = "chronos_storage_trace"
        verbose_name = _("span")
        verbose_name_plural = _("spans")
        indexes = (
            models.Index(fields=["session_id", "started_at", "id"], name="chronos_trace_session"),
            models.Index(fields=["started_at"], name="chronos_trace_started"),
        )

    def __str__(self) -> str:
        return shown(self.name or self.id)
