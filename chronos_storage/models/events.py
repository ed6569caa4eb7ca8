from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField
from ..ledger.guards import LedgerModel, refuse_cascade
from ..text import name as shown
from .sessions import Session


class Event(LedgerModel):
    """An entry of a session's ledger. Append-only."""

    append_method = "append_event"

    id = models.BigAutoField(primary_key=True)
    event_id = IdField()
    # The unique constraints begin with the session, so the foreign key needs no index of its own.
    session = models.ForeignKey(Session, on_delete=refuse_cascade, related_name="events", db_index=False)
    type = IdField()
    payload = JSONTextField(default=None, blank=True)

    class Meta(LedgerModel.Meta):
        db_table = "chronos_storage_event"
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = (
            models.UniqueConstraint(fields=["session", "event_id"], name="chronos_event_id"),
            models.UniqueConstraint(fields=["session", "seq_num"], name="chronos_event_number"),
        )
        indexes = (
            models.Index(fields=["event_id"], name="chronos_event_any_session"),
            models.Index(fields=["created_at"], name="chronos_event_created"),
        )

    def __str__(self) -> str:
        return shown(f"{self.seq_num} {self.type}")
