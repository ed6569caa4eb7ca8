from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..compat.models import PlacedModel
from ..fields import IdField, JSONTextField, MetadataField, TimestampField
from ..indexes import FailedIndex
from ..text import name as shown
from .sessions import Session
from .usage import TokenCounts


class Message(PlacedModel, TokenCounts):
    """One message of a session, numbered by the store."""

    _placed_by = "session_id"

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    message_id: IdField = IdField()
    # The unique constraints begin with the session, so the foreign key needs no index of its own.
    session: models.ForeignKey[Session, Session] = models.ForeignKey(
        Session, on_delete=models.CASCADE, related_name="messages", db_index=False
    )
    session_id: str
    seq_num: models.BigIntegerField[int, int] = models.BigIntegerField()
    role: IdField = IdField()
    kind: IdField = IdField()
    content: JSONTextField = JSONTextField(default=None, blank=True)
    model: IdField = IdField()
    name: IdField = IdField()
    tool_calls: JSONTextField = JSONTextField(default=None, blank=True)
    tool_call_id: IdField = IdField()
    parent_id: IdField = IdField()
    metadata: MetadataField = MetadataField()
    raw: JSONTextField = JSONTextField(default=None, blank=True)
    format: IdField = IdField()
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_message"
        verbose_name: ClassVar[Any] = _("message")
        verbose_name_plural: ClassVar[Any] = _("messages")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["session", "message_id"], name="chronos_message_id"),
            models.UniqueConstraint(fields=["session", "seq_num"], name="chronos_message_number"),
        )
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["message_id"], name="chronos_message_any_session"),
            models.Index(fields=["created_at"], name="chronos_message_created"),
            FailedIndex(fields=["session", "created_at"], name="chronos_message_failed"),
        )

    def __str__(self) -> str:
        return shown(f"{self.seq_num} {self.role}")
