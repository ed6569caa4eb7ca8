from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..async_variants import async_iterator, async_variant
from ..backends.base import Query
from ..records import AuditLog
from .arguments import equal, page_slice, period, start_after
from .base import FacadeBase

#: Newest first.
ORDER = ("-created_at", "-seq_num", "-id")


class AuditLogMethods(FacadeBase):
    def append_audit_log(self, log: AuditLog) -> AuditLog:
        """Append an entry to its session's chain, or without a session to its agent's, ``agent:<agent_id>``.

        Raises:
            AlreadyExists: the id is taken by other content.
            SequenceConflict: the entry came with a number which is not the next one.
        """
        return self._appended(AuditLog, [AuditLog.of(log, "log")])[0]

    @async_variant(append_audit_log)
    def aappend_audit_log(self) -> Any: ...

    def insert_audit_log(self, log: AuditLog) -> AuditLog:
        """`append_audit_log`, by its other name."""
        return self.append_audit_log(log)

    @async_variant(insert_audit_log)
    def ainsert_audit_log(self) -> Any: ...

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
        after: AuditLog | None = None,
    ) -> list[AuditLog]:
        """Entries that match every filter given, newest first; `since` and `until` are inclusive."""
        where = equal(
            session_id=session_id, agent_id=agent_id, user_id=user_id, actor=actor, action=action, resource=resource
        )
        where += period(since, until)
        query = Query(record=AuditLog, where=where, order=ORDER, **page_slice(limit, offset))
        return self._select(start_after(query, after))

    @async_variant(list_audit_logs)
    def alist_audit_logs(self) -> Any: ...

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
        """`list_audit_logs`, page by page."""
        where = equal(
            session_id=session_id, agent_id=agent_id, user_id=user_id, actor=actor, action=action, resource=resource
        )
        return self.backend.iterate(Query(record=AuditLog, where=where + period(since, until), order=ORDER))

    @async_iterator(iter_audit_logs)
    def aiter_audit_logs(self) -> Any: ...
