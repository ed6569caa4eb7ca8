"""Skeletons: what a checkpoint itself keeps of a state, beside the log that keeps the items.

A skeleton is JSON, a list, where a whole state is an object: its version, the state's length, and the outline's texts
and gaps in turns. A gap is a list: the digest of its items' digests, and then where they are in the log, range by
range: how many positions are passed over since the one before (negative to go back), and how many are taken then.
Skeletons that are stored are read for ever; a new form needs a new version.
"""

from __future__ import annotations

from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate, chain, pairwise
from math import isqrt
from typing import Any, NamedTuple, TypeAlias

from ..exceptions import StoreFailure
from .outlines import Outline
from .runs import DIGEST, Item, Items, Missing, Range, digest_of

_VERSION = 1
Skeleton: TypeAlias = list[Any]


def is_skeleton(state: Any) -> bool:
    """Whether what is stored for a state is a skeleton, and not the state itself."""
    return isinstance(state, list)


def size_of(skeleton: Skeleton) -> int:
    """How many characters the whole state has."""
    size: int = skeleton[1]
    return size


def ranges_of(skeleton: Skeleton) -> list[Range]:
    """Where in the log a state's items are."""
    return [positions for gap in _gaps(skeleton) for positions in gap.ranges]


def is_of(skeleton: Skeleton, outline: Outline) -> bool:
    """Whether a skeleton is that of the state with this outline, wherever in a log its items are."""
    digests = [_digest(b"".join(map(digest_of, items))) for items in outline.gaps]
    return (skeleton[2::2], [gap.digest for gap in _gaps(skeleton)]) == (outline.texts, digests)


def assembled(skeleton: Skeleton, items: Items) -> str:
    """The text of a state.

    Raises:
        Missing: the items are not those that it was made of.
    """
    parts: list[str] = [skeleton[2]]
    for gap, text in zip(_gaps(skeleton), skeleton[4::2], strict=True):
        texts, digests = items.joined(gap.ranges)
        if _digest(digests) != gap.digest:
            raise Missing
        # All is put together once: each copy of a long state takes the system about as long as to read it.
        parts += [part for each in texts for part in (each, ",")][:-1]
        parts.append(text)
    return "".join(parts)


def place(
    outline: Outline, base: Skeleton | None, end: int, read: Callable[[list[Range]], Mapping[int, bytes]]
) -> tuple[Skeleton, list[Item]]:
    """The skeleton of a state, and the items that are to be added to the log.

    Args:
        base: the skeleton of a state of the same log that is much like it, or None.
        end: the position at which the log goes on.
        read: gives the digests of the items in these ranges of the log, by position.
    """
    digests = [list(map(digest_of, items)) for items in outline.gaps]
    gaps = [] if base is None else _gaps(base)
    found, left = _begun(digests, gaps)
    known = _Known({})
    if left and any(len(begun) < len(of) for begun, of in zip(found, digests, strict=True)):
        known = _Known(read([positions for gap in left for positions in gap.ranges]))
    skeleton: Skeleton = [_VERSION, outline.size, outline.texts[0]]
    new: list[Item] = []
    for items, of, begun, text in zip(outline.gaps, digests, found, outline.texts[1:], strict=True):
        positions, added = known.positions(begun, of, end + len(new))
        ranges = _ranges(positions)
        if len(ranges) > max(16, isqrt(sum(map(len, items)) // 5)):
            added = list(range(len(of)))  # so many ranges take as much as what they save
            ranges = [(end + len(new), end + len(new) + len(of))]
        new += [Item(of[number], items[number]) for number in added]
        steps = ((start - before, stop - start) for (_, before), (start, stop) in pairwise([(0, 0), *ranges]))
        skeleton += [_digest(b"".join(of)), *chain.from_iterable(steps)], text
    return skeleton, new


class _Gap(NamedTuple):
    digest: str
    ranges: list[Range]

    @property
    def size(self) -> int:
        return sum(stop - start for start, stop in self.ranges)


def _gaps(skeleton: Skeleton) -> list[_Gap]:
    if skeleton[:1] != [_VERSION]:
        raise StoreFailure(f"a checkpoint's state is kept in form {skeleton[:1]}, which this version can't read")
    gaps = []
    for digest, *steps in skeleton[3::2]:
        bounds = list(accumulate(steps))
        gaps.append(_Gap(digest, list(zip(bounds[::2], bounds[1::2], strict=True))))
    return gaps


def _digest(digests: bytes) -> str:
    return b64encode(blake2b(digests, digest_size=DIGEST).digest()).rstrip(b"=").decode()


def _positions(ranges: list[Range]) -> list[int]:
    return list(chain.from_iterable(range(*each) for each in ranges))


def _ranges(positions: Sequence[int]) -> list[Range]:
    breaks = [at for at, (one, other) in enumerate(pairwise(positions), 1) if other != one + 1]
    return [(positions[start], positions[stop - 1] + 1) for start, stop in pairwise([0, *breaks, len(positions)])]


def _begun(digests: list[list[bytes]], gaps: list[_Gap]) -> tuple[list[list[int]], list[_Gap]]:
    """Where the first items of each new gap are, as far as they are all of an old one; and the other old ones."""
    by_count: dict[int, dict[str, int]] = defaultdict(dict)
    for number, gap in enumerate(gaps):
        by_count[gap.size][gap.digest] = number
    counts = sorted(by_count)
    left = dict(enumerate(gaps))
    found = []
    for of in digests:
        joined = b"".join(of)
        hashed, done, begun = blake2b(digest_size=DIGEST), 0, -1
        for count in counts:
            if count > len(of):
                break
            hashed.update(joined[DIGEST * done : DIGEST * count])
            done = count
            digest = b64encode(hashed.digest()).rstrip(b"=").decode()
            begun = by_count[count].get(digest, begun)
        found.append(_positions(gaps[begun].ranges) if begun >= 0 else [])
        left.pop(begun, None)
    return found, list(left.values())


class _Known:
    """Where the log has which items."""

    def __init__(self, digests: Mapping[int, bytes]) -> None:
        self._digests = digests
        self._positions = {digest: position for position, digest in digests.items()}

    def positions(self, begun: list[int], digests: list[bytes], end: int) -> tuple[list[int], list[int]]:
        """Where the items of a gap are, or will be from `end` on; and which of them, by number, are to be added.

        Args:
            begun: where the first of them are.
        """
        positions = begun.copy()
        added: list[int] = []
        for number in range(len(begun), len(digests)):
            digest = digests[number]
            following = positions[-1] + 1 if positions else 0
            position = following if self._digests.get(following) == digest else self._positions.get(digest)
            if position is None:
                position = end + len(added)
                added.append(number)
            positions.append(position)
        return positions, added
