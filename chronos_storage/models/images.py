from __future__ import annotations

from django.db import models
from django.utils import timezone

from ..fields import IdField, JSONTextField, MetadataField, MomentField, TextField


class Container(models.Model):
    """An isolation boundary that groups agents."""

    id = IdField(primary_key=True)
    config = JSONTextField(default=dict, blank=True)
    created_at = MomentField(default=timezone.now)
    updated_at = MomentField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_container"
        indexes = (models.Index(fields=["created_at"], name="chronos_container_created"),)

    def __str__(self) -> str:
        return str(self.id)


class Image(models.Model):
    """A snapshot of an agent's set-up from which sessions start."""

    id = IdField(primary_key=True)
    container_id = IdField()
    session_id = IdField()
    name = IdField()
    description = TextField(default="", blank=True)
    system_prompt = TextField(default="", blank=True)
    parent_image_id = IdField()
    mcp_servers = JSONTextField(default=dict, blank=True)
    metadata = MetadataField()
    created_at = MomentField(default=timezone.now)
    updated_at = MomentField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_image"
        indexes = (
            models.Index(fields=["created_at"], name="chronos_image_created"),
            models.Index(fields=["name", "created_at"], name="chronos_image_name"),
            models.Index(fields=["container_id", "created_at"], name="chronos_image_container"),
        )

    def __str__(self) -> str:
        return str(self.name or self.id)
