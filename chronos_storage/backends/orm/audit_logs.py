from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models.query import QuerySet

from ... import codec
from ...ledger.mapping import AUDIT_LOGS
from ...ledger.series import AUDIT_CHAIN
from ...records import AuditLog
from ...snapshots import Unseen
from ...transactions import retried
from ..arguments import filters, identified
from .base import sliced
from .chains import ChainMethods
from .pages import iterate

#: Newest first.
ORDER = ("-created_at", "-seq_num", "-id")


class AuditLogMethods(ChainMethods):
    def append_audit_log(self, log: AuditLog) -> AuditLog:
        return self._append_audit_log(identified(AuditLog.of(log, "log")))

    @retried
    def _append_audit_log(self, log: AuditLog) -> AuditLog:
        try:
            stored, new = self.append_one(AUDIT_CHAIN, log)
        except Unseen:  # another writer stored this id in another chain in between
            stored, new = self.append_one(AUDIT_CHAIN, log)
        self.written(*new)
        return stored

    @retried
    def list_audit_logs(
        self,
        session_id: str | None = None,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = 100,
        offset: int = 0,
    ) -> list[AuditLog]:
        given = filters(
            session_id=session_id, agent_id=agent_id, user_id=user_id, actor=actor, action=action, resource=resource
        )
        return AUDIT_LOGS.fetch(sliced(self._listed_audit_logs(given, since, until).order_by(*ORDER), limit, offset))

    def iter_audit_logs(
        self,
        session_id: str | None = None,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        resource: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditLog]:
        given = filters(
            session_id=session_id, agent_id=agent_id, user_id=user_id, actor=actor, action=action, resource=resource
        )
        return iterate(AUDIT_LOGS, self._listed_audit_logs(given, since, until), *ORDER)

    def _listed_audit_logs(
        self, given: dict[str, str], since: datetime | None, until: datetime | None
    ) -> QuerySet[Any]:
        rows = self.rows(AUDIT_LOGS).filter(**given)
        if since is not None:
            rows = rows.filter(created_at__gte=codec.moment(since, "since"))
        if until is not None:
            rows = rows.filter(created_at__lte=codec.moment(until, "until"))
        return rows
