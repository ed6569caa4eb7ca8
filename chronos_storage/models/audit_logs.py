from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..fields import IdField, JSONTextField
from ..owners import OwnerField
from ..text import name as shown
from .append_only import LedgerModel


class AuditLog(LedgerModel):
    """Who did what to which resource. Append-only."""

    append_method = "append_audit_log"

    id: IdField = IdField(primary_key=True)
    #: ``session:<session_id>``, or ``agent:<agent_id>`` for an entry without a session.
    chain: IdField = IdField(max_length=263)
    owner: OwnerField = OwnerField("chain", "chain", max_length=263)
    session_id: IdField = IdField()
    agent_id: IdField = IdField()
    user_id: IdField = IdField()
    actor: IdField = IdField()
    action: IdField = IdField()
    resource: IdField = IdField()
    detail: JSONTextField = JSONTextField(default=dict, blank=True)

    class Meta(LedgerModel.Meta):
        db_table = "chronos_storage_auditlog"
        verbose_name: ClassVar[Any] = _("audit log entry")
        verbose_name_plural: ClassVar[Any] = _("audit log")
        constraints: ClassVar[tuple[models.BaseConstraint, ...]] = (
            models.UniqueConstraint(fields=["chain", "seq_num"], name="chronos_audit_number"),
        )
        indexes: ClassVar[tuple[models.Index, ...]] = (
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
