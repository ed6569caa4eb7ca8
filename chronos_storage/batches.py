"""Records, so many at a time as memory and a statement take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

#: Characters of a batch, unless one record alone has more: a quarter of the 16 MiB that a statement of MariaDB's may
#: have by default.
SIZE = 4 * 1024 * 1024


def batches(records: Iterable[T], count: int = 500) -> Iterator[list[T]]:
    """The records in batches, each of which ends before it has too many, or too much in them.

    Args:
        count: how many a batch has at most.
    """
    batch: list[T] = []
    size = 0
    for record in records:
        length = len(repr(record))
        if batch and (len(batch) == count or size + length > SIZE):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += length
    if batch:
        yield batch
