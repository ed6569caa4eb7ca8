from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField, MetadataField, TimestampField
from ..indexes import GivenIndex
from ..text import name as shown


class Artifact(models.Model):
    """A version of a file, whose bytes are in a file storage."""

    id: IdField = IdField(primary_key=True)
    #: SHA-256 of session_id, user_id and name: three strings of 255 characters are too long for an index.
    scope: IdField = IdField(max_length=64, editable=False)
    session_id: IdField = IdField()
    user_id: IdField = IdField()
    name: IdField = IdField()
    version: models.BigIntegerField[int, int] = models.BigIntegerField()
    mime_type: IdField = IdField()
    size: models.BigIntegerField[int, int] = models.BigIntegerField()
    sha256: IdField = IdField(max_length=64)
    metadata: MetadataField = MetadataField()
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_artifact"
        verbose_name: ClassVar[Any] = _("artifact")
        verbose_name_plural: ClassVar[Any] = _("artifacts")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["scope", "version"], name="chronos_artifact_version"),
        )
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["created_at", "id"], name="chronos_artifact_created"),
            GivenIndex(fields=["session_id", "created_at", "id"], name="chronos_artifact_session"),
            GivenIndex(fields=["user_id", "created_at", "id"], name="chronos_artifact_user"),
            models.Index(fields=["name", "created_at", "id"], name="chronos_artifact_name"),
            models.Index(fields=["sha256"], name="chronos_artifact_sha256"),
        )

    def __str__(self) -> str:
        return shown(self.name)


class Blob(models.Model):
    """Which file has the bytes of a digest. The row is the lock for what becomes of them."""

    #: Their SHA-256. That of the empty one names the store's own folder.
    id: IdField = IdField(primary_key=True, max_length=64)
    kept: IdField = IdField()
    others: JSONTextField = JSONTextField(default=dict, blank=True)
    used_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)

    class Meta:
        db_table = "chronos_storage_blob"
        verbose_name: ClassVar[Any] = _("blob")
        verbose_name_plural: ClassVar[Any] = _("blobs")
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return shown(self.id)
