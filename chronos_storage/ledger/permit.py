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
from ..chains.numbering import ACTOR
from ..chains.permit import PurgePermit, purge_reason
from ..compat.queries import delete_unseen
from ..exceptions import AppendOnlyError
from ..ids import new_id
from ..models import Event, Head
from ..models.permits import opened
from .heads import lock_sessions, locked, sessions_of
from .series import AUDIT_CHAIN, CHAINS, EVENT_CHAIN, append
from .triggers import deletion_permitted


class LedgerPermit(PurgePermit):
    """The permit on one database; `QuerySet.delete` of the ledger's models works under it too.

    Attributes:
        purged: what went, for the audit entry: kind, chain, rows and through_seq of each chain.
    """

    def __init__(self, using: str) -> None:
        self.using = using
        self.connection: BaseDatabaseWrapper = connections[using]
        self.purged: list[dict[str, Any]] = []

    def _purge(self, record: type[records.Record], chain: str, through_seq: int | None) -> int:
        series = EVENT_CHAIN if record is records.Event else AUDIT_CHAIN
        rows = series.table.model._default_manager.using(self.using).filter(**{series.column: chain})
        return self.delete(rows if through_seq is None else rows.filter(seq_num__lte=through_seq))

    def delete(self, rows: QuerySet[Any]) -> int:
        """Remove these rows, which must be whole chains or the first rows of theirs; returns how many.

        Raises:
            AppendOnlyError: rows of a chain would stay before others that go.
        """
        self.require_open()
        if connections[self.using] is not self.connection:
            raise AppendOnlyError("this purge permit is another thread's")
        with transaction.atomic(using=self.using):
            gone = self._delete(rows.using(self.using))
        self.purged += gone
        return sum(chain["rows"] for chain in gone)

    def _delete(self, rows: QuerySet[Any]) -> list[dict[str, Any]]:
        series = CHAINS[rows.model]
        going = rows.order_by().values_list(series.column)
        heads = Head.objects.using(self.using).filter(kind=series.kind, namespace="")
        names = sorted({name for (name,) in going.distinct()})
        lock_sessions(self.using, sessions_of(series.kind, names))
        locked(heads.filter(owner__in=names).order_by("owner"))
        gone = []
        for name, through, count in sorted(going.annotate(Max("seq_num"), Count("pk"))):
            first = rows.model.objects.using(self.using).filter(**{series.column: name, "seq_num__lte": through})
            if first.count() != count:
                raise AppendOnlyError(
                    f"a purge removes the first rows of a chain: rows of {name!r} before number {through} would stay"
                )
            newest_hash = first.values_list("hash", flat=True).get(seq_num=through)
            with deletion_permitted(self.using):
                delete_unseen(first, self.using)
            heads.filter(owner=name).update(base_seq=through, base_hash=newest_hash)
            gone.append({"kind": series.kind.value, "chain": name, "rows": count, "through_seq": through})
        return gone

    def lasting(self) -> list[dict[str, Any]]:
        """What of `purged` was not rolled back inside the block."""
        heads = Head.objects.using(self.using).filter(namespace="")
        return [
            chain
            for chain in self.purged
            if not heads.filter(kind=chain["kind"], owner=chain["chain"], base_seq__lt=chain["through_seq"]).exists()
        ]


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
        if purged := given.lasting():
            detail = {"reason": reason, "chains": purged}
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
    (stored,), _ = append(using, AUDIT_CHAIN, [log.cleaned()])
    return stored
