"""Checking hash chains, and removing what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from ...ledger import permit
from ...ledger.series import AUDIT_CHAIN, EVENT_CHAIN, ChainSeries
from ...ledger.verify import chain_names, verify
from ...records import AuditLog, Event, Record, Verdict
from ...transactions import attempt, translated
from .base import OrmBase

_CHAINS: dict[type[Record], ChainSeries[Any]] = {Event: EVENT_CHAIN, AuditLog: AUDIT_CHAIN}


class ChainMethods(OrmBase):
    def verify(self, record: type[Record], chain: str) -> Verdict:
        return verify(self.using, _CHAINS[record], chain)

    def chains(self, record: type[Record]) -> Iterator[str]:
        return chain_names(self.using, _CHAINS[record], partial(attempt, self.using))

    def purging(self, reason: str) -> AbstractContextManager[permit.LedgerPermit]:
        return translated(self.using, partial(permit.purging, reason, self.using))
