"""Runs: the rows of a log, each some of its items that lie one behind the other, with their digests."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import Any, NamedTuple, TypeAlias

DIGEST = 16
#: Items, and characters, of a run, at most; one item may be longer.
MAX_ITEMS = 256
_MAX_SIZE = 32 * 1024
#: So many positions are read that nobody asked for, rather than in a range of their own.
_NEAR = 64

#: Positions of a log: the first, and the one after the last.
Range: TypeAlias = tuple[int, int]


class Missing(Exception):
    """The items of a state are not there, or others are: it was removed, or all of its series, since it was read."""


class Item(NamedTuple):
    """What a log keeps."""

    digest: bytes
    text: str


class Run(NamedTuple):
    """A row of a log.

    Attributes:
        start, stop: the positions of its first item, and after its last.
        digests: of its items, one after the other.
        items: their texts, a line each: JSON without spaces has no other line breaks.
    """

    start: int
    stop: int
    digests: bytes
    items: str


def digest_of(item: str) -> bytes:
    """What tells an item from all others."""
    return blake2b(item.encode(), digest_size=DIGEST).digest()


def packed(new: Sequence[Item], start: int) -> list[Run]:
    """Items as runs, the first of which starts at a position."""
    runs: list[Run] = []
    digests: list[bytes] = []
    texts: list[str] = []
    size = 0
    for digest, text in new:
        if texts and (len(texts) == MAX_ITEMS or size + len(text) > _MAX_SIZE):
            runs.append(Run(start, start + len(texts), b"".join(digests), "\n".join(texts)))
            start += len(texts)
            digests, texts, size = [], [], 0
        digests.append(digest)
        texts.append(text)
        size += len(text)
    if texts:
        runs.append(Run(start, start + len(texts), b"".join(digests), "\n".join(texts)))
    return runs


def digests_in(start: int, digests: bytes) -> Iterable[tuple[int, bytes]]:
    """The digests of a run, each after its position."""
    return enumerate((digests[at : at + DIGEST] for at in range(0, len(digests), DIGEST)), start)


def merged(ranges: Iterable[Range], near: int = _NEAR) -> list[Range]:
    """Ranges in order, none of which overlap, and those that are near to one another as one."""
    result: list[Range] = []
    for start, stop in sorted(ranges, key=itemgetter(0)):
        if result and start <= result[-1][1] + near:
            result[-1] = result[-1][0], max(stop, result[-1][1])
        else:
            result.append((start, stop))
    return result


class Items:
    """The items of some runs, each given once."""

    def __init__(self, runs: Iterable[tuple[int, int, bytes, str]]) -> None:
        columns: list[Any] = list(zip(*sorted(runs), strict=True)) or [()] * 4
        self._starts, self._stops, self._digests, self._texts = columns

    def joined(self, ranges: Iterable[Range]) -> tuple[list[str], bytes]:
        """The items in these ranges, those of a run with commas between them, and their digests one after the other.

        Raises:
            Missing: some are not there.
        """
        texts: list[str] = []
        digests: list[bytes] = []
        for start, stop in ranges:
            first, last = bisect_right(self._starts, start) - 1, bisect_right(self._starts, stop - 1) - 1
            if first < 0 or self._stops[first] <= start or self._stops[last] < stop:
                raise Missing
            if self._stops[first:last] != self._starts[first + 1 : last + 1]:
                raise Missing
            before, after = start - self._starts[first], self._stops[last] - stop
            digest = b"".join(self._digests[first : last + 1])
            digests.append(digest[DIGEST * before : len(digest) - DIGEST * after])
            found = list(self._texts[first : last + 1])
            if after:
                found[-1] = found[-1].rsplit("\n", after)[0]
            if before:
                found[0] = found[0].split("\n", before)[-1]
            texts += found
        return [text.replace("\n", ",") for text in texts], b"".join(digests)
