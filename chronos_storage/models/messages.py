from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField, MetadataField, MomentField
from ..text import name as shown
from .sessions import Session


class Message(models.Model):
    """One message of a session, numbered by the store."""

    id = models.BigAutoField(primary_key=True)
    message_id = IdField()
    # The unique constraints begin with the session, so the foreign key needs no index of its own.
    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="messages", db_index=False)
    seq_num = models.BigIntegerField()
    role = IdField()
    kind = IdField()
    content = JSONTextField(default=None, blank=True)
    model = IdField()
    name = IdField()
    tool_calls = JSONTextField(default=None, blank=True)
    tool_call_id = IdField()
    parent_id = IdField()
    prompt_tokens = models.BigIntegerField(null=True, blank=True)
    completion_tokens = models.BigIntegerField(null=True, blank=True)
    total_tokens = models.BigIntegerField(null=True, blank=True)
    cache_read_tokens = models.BigIntegerField(null=True, blank=True)
    cache_creation_tokens = models.BigIntegerField(null=True, blank=True)
    metadata = MetadataField()
    created_at = MomentField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_message"
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = (
            models.UniqueConstraint(fields=["session", "message_id"], name="chronos_message_id"),
            models.UniqueConstraint(fields=["session", "seq_num"], name="chronos_message_number"),
        )
        indexes = (
            models.Index(fields=["message_id"], name="chronos_message_any_session"),
            models.Index(fields=["created_at"], name="chronos_message_created"),
        )

    def __str__(self) -> str:
        return shown(f"{self.seq_num} {self.role}")
