from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, TimestampField
from ..text import name as shown


class Fence(models.Model):
    """Who acquired a session last. Whoever changes the row has locked the session's.

    The row stays when the session is removed, without its holder, so that another session of the same id gives higher
    tokens.
    """

    session_id: IdField = IdField(primary_key=True)
    token: models.BigIntegerField[int, int] = models.BigIntegerField()
    holder: IdField = IdField()
    #: Until when another holder is kept out, and how long that was when it was acquired; NULL for not at all.
    expires_at: models.DateTimeField[datetime | None, datetime | None] = TimestampField(null=True, blank=True)
    ttl: models.DurationField[timedelta | None, timedelta | None] = models.DurationField(null=True, blank=True)
    #: What a repeated acquire finds its own by.
    key: IdField = IdField()

    class Meta:
        db_table = "chronos_storage_fence"
        verbose_name: ClassVar[Any] = _("fence")
        verbose_name_plural: ClassVar[Any] = _("fences")
        default_permissions: ClassVar[tuple[str, ...]] = ()

    def __str__(self) -> str:
        return shown(f"{self.token} {self.holder} {self.session_id}")
