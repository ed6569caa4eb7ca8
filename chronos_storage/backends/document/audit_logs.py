from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ... import codec
from ...records import AuditLog
from ..arguments import filters
from .base import list_of
from .chains import ChainMethods
from .places import AUDIT_FILTERS, place_of
from .series import AUDIT_LOGS, append
from .work import retried


class AuditLogMethods(ChainMethods):
    @retried
    def append_audit_log(self, log: AuditLog) -> AuditLog:
        with self.work() as work:
            (stored,), new = append(work, AUDIT_LOGS, [AuditLog.of(log, "log").cleaned()])
            self.written(work, *new)
        return stored

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
        return list(self._listed_audit_logs(given, since, until, limit=limit, offset=offset))

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
        return self._listed_audit_logs(given, since, until)

    def _listed_audit_logs(
        self, given: dict[str, str], since: datetime | None, until: datetime | None, **part: Any
    ) -> Iterator[AuditLog]:
        partition, where = list_of("audit_log", "created_at", given, AUDIT_FILTERS)
        # A place begins with the time, so all places of a moment are above it, and below it with more than any digit.
        above = None if since is None else place_of(codec.moment(since, "since"))
        below = None if until is None else place_of(codec.moment(until, "until")) + ":"
        return self.records(AuditLog, partition, where, above=above, below=below, reverse=True, **part)
