"""Checking a hash chain."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ..records import Verdict
from .numbering import Chained


def verify_chain(
    series: Chained[Any],
    kind: str,
    name: str,
    head: Any,
    rows: Iterable[tuple[Any, str]],
    last_seq: Callable[[], int],
) -> Verdict:
    """Go through a chain to its first row that is not as it was appended.

    Args:
        kind: as the verdict names it.
        head: its `seq_num` and `hash` are the last row's, `base_seq` and `base_hash` say where the chain begins.
        rows: the chain's records by number, each with the text of its JSON as it is stored.
        last_seq: the head's number at this moment.
    """
    checked, erased, number, previous = 0, 0, head.base_seq, head.base_hash

    def verdict(bad_seq: int | None = None, problem: str = "") -> Verdict:
        return Verdict(
            kind=kind,
            chain=name,
            base_seq=head.base_seq,
            last_seq=head.seq_num,
            checked=checked,
            bad_seq=bad_seq,
            problem=problem,
            erased=erased,
        )

    if previous.strip("0123456789abcdef"):
        return verdict(number + 1, f"the hash that number {number + 1} follows was changed")
    for record, text in rows:
        # Rows appended since the head was read are the next check's.
        if record.seq_num > head.seq_num and record.seq_num <= last_seq():
            break
        checked += 1
        if record.seq_num > head.seq_num:
            return verdict(record.seq_num, f"number {record.seq_num} was inserted after the last, {head.seq_num}")
        if record.seq_num <= number:
            return verdict(record.seq_num, f"number {record.seq_num} was inserted before the chain's first")
        if record.seq_num > number + 1:
            return verdict(number + 1, f"number {number + 1} was removed")
        number += 1
        if series.owner(record) != name or not series.follows(previous, record, text):
            return verdict(number, f"number {number} was changed, or another row was put in its place")
        previous = record.hash
        erased += bool(record.erased)
    if number < head.seq_num:
        return verdict(number + 1, f"number {number + 1} was removed")
    if previous != head.hash:
        return verdict(number, f"number {number} is not the row that was appended last")
    return verdict()
