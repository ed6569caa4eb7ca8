"""`purge_permit`: the one way to remove ledger rows, which says in the audit log what went and why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, Max
from django.db.models.query import QuerySet

from .. import records, signals
from ..batches import batches
from ..chains.erasing import emptied
from ..chains.hashing import ZERO
from ..chains.numbering import ACTOR
from ..chains.permit import PurgePermit, purge_reason
from ..compat.queries import delete_unseen
from ..exceptions import AppendOnlyError
from ..ids import new_id
from ..models import Event
from ..models.permits import opened
from ..redaction import redacted
from ..snapshots import current
from . import audit_ids
from .heads import heads_of, lock_sessions, lockable, locked, refuse_held, sessions_of
from .series import AUDIT_CHAIN, CHAINS, EVENT_CHAIN, ChainSeries, append
from .triggers import deletion_permitted


class LedgerPermit(PurgePermit):
    """The permit on one database; `QuerySet.delete` of the ledger's models works under it too.

    Attributes:
        purged: what went, for the audit entry: kind, chain, rows and through_seq of each chain.
        emptied: the numbers of what was emptied, by series and chain.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.connection: BaseDatabaseWrapper = connections[using]
        self.purged: list[dict[str, Any]] = []
        self.emptied: dict[tuple[ChainSeries[Any], str], set[int]] = {}

    def _purge(self, record: type[records.Record], chain: str, through_seq: int | None) -> int:
        series = EVENT_CHAIN if record is records.Event else AUDIT_CHAIN
        rows = series.rows(self.using, chain)
        return self.delete(rows if through_seq is None else rows.filter(seq_num__lte=through_seq))

    def delete(self, rows: QuerySet[Any]) -> int:
        """Remove these rows, which must be whole chains or the first rows of theirs; returns how many.

        Raises:
            AppendOnlyError: rows of a chain would stay before others that go.
        """
        self._require_own()
        with transaction.atomic(using=self.using):
            gone = self._delete(rows.using(self.using))
        self.purged += gone
        return sum(chain["rows"] for chain in gone)

    def _require_own(self) -> None:
        self.require_open()
        if connections[self.using] is not self.connection:
            raise AppendOnlyError("this purge permit is another thread's")

    def _erase(self, record: type[records.Record], chain: str, seq_nums: list[int]) -> int:
        self._require_own()
        series = EVENT_CHAIN if record is records.Event else AUDIT_CHAIN
        with transaction.atomic(using=self.using):
            gone = self._empty(series, chain, seq_nums)
        self.emptied.setdefault((series, chain), set()).update(gone)
        return len(gone)

    def _empty(self, series: ChainSeries[Any], name: str, seq_nums: list[int]) -> list[int]:
        """Empty rows of a chain; returns the numbers of those that were not empty before."""
        for session in lock_sessions(self.using, sessions_of(series.kind, [name])).values():
            refuse_held(session)
        rows, gone = series.rows(self.using, name), []
        for head in locked(heads_of(self.using, series.kind, [name])):
            for numbers in batches(seq_nums):
                before = current(rows.filter(seq_num__in=[number - 1 for number in numbers]))
                previous = dict(before.values_list("seq_num", "hash")) | {head.base_seq: head.base_hash or ZERO}
                for record in series.table.fetch(current(rows.filter(seq_num__in=numbers, erased=""))):
                    left = emptied(series, record, series.text(record), previous.get(record.seq_num - 1, ZERO))
                    values = {field: getattr(left, field) for field in ("id", "erased", *series.blank)}
                    row: Any = rows.filter(seq_num=record.seq_num)
                    with deletion_permitted(self.using):
                        row.empty_row(**series.table.columns_of(values))
                    if series is AUDIT_CHAIN and left.id != record.id:
                        audit_ids.give_back(self.using, [record.id])
                        audit_ids.take(self.using, [left.id])
                    gone.append(record.seq_num)
        return gone

    def _delete(self, rows: QuerySet[Any]) -> list[dict[str, Any]]:
        series = CHAINS[rows.model]
        going = rows.order_by().values_list(series.column)
        names = sorted({name for (name,) in going.distinct()})
        for session in lock_sessions(self.using, sessions_of(series.kind, names)).values():
            refuse_held(session)
        for some in lockable(self.using, names):
            locked(heads_of(self.using, series.kind, some).order_by("series"))
        gone = []
        for name, through, count in sorted(going.annotate(Max("seq_num"), Count("pk"))):
            first = series.rows(self.using, name).filter(seq_num__lte=through)
            if first.count() != count:
                raise AppendOnlyError(
                    f"a purge removes the first rows of a chain: rows of {name!r} before number {through} would stay"
                )
            newest_hash = first.values_list("hash", flat=True).get(seq_num=through)
            if series is AUDIT_CHAIN:
                audit_ids.give_back_all(first)
            with deletion_permitted(self.using):
                delete_unseen(first, self.using)
            heads_of(self.using, series.kind, [name]).update(base_seq=through, base_hash=newest_hash)
            gone.append({"kind": series.kind.value, "chain": name, "rows": count, "through_seq": through})
        return gone

    def lasting(self) -> dict[str, Any]:
        """What was not rolled back inside the block, for the audit entry: of chains, and of what was emptied."""
        purged = [
            chain
            for chain in self.purged
            if not heads_of(self.using, chain["kind"], [chain["chain"]])
            .filter(base_seq__lt=chain["through_seq"])
            .exists()
        ]
        emptied = []
        for (series, chain), seq_nums in self.emptied.items():
            rows = series.rows(self.using, chain).exclude(erased="")
            if count := sum(rows.filter(seq_num__in=some).count() for some in batches(seq_nums)):
                emptied.append({"kind": series.kind.value, "chain": chain, "rows": count})
        return {"chains": purged, **({"erased": emptied} if emptied else {})} if purged or emptied else {}


@contextmanager
def permit(using: str) -> Iterator[LedgerPermit]:
    """A permit for one transaction, for callers who write the audit entry themselves."""
    with transaction.atomic(using=using):
        given = LedgerPermit(using)
        with opened(given.connection, given):
            try:
                yield given
            finally:
                given.ended = True


@contextmanager
def purging(reason: str, using: str) -> Iterator[LedgerPermit]:
    """`purge_permit` for callers who tell the receivers of its signal themselves."""
    with permit(using) as given:
        yield given
        if lasting := given.lasting():
            detail = {"reason": reason, **lasting}
            given.audit_log = note_purge(using, action="ledger.purge", resource="", detail=detail)


@contextmanager
def purge_permit(*, reason: str, using: str | None = None) -> Iterator[LedgerPermit]:
    """Open deletion of ledger rows for one transaction, and write an audit entry of what went and why.

    A purge removes a whole chain or the first rows of it; what stays still verifies, from where it now begins.

    Args:
        reason: why, for the audit entry; must not be empty.
        using: the database alias; without it the routers decide.

    Raises:
        AppendOnlyError: the rows deleted are not the first of their chain.
    """
    using = using or router.db_for_write(Event)
    with purging(purge_reason(reason), using) as given:
        yield given
    if given.audit_log is not None:
        signals.announce(signals.ledger_purged, records.AuditLog, using, audit_log=given.audit_log)


def note_purge(using: str, **entry: Any) -> records.AuditLog:
    """Append the audit entry of a purge, to the chain of no session and no agent."""
    log = records.AuditLog(id=new_id(), actor=ACTOR, **entry)
    stored: records.AuditLog
    (stored,), _ = append(using, AUDIT_CHAIN, [redacted(log)])
    return stored
