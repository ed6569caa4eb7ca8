from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField
from ..ledger.guards import LedgerModel
from ..text import name as shown


class AuditLog(LedgerModel):
    """Who did what to which resource. Append-only."""

    append_method = "append_audit_log"

    id = IdField(primary_key=True)
    #: ``session:<session_id>``, or ``agent:<agent_id>`` for an entry without a session.
    chain = IdField(max_length=263)
    session_id = IdField()
    agent_id = IdField()
    user_id = IdField()
    actor = IdField()
    action = IdField()
    resource = IdField()
    detail = JSONTextField(default=dict, blank=True)

    class Meta(LedgerModel.Meta):
        db_table = "chronos_storage_auditlog"
        verbose_name = _("audit log entry")
        verbose_name_plural = _("audit log")
        constraints = (models.UniqueConstraint(fields=["chain", "seq_num"], name="chronos_audit_number"),)
        indexes = (
            models.Index(fields=["created_at"], name="chronos_audit_created"),
            models.Index(fields=["session_id", "created_at"], name="chronos_audit_session"),
            models.Index(fields=["agent_id", "created_at"], name="chronos_audit_agent"),
            models.Index(fields=["user_id", "created_at"], name="chronos_audit_user"),
            models.Index(fields=["actor", "created_at"], name="chronos_audit_actor"),
            models.Index(fields=["action", "created_at"], name="chronos_audit_action"),
            models.Index(fields=["resource", "created_at"], name="chronos_audit_resource"),
        )

    def __str__(self) -> str:
        return shown(f"{self.actor} {self.action} {self.resource}")
