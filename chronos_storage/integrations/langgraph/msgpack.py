"""Where the elements of msgpack's text end (https://github.com/msgpack/msgpack/blob/master/spec.md)."""

from __future__ import annotations

from collections.abc import Iterator

#: By the first byte, how many bytes there are in all, where these always are as many.
_FIXED = {
    **dict.fromkeys([*range(0x80), *range(0xC0, 0xC4), *range(0xE0, 0x100)], 1),
    **{0xA0 + length: 1 + length for length in range(32)},
    0xCA: 5,
    0xCB: 9,
    0xCC: 2,
    0xCD: 3,
    0xCE: 5,
    0xCF: 9,
    0xD0: 2,
    0xD1: 3,
    0xD2: 5,
    0xD3: 9,
    **{0xD4 + power: 2 + 2**power for power in range(5)},
}
#: Of strings, bytes and extensions, by the first byte: how many bytes their length takes, and how many more there are.
_SIZED = {
    0xC4: (1, 0),
    0xC5: (2, 0),
    0xC6: (4, 0),
    0xD9: (1, 0),
    0xDA: (2, 0),
    0xDB: (4, 0),
    0xC7: (1, 1),
    0xC8: (2, 1),
    0xC9: (4, 1),
}
#: Of arrays and maps: how many bytes their length takes, and how many elements each of it stands for.
_NESTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}


def ends(text: bytes, start: int, together: int = 1) -> Iterator[int]:
    """The end of each element from a place on, or of so many together."""
    while start < len(text):
        start = _end(text, start, together)
        yield start


def header(kind: str, count: int) -> bytes:
    """What stands before the elements of an array or a map."""
    few, some, many = (0x90, 0xDC, 0xDD) if kind == "list" else (0x80, 0xDE, 0xDF)
    if count < 1 << 4:
        return bytes([few | count])
    if count < 1 << 16:
        return bytes([some]) + count.to_bytes(2, "big")
    return bytes([many]) + count.to_bytes(4, "big")


def _end(text: bytes, at: int, count: int) -> int:
    while count:
        count -= 1
        first = text[at]
        if size := _FIXED.get(first):
            at += size
        elif first in _SIZED:
            size, more = _SIZED[first]
            at += 1 + size + more + int.from_bytes(text[at + 1 : at + 1 + size], "big")
        elif first in _NESTED:
            size, each = _NESTED[first]
            count += each * int.from_bytes(text[at + 1 : at + 1 + size], "big")
            at += 1 + size
        else:  # a short map or array
            count += (first & 0x0F) * (2 if first < 0x90 else 1)
            at += 1
    return at
