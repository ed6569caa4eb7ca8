from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, MetadataField, TextField, TimestampField, TokenField
from ..indexes import GivenIndex
from ..text import name as shown
from .append_only import cascade_refused


class SessionQuerySet(models.QuerySet["Session"]):
    """Like any queryset; its `delete` raises `AppendOnlyError` for sessions that have events."""

    def delete(self) -> tuple[int, dict[str, int]]:
        with cascade_refused():
            return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]


class Session(models.Model):
    """A conversation or run of an agent."""

    id: IdField = IdField(primary_key=True)
    agent_id: IdField = IdField()
    user_id: IdField = IdField()
    author: IdField = IdField()
    title: TextField = TextField(default="", blank=True)
    status: IdField = IdField(default="active")
    metadata: MetadataField = MetadataField()
    container_id: IdField = IdField()
    image_id: IdField = IdField()
    created_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    updated_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    last_activity_at: models.DateTimeField[datetime, datetime] = TimestampField(default=timezone.now)
    deleted_at: models.DateTimeField[datetime | None, datetime | None] = TimestampField(null=True, blank=True)
    #: Whether only who has the session's fence may write. Workers of the version before know neither of these.
    require_fence: models.BooleanField[bool, bool] = models.BooleanField(default=False, db_default=False)
    #: The last token that the session has given, by which every writer sees whether its fence is the last; 0 for none.
    #: It is here as every writer locks this row; who holds the fence is in `Fence`.
    fence_token: TokenField = TokenField(default=0, db_default=0, editable=False)

    #: Whether nothing that belongs to the session may be removed; `set_legal_hold` says in the audit log who wants it.
    legal_hold: models.BooleanField[bool, bool] = models.BooleanField(default=False, db_default=False, editable=False)

    objects: ClassVar[models.Manager[Session]] = SessionQuerySet.as_manager()

    class Meta:
        db_table = "chronos_storage_session"
        verbose_name: ClassVar[Any] = _("session")
        verbose_name_plural: ClassVar[Any] = _("sessions")
        permissions: ClassVar[tuple[tuple[str, Any], ...]] = (
            ("hold_session", _("Can set and lift legal holds")),
            ("remove_session", _("Can remove sessions for good")),
            ("purge_session", _("Can purge sessions' events and audit entries")),
        )
        # With the id each is an order of lists, from its end on. PostgreSQL writes all of them for each message.
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["created_at", "id"], name="chronos_session_by_created"),
            models.Index(fields=["last_activity_at", "id"], name="chronos_session_by_activity"),
            models.Index(fields=["agent_id", "created_at", "id"], name="chronos_session_agent_created"),
            models.Index(fields=["agent_id", "last_activity_at", "id"], name="chronos_session_agent_active"),
            models.Index(fields=["user_id", "created_at", "id"], name="chronos_session_user_created"),
            models.Index(fields=["user_id", "last_activity_at", "id"], name="chronos_session_user_active"),
            models.Index(fields=["status", "created_at", "id"], name="chronos_session_by_status"),
            GivenIndex(fields=["container_id", "created_at", "id"], name="chronos_session_by_container"),
            GivenIndex(fields=["image_id", "created_at", "id"], name="chronos_session_by_image"),
        )

    def __str__(self) -> str:
        return shown(self.title or self.id)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        with cascade_refused():
            return super().delete(*args, **kwargs)
