from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField
from ..text import name as shown
from .append_only import LedgerModel, refuse_cascade
from .sessions import Session


class Event(LedgerModel):
    """An entry of a session's ledger. Append-only."""

    append_method = "append_event"

    id: models.BigAutoField[int, int] = models.BigAutoField(primary_key=True)
    event_id: IdField = IdField()
    # The unique constraints begin with the session, so the foreign key needs no index of its own.
    session: models.ForeignKey[Session, Session] = models.ForeignKey(
        Session, on_delete=refuse_cascade, related_name="events", db_index=False
    )
    session_id: str
    type: IdField = IdField()
    payload: JSONTextField = JSONTextField(default=None, blank=True)
    schema: IdField = IdField()
    schema_version: models.BigIntegerField[int, int] = models.BigIntegerField(default=0)

    class Meta(LedgerModel.Meta):
        db_table = "chronos_storage_event"
        verbose_name: ClassVar[Any] = _("event")
        verbose_name_plural: ClassVar[Any] = _("events")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["session", "event_id"], name="chronos_event_id"),
            models.UniqueConstraint(fields=["session", "seq_num"], name="chronos_event_number"),
        )
        # None by type, which each append would pay for and few readers need: docs/eventsourcing.md has it for these.
        indexes: ClassVar[tuple[models.Index, ...]] = (
            models.Index(fields=["event_id"], name="chronos_event_any_session"),
            models.Index(fields=["created_at"], name="chronos_event_created"),
        )

    def __str__(self) -> str:
        return shown(f"{self.seq_num} {self.type}")
