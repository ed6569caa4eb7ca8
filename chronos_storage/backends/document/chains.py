"""Checking hash chains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from ...chains.verification import verify_chain
from ...records import ChainHead, Record, Verdict
from ..base import SeriesHead
from .base import DocumentBase
from .driver import Document
from .indexes import BY_ID, KIND_OF, place_of, series_of
from .serialization import decode
from .series import SERIES
from .unit_of_work import Base, head_key, head_of


class _Ends(NamedTuple):
    """Where a chain begins and ends."""

    seq_num: int
    hash: str
    base_seq: int
    base_hash: str


class ChainMethods(DocumentBase):
    def verify(self, record: type[Record], chain: str) -> Verdict:
        return self._verify(SERIES[record], chain)

    def chains(self, record: type[Record]) -> Iterator[ChainHead]:
        kind = KIND_OF[record]
        for document in self.walk(("head", kind)):
            seq_num, last, base_seq, base = self._ends(kind, name := document.key[2])
            yield ChainHead(kind=kind, chain=name, seq_num=seq_num, hash=last, base_seq=base_seq, base_hash=base)

    def heads(self, record: type[Record], series: str | None = None) -> Iterator[SeriesHead]:
        for document in self._heads(KIND_OF[record], series):
            (_, kind, name, namespace), head = document.key, head_of(document)
            base = self.base(kind, name) if record in SERIES else Base()
            yield SeriesHead(name, namespace, head.seq_num, base.seq_num, base.hash)

    def set_base(self, record: type[Record], chain: str, base_seq: int, base_hash: str) -> None:
        kind = KIND_OF[record]

        def begin() -> None:
            with self.work() as work:
                head = work.head(kind, chain)
                if not head.seq_num:
                    head.seq_num = head.count = base_seq
                    head.hash = base_hash
                    work.set_base(kind, chain, Base(base_seq, base_hash))

        self.run(begin)

    def _heads(self, kind: str, series: str | None) -> Iterator[Document]:
        if kind == "checkpoint":  # of which each namespace of a session has one
            sessions = (document.key[-1] for document in self.walk(BY_ID.partition("session", {})))
            for owner in sessions if series is None else (series,):
                yield from self.walk(("head", kind, owner))
        elif series is None:
            yield from self.walk(("head", kind))
        elif document := self.read_one(head_key(kind, series)):
            yield document

    def _ends(self, kind: str, owner: str) -> _Ends:
        base, head = self.base(kind, owner), self.head(kind, owner)
        return _Ends(seq_num=head.seq_num, hash=head.hash, base_seq=base.seq_num, base_hash=base.hash)

    def _verify(self, series: Any, owner: str) -> Verdict:
        while True:
            ends = self._ends(series.kind, owner)
            verdict = verify_chain(
                series,
                series.kind,
                owner,
                ends,
                self._rows(series, owner),
                lambda: self.head(series.kind, owner).seq_num,
            )
            # A purge or a deletion meanwhile took rows away that the walk then missed: it begins again.
            now = self._ends(series.kind, owner)
            if verdict.intact or (now[2:] == ends[2:] and now.seq_num >= ends.seq_num):
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
