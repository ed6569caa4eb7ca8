"""Checking hash chains, and removing what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial

from ...chains.hashing import ZERO
from ...ledger import permit
from ...ledger.heads import lock_heads, move
from ...ledger.mapping import TABLES
from ...ledger.pages import Columns, iterate
from ...ledger.series import CHAINS
from ...ledger.verify import chain_heads, verify
from ...models import Head
from ...records import AuditLog, ChainHead, Checkpoint, Event, Message, Record, Verdict
from ...transactions import attempt, translated
from ..base import SeriesHead
from .base import OrmBase

#: The series that are numbered one by one, by the record.
_KINDS: dict[type[Record], Head.Kind] = {
    Message: Head.Kind.MESSAGE,
    Event: Head.Kind.EVENT,
    AuditLog: Head.Kind.AUDIT_LOG,
    Checkpoint: Head.Kind.CHECKPOINT,
}


class ChainMethods(OrmBase):
    def verify(self, record: type[Record], chain: str) -> Verdict:
        return verify(self.using, CHAINS[TABLES[record].model], chain)

    def chains(self, record: type[Record]) -> Iterator[ChainHead]:
        return chain_heads(self.using, CHAINS[TABLES[record].model], partial(attempt, self.using))

    def heads(self, record: type[Record], series: str | None = None) -> Iterator[SeriesHead]:
        rows = Head.objects.using(self.using).filter(kind=_KINDS[record], seq_num__gt=0)
        if series is not None:
            rows = rows.filter(series=series)
        found = Columns(Head, "series", "namespace", "seq_num", "base_seq", "base_hash")
        for series, namespace, last, base, base_hash in iterate(found, rows, "series", "namespace"):
            yield SeriesHead(series, namespace, last, base, base_hash or ZERO)

    def set_base(self, record: type[Record], chain: str, base_seq: int, base_hash: str) -> None:
        def begin() -> None:
            with self._atomic():
                [head] = lock_heads(self.using, _KINDS[record], [chain], deleted_too=True).values()
                if not head.seq_num:
                    head.seq_num = head.base_seq = base_seq
                    head.hash = head.base_hash = base_hash
                    move(self.using, head, "seq_num", "hash", "base_seq", "base_hash")

        self.run(begin)

    def purging(self, reason: str) -> AbstractContextManager[permit.LedgerPermit]:
        return translated(self.using, partial(permit.purging, reason, self.using))
