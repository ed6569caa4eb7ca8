"""Checking hash chains, and removing what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import partial

from ...ledger import permit
from ...ledger.mapping import TABLES
from ...ledger.series import CHAINS
from ...ledger.verify import chain_names, verify
from ...records import Record, Verdict
from ...transactions import attempt, translated
from .base import OrmBase


class ChainMethods(OrmBase):
    def verify(self, record: type[Record], chain: str) -> Verdict:
        return verify(self.using, CHAINS[TABLES[record].model], chain)

    def chains(self, record: type[Record]) -> Iterator[str]:
        return chain_names(self.using, CHAINS[TABLES[record].model], partial(attempt, self.using))

    def purging(self, reason: str) -> AbstractContextManager[permit.LedgerPermit]:
        return translated(self.using, partial(permit.purging, reason, self.using))
