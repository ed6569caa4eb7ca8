from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField, MetadataField, TextField, TimestampField
from ..text import name as shown


class Container(models.Model):
    """An isolation boundary that groups agents."""

    id: IdField = IdField(primary_key=True)
    config: JSONTextField = JSONTextField(default=dict, blank=True)
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    updated_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_container"
        verbose_name: ClassVar[Any] = _("container")
        verbose_name_plural: ClassVar[Any] = _("containers")
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["created_at"], name="chronos_container_created"),
        )

    def __str__(self) -> str:
        return shown(self.id)


class Image(models.Model):
    """A snapshot of an agent's set-up from which sessions start."""

    id: IdField = IdField(primary_key=True)
    container_id: IdField = IdField()
    session_id: IdField = IdField()
    name: IdField = IdField()
    description: TextField = TextField(default="", blank=True)
    system_prompt: TextField = TextField(default="", blank=True)
    parent_image_id: IdField = IdField()
    mcp_servers: JSONTextField = JSONTextField(default=dict, blank=True)
    metadata: MetadataField = MetadataField()
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    updated_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_image"
        verbose_name: ClassVar[Any] = _("image")
        verbose_name_plural: ClassVar[Any] = _("images")
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["created_at"], name="chronos_image_created"),
            models.Index(fields=["name", "created_at"], name="chronos_image_name"),
            models.Index(fields=["container_id", "created_at"], name="chronos_image_container"),
            models.Index(fields=["parent_image_id", "created_at"], name="chronos_image_parent"),
        )

    def __str__(self) -> str:
        return shown(self.name or self.id)
