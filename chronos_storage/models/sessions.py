from __future__ import annotations

from django.db import models
from django.utils import timezone

from ..fields import IdField, MetadataField, TextField


class Session(models.Model):
    """A conversation or run of an agent."""

    id = IdField(primary_key=True)
    agent_id = IdField()
    user_id = IdField()
    author = IdField()
    title = TextField(default="", blank=True)
    status = IdField(default="active")
    metadata = MetadataField()
    container_id = IdField()
    image_id = IdField()
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    last_activity_at = models.DateTimeField(default=timezone.now)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "chronos_storage_session"
        indexes = (
            models.Index(fields=["created_at"], name="chronos_session_created"),
            models.Index(fields=["last_activity_at"], name="chronos_session_activity"),
            models.Index(fields=["agent_id", "created_at"], name="chronos_session_agent"),
            models.Index(fields=["agent_id", "last_activity_at"], name="chronos_session_agent_activity"),
            models.Index(fields=["user_id", "created_at"], name="chronos_session_user"),
            models.Index(fields=["user_id", "last_activity_at"], name="chronos_session_user_activity"),
            models.Index(fields=["status", "created_at"], name="chronos_session_status"),
            models.Index(fields=["container_id", "created_at"], name="chronos_session_container"),
            models.Index(fields=["image_id", "created_at"], name="chronos_session_image"),
        )

    def __str__(self) -> str:
        return str(self.title or self.id)
