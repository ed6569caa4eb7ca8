"""A Merkle tree over lines: one hash for all of them, and a short proof that one of them is among them.

The tree is that of RFC 6962 (Certificate Transparency), section 2.1, over SHA-256.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

#: The root over no lines.
EMPTY: bytes = sha256().digest()


def leaf(line: bytes) -> bytes:
    """The hash of one line."""
    return sha256(b"\x00" + line).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """The hash over all leaves, in their order."""
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0] if level else EMPTY


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """What proves that a leaf is at this place, from 0: the hashes beside those on its way to the root."""
    level, found = list(leaves), []
    while len(level) > 1:
        if (beside := index ^ 1) < len(level):
            found.append(level[beside])
        level, index = _above(level), index // 2
    return found


def root_by(found: Sequence[bytes], hashed: bytes, index: int, count: int) -> bytes | None:
    """The root that a leaf at this place of so many leads to by its path; None where the path doesn't fit."""
    beside = iter(found)
    while count > 1:
        if index ^ 1 < count:
            other = next(beside, None)
            if other is None:
                return None
            hashed = _node(other, hashed) if index % 2 else _node(hashed, other)
        index, count = index // 2, (count + 1) // 2
    return hashed if next(beside, None) is None else None


def _above(level: list[bytes]) -> list[bytes]:
    """The level above: a node over each two, and the last one itself where it is left over."""
    paired = [_node(*level[n : n + 2]) for n in range(0, len(level) - 1, 2)]
    return paired + level[len(paired) * 2 :]


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()
