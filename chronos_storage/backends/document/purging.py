"""The one way to remove ledger rows, which says in the audit log what went and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ...chains.numbering import ACTOR
from ...chains.permit import PurgePermit
from ...ids import new_id
from ...records import KINDS, AuditLog, Record
from .base import DocumentBase
from .indexes import KIND_OF, place_of, series_of
from .serialization import decode
from .series import SERIES, append
from .unit_of_work import Base, UnitOfWork, base_key, base_of


class DocumentPermit(PurgePermit):
    """Notes what is to go; at the end of its block it goes, as one commit with the audit entry.

    Until then it can still be read; a block that fails removes nothing.

    Attributes:
        through: the last number that goes, by kind and chain.
    """

    def __init__(self, backend: DocumentBase) -> None:
        self._backend = backend
        self.through: dict[tuple[str, str], int] = {}

    def _purge(self, record: type[Record], chain: str, through_seq: int | None) -> int:
        kind = KIND_OF[record]
        base, head = self._backend.base(kind, chain), self._backend.head(kind, chain)
        last = head.seq_num if through_seq is None else min(through_seq, head.seq_num)
        gone = self.through.get((kind, chain), base.seq_num)
        if last <= gone:
            return 0
        self.through[kind, chain] = last
        return last - gone


class PurgeMethods(DocumentBase):
    @contextmanager
    def purging(self, reason: str) -> Iterator[DocumentPermit]:
        permit = DocumentPermit(self)
        yield permit
        permit.audit_log = self.run(partial(self._carry_out, permit, reason))

    def _carry_out(self, permit: DocumentPermit, reason: str) -> AuditLog | None:
        with self.work() as work:
            purged = [gone for chain, last in permit.through.items() if (gone := self.purge(work, *chain, last))]
            if not purged:
                return None
            return note_purge(work, action="ledger.purge", resource="", detail={"reason": reason, "chains": purged})

    def purge(self, work: UnitOfWork, kind: str, owner: str, through_seq: int) -> dict[str, Any] | None:
        """Remove a chain's rows up to a number; returns what went, for the audit entry, or None for nothing."""
        base = base_of(work.document(base_key(kind, owner)))
        found = list(self.walk(series_of(kind, owner), above=place_of(base.seq_num), below=place_of(through_seq + 1)))
        if not found:
            return None
        last: Any = decode(KINDS[kind], found[-1].body)
        work.set_base(kind, owner, Base(last.seq_num, last.hash))
        return {"kind": kind, "chain": owner, "rows": work.remove_found(found), "through_seq": last.seq_num}


def note_purge(work: UnitOfWork, **entry: Any) -> AuditLog:
    """Append the audit entry of a purge, to the chain of no session and no agent."""
    (log,), _ = append(work, SERIES[AuditLog], [AuditLog(id=new_id(), actor=ACTOR, **entry).cleaned()])
    stored: AuditLog = log
    return stored
