"""Appending to hash chains, and checking them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import TypeVar

from django.db import connections

from ... import codec, records
from ...chains.numbering import chain_of
from ...ledger import permit, postgresql
from ...ledger.series import AUDIT_CHAIN, EVENT_CHAIN, ChainSeries, append
from ...ledger.verify import chain_names, verify
from ...records import Verdict
from ...transactions import attempt, retried, translated
from .base import OrmBase

R = TypeVar("R", records.Event, records.AuditLog)


class ChainMethods(OrmBase):
    def append_one(self, series: ChainSeries[R], record: R, expected_seq: int | None = None) -> tuple[R, list[R]]:
        """Append a record: in one statement where the database can and nothing is in the way.

        Returns:
            The record as it is stored, and once more in a list if it is new.
        """
        alias = self.alias
        one_statement = connections[alias].vendor == "postgresql"
        if one_statement:
            stored = record.cleaned()
            stored.complete()
            if postgresql.append_one(alias, series, stored, expected_seq):
                return stored, [stored]
        (stored,), new = append(alias, series, [record], expected_seq, look_up=one_statement)
        return stored, new

    @retried
    def verify_events(self, session_id: str) -> Verdict:
        return verify(self.alias, EVENT_CHAIN, codec.string(session_id, "session_id"))

    @retried
    def verify_audit_logs(self, session_id: str | None = None, *, agent_id: str | None = None) -> Verdict:
        return verify(self.alias, AUDIT_CHAIN, chain_of(session_id, agent_id))

    def verify_all(self) -> Iterator[Verdict]:
        for series in (EVENT_CHAIN, AUDIT_CHAIN):
            for name in chain_names(self.alias, series, partial(attempt, self.alias)):
                yield attempt(self.alias, partial(verify, self.alias, series, name))

    def purge_permit(self, *, reason: str) -> AbstractContextManager[permit.LedgerPermit]:
        return translated(self.alias, partial(permit.purge_permit, reason=reason, using=self.alias))
