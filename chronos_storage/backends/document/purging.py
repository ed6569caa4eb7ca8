"""The one way to remove ledger rows, which says in the audit log what went and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ...chains.erasing import emptied
from ...chains.numbering import ACTOR
from ...chains.permit import PurgePermit
from ...exceptions import LegalHold
from ...ids import new_id
from ...records import KINDS, AuditLog, Record
from ...redaction import redacted
from .base import DocumentBase
from .indexes import KIND_OF, place_of, series_of
from .serialization import decode
from .series import SERIES, append
from .unit_of_work import Base, UnitOfWork, base_key, base_of, guard_key, guard_of


class DocumentPermit(PurgePermit):
    """Notes what is to go; at the end of its block it goes, as one commit with the audit entry.

    Until then it can still be read; a block that fails removes nothing.

    Attributes:
        through: the last number that goes, by kind and chain.
        emptied: the numbers of what is emptied, by kind and chain.
    """

    def __init__(self, backend: DocumentBase) -> None:
        self._backend = backend
        self.through: dict[tuple[str, str], int] = {}
        self.emptied: dict[tuple[str, str], set[int]] = {}

    def _purge(self, record: type[Record], chain: str, through_seq: int | None) -> int:
        kind = KIND_OF[record]
        self._refuse_held(record, chain)
        base, head = self._backend.base(kind, chain), self._backend.head(kind, chain)
        last = head.seq_num if through_seq is None else min(through_seq, head.seq_num)
        gone = self.through.get((kind, chain), base.seq_num)
        if last <= gone:
            return 0
        self.through[kind, chain] = last
        return last - gone

    def _refuse_held(self, record: type[Record], chain: str) -> None:
        for session_id in SERIES[record].sessions([chain]):
            guard = self._backend.read_one(guard_key(session_id))
            if guard is not None and guard_of(guard).legal_hold:  # which is looked at again as the rows go
                raise LegalHold(session_id)

    def _erase(self, record: type[Record], chain: str, seq_nums: list[int]) -> int:
        self._refuse_held(record, chain)
        kind, series = KIND_OF[record], series_of(KIND_OF[record], chain)
        noted = self.emptied.setdefault((kind, chain), set())
        found = {
            number
            for number in set(seq_nums) - noted
            for each in self._backend.walk(series, **_only(number))
            if not decode(SERIES[record].record, each.body).erased
        }
        noted |= found
        return len(found)


def _only(seq_num: int) -> dict[str, Any]:
    """The bounds of a walk that finds the record of this number."""
    return {"above": place_of(seq_num - 1) if seq_num > 0 else None, "below": place_of(seq_num + 1), "page": 1}


class PurgeMethods(DocumentBase):
    @contextmanager
    def purging(self, reason: str) -> Iterator[DocumentPermit]:
        permit = DocumentPermit(self)
        yield permit
        blanked = [left for chain, some in permit.emptied.items() if (left := self._empty(*chain, sorted(some)))]
        permit.audit_log = self.run(partial(self._carry_out, permit, reason, blanked))

    def _carry_out(self, permit: DocumentPermit, reason: str, blanked: list[dict[str, Any]]) -> AuditLog | None:
        with self.work() as work:
            purged = [gone for chain, last in permit.through.items() if (gone := self.purge(work, *chain, last))]
            if not purged and not blanked:
                return None
            detail = {"reason": reason, "chains": purged, **({"erased": blanked} if blanked else {})}
            if not purged:  # the entry is all that is written now
                log = redacted(AuditLog(id=new_id(), actor=ACTOR, action="ledger.purge", detail=detail))
                logs: list[AuditLog] = append(work, SERIES[AuditLog], [log])[0]
            else:
                logs = note_purge(work, action="ledger.purge", resource="", detail=detail)
        return logs[-1]

    def _empty(self, kind: str, owner: str, seq_nums: list[int]) -> dict[str, Any] | None:
        """Empty a chain's rows of these numbers; returns what the audit entry says of them, or None for none.

        Each is a commit of its own: where its id is replaced, a document takes the places of another, which not every
        driver can do for many at once.
        """
        count = sum(self.run(partial(self._empty_one, kind, owner, seq_num)) for seq_num in seq_nums)
        return {"kind": kind, "chain": owner, "rows": count} if count else None

    def _empty_one(self, kind: str, owner: str, seq_num: int) -> int:
        series: Any = SERIES[KINDS[kind]]
        with self.work() as work:
            for session_id in series.sessions([owner]):
                work.refuse_held(session_id)
            base, previous = base_of(work.document(base_key(kind, owner))), ""
            if seq_num - 1 <= base.seq_num:
                previous = base.hash
            for document in self.walk(series_of(kind, owner), **_only(seq_num - 1)):
                previous = decode(series.record, document.body).hash
            for document in self.walk(series_of(kind, owner), **_only(seq_num)):
                record: Any = decode(series.record, document.body)
                if record.erased:
                    continue
                work.found(document)
                work.remove(document.key)
                work.put(emptied(series, record, series.text(record), previous))
                return 1
        return 0

    def purge(self, work: UnitOfWork, kind: str, owner: str, through_seq: int) -> dict[str, Any] | None:
        """Remove a chain's rows up to a number; returns what went, for the audit entry, or None for nothing.

        Raises:
            LegalHold: the chain's session is under one.
        """
        for session_id in SERIES[KINDS[kind]].sessions([owner]):
            work.refuse_held(session_id)
        base = base_of(work.document(base_key(kind, owner)))
        series = series_of(kind, owner)
        bounds: Any = {"above": place_of(base.seq_num), "below": place_of(through_seq + 1)}
        newest = next(self.walk(series, **bounds, reverse=True, page=1), None)
        if newest is None:
            return None
        last: Any = decode(KINDS[kind], newest.body)
        work.set_base(kind, owner, Base(last.seq_num, last.hash))
        gone = work.remove_found(self.walk(series, **bounds))
        return {"kind": kind, "chain": owner, "rows": gone, "through_seq": last.seq_num}


def note_purge(work: UnitOfWork, **entry: Any) -> list[AuditLog]:
    """Append the audit entry of a purge, as `note` does."""
    return note(work, redacted(AuditLog(id=new_id(), actor=ACTOR, **entry)))


def note(work: UnitOfWork, log: AuditLog) -> list[AuditLog]:
    """Append an audit entry to the chain of no session and no agent, which many write to.

    Returns:
        Where the entry is, as the last, once the work is committed.
    """
    logs: list[AuditLog] = []

    def append_last(last: UnitOfWork) -> None:
        logs.extend(append(last, SERIES[AuditLog], [log])[0])

    work.at_last = append_last
    return logs
