from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import records
from ..fields import IdField, JSONTextField, TimestampField
from ..text import name as shown


def natural_key(record: records.MemoryRecord) -> str:
    """SHA-256, in hexadecimal, of what identifies a memory record; no part can hold the NUL that joins them."""
    parts = (record.agent_id, record.user_id, record.session_id, record.kind, record.key)
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()


class MemoryRecord(models.Model):
    """A fact an agent keeps under its natural key (agent_id, user_id, session_id, kind, key)."""

    id: IdField = IdField(primary_key=True)
    #: SHA-256 of the natural key: five strings of 255 characters are too long for an index.
    natural_key: IdField = IdField(max_length=64, editable=False)
    agent_id: IdField = IdField()
    user_id: IdField = IdField()
    session_id: IdField = IdField()
    kind: IdField = IdField()
    key: IdField = IdField()
    value: JSONTextField = JSONTextField(default=None, blank=True)
    schema: IdField = IdField()
    schema_version: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    updated_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    expires_at: models.DateTimeField[datetime | None, datetime | None] = TimestampField(null=True, blank=True)

    class Meta:
        db_table = "chronos_storage_memory"
        verbose_name: ClassVar[Any] = _("memory record")
        verbose_name_plural: ClassVar[Any] = _("memory records")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["natural_key"], name="chronos_memory_natural_key"),
        )
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["agent_id", "key"], name="chronos_memory_agent_key"),
            models.Index(fields=["agent_id", "updated_at"], name="chronos_memory_agent"),
            models.Index(fields=["user_id", "updated_at"], name="chronos_memory_user"),
            models.Index(fields=["session_id"], name="chronos_memory_session"),
        )

    def __str__(self) -> str:
        return shown(self.key)
