from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from ..async_variants import async_iterator, async_variant
from ..backends.base import Query
from ..records import AuditLog, Fence
from .arguments import equal, page_slice, period, start_after
from .base import FacadeBase

#: Newest first.
ORDER = ("-created_at", "-seq_num", "-id")


class AuditLogMethods(FacadeBase):
    def append_audit_log(self, log: AuditLog, *, fence: Fence | int | None = None) -> AuditLog:
        """Append an entry to its session's chain, or without a session to its agent's, ``agent:<agent_id>``.

        Args:
            fence: the session's.

        Raises:
            NotFound: the session isn't there, and a fence is given.
            StaleWriter: the session was acquired again, or requires a fence.
            AlreadyExists: the id is taken by other content.
            SequenceConflict: the entry came with a number which is not the next one.
        """
        return self._appended(AuditLog, [AuditLog.of(log, "log")], fence=fence)[0][0]

    @async_variant(append_audit_log)
    def aappend_audit_log(self) -> Any: ...

    def insert_audit_log(self, log: AuditLog, *, fence: Fence | int | None = None) -> AuditLog:
        """`append_audit_log`, by its other name."""
        return self.append_audit_log(log, fence=fence)

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
        query = _listed(session_id, agent_id, user_id, actor, action, resource, since, until)
        return self._select(start_after(replace(query, **page_slice(limit, offset)), after))

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
        return self._iterate(_listed(session_id, agent_id, user_id, actor, action, resource, since, until))

    @async_iterator(iter_audit_logs)
    def aiter_audit_logs(self) -> Any: ...


def _listed(
    session_id: str | None,
    agent_id: str | None,
    user_id: str | None,
    actor: str | None,
    action: str | None,
    resource: str | None,
    since: datetime | None,
    until: datetime | None,
) -> Query[AuditLog]:
    where = equal(
        session_id=session_id, agent_id=agent_id, user_id=user_id, actor=actor, action=action, resource=resource
    )
    return Query(record=AuditLog, where=where + period(since, until), order=ORDER)
