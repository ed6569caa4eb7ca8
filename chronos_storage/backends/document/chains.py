"""Checking hash chains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...chains.verification import verify_chain
from ...records import Record, Verdict
from .base import DocumentBase
from .indexes import KIND_OF, place_of, series_of
from .serialization import decode
from .series import SERIES


class _Chain(NamedTuple):
    """What a walk needs to know of a chain."""

    seq_num: int
    hash: str
    base_seq: int
    base_hash: str


class ChainMethods(DocumentBase):
    def verify(self, record: type[Record], chain: str) -> Verdict:
        return self._verify(SERIES[record], chain)

    def chains(self, record: type[Record]) -> Iterator[str]:
        for head in self.walk(("head", KIND_OF[record])):
            yield head.key[2]

    def _verify(self, series: Any, owner: str) -> Verdict:
        while True:
            base, head = self.base(series.kind, owner), self.head(series.kind, owner)
            verdict = verify_chain(
                series,
                series.kind,
                owner,
                _Chain(seq_num=head.seq_num, hash=head.hash, base_seq=base.seq_num, base_hash=base.hash),
                self._rows(series, owner),
                lambda: self.head(series.kind, owner).seq_num,
            )
            # A purge or a deletion meanwhile took rows away that the walk then missed: it begins again.
            unmoved = self.base(series.kind, owner) == base and self.head(series.kind, owner).seq_num >= head.seq_num
            if verdict.intact or unmoved:
                return verdict

    def _rows(self, series: Any, owner: str) -> Iterator[tuple[Any, str]]:
        """The chain's records by number, each with the text of its JSON."""
        partition = series_of(series.kind, owner)
        for document in self.walk(partition):
            record = decode(series.record, document.body)
            place = next(entry.sort for entry in document.entries if entry.partition == partition)
            if place_of(record.seq_num) != place:  # its number was changed: no hash fits what stands there now
                record.seq_num, record.hash = int(place), ""
            yield record, series.text(record)
