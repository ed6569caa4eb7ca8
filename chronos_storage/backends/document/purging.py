"""The one way to remove ledger rows, which says in the audit log what went and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ... import codec, signals
from ...chains.numbering import ACTOR, chain_of
from ...chains.permit import PurgePermit, purge_reason
from ...exceptions import AppendOnlyError
from ...records import AuditLog, Event
from .base import DocumentBase
from .bodies import decode
from .places import place_of
from .series import AUDIT_LOGS, EVENTS, append
from .work import Base, Work, base_key, base_of, retried

_CHAINS: dict[str, tuple[str, type[Event] | type[AuditLog]]] = {
    "event": ("session", Event),
    "audit_log": ("chain", AuditLog),
}


class DocumentPermit(PurgePermit):
    """Notes what is to go; at the end of its block it goes, as one commit with the audit entry.

    Until then it can still be read; a block that fails removes nothing.

    Attributes:
        through: the last number that goes, by kind and chain.
        ended: whether its block is over.
    """

    def __init__(self, storage: DocumentBase) -> None:
        self._storage = storage
        self.through: dict[tuple[str, str], int] = {}
        self.ended = False

    def purge_events(self, session_id: str, *, through_seq: int | None = None) -> int:
        return self._purge(EVENTS.kind, codec.string(session_id, "session_id"), through_seq)

    def purge_audit_logs(
        self, session_id: str | None = None, *, agent_id: str | None = None, through_seq: int | None = None
    ) -> int:
        return self._purge(AUDIT_LOGS.kind, chain_of(session_id, agent_id), through_seq)

    def _purge(self, kind: str, owner: str, through_seq: int | None) -> int:
        if self.ended:
            raise AppendOnlyError("this purge permit ended with its block")
        base, head = self._storage.base(kind, owner), self._storage.head(kind, owner)
        last = head.seq_num if through_seq is None else min(codec.integer(through_seq, "through_seq"), head.seq_num)
        gone = self.through.get((kind, owner), base.seq_num)
        if last <= gone:
            return 0
        self.through[kind, owner] = last
        return last - gone


class PurgeMethods(DocumentBase):
    @contextmanager
    def purge_permit(self, *, reason: str) -> Iterator[DocumentPermit]:
        reason = purge_reason(reason)
        permit = DocumentPermit(self)
        try:
            yield permit
        finally:
            permit.ended = True
        self._carry_out(permit, reason)

    @retried
    def _carry_out(self, permit: DocumentPermit, reason: str) -> None:
        with self.work() as work:
            purged = [gone for chain, last in permit.through.items() if (gone := self.purge(work, *chain, last))]
            if purged:
                note_purge(self, work, action="ledger.purge", resource="", detail={"reason": reason, "chains": purged})

    def purge(self, work: Work, kind: str, owner: str, through_seq: int) -> dict[str, Any] | None:
        """Remove a chain's rows up to a number; returns what went, for the audit entry, or None for nothing."""
        base = base_of(work.document(base_key(kind, owner)))
        by, record = _CHAINS[kind]
        found = list(self.walk((kind, by, owner), above=place_of(base.seq_num), below=place_of(through_seq + 1)))
        if not found:
            return None
        last = decode(record, found[-1].body)
        work.set_base(kind, owner, Base(last.seq_num, last.hash))
        return {"kind": kind, "chain": owner, "rows": work.remove_found(found), "through_seq": last.seq_num}


def note_purge(storage: DocumentBase, work: Work, **entry: Any) -> None:
    """Append the audit entry of a purge, to the chain of no session and no agent."""
    (log,), _ = append(work, AUDIT_LOGS, [AuditLog(actor=ACTOR, **entry).cleaned()])
    storage.announce(work, signals.ledger_purged, AuditLog, audit_log=log)
