"""Values that are too large, shortened until they fit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from .texts import bytes_of, encode, quoted

#: What each item may keep at least; where there are too many for that, the last are left out.
_SHARE = 128
#: More bytes than the words take that say how much of a text is left out.
_WORDS = 64


def fitted(value: Any, path: Any, room: int, note: Callable[[Any, str], None]) -> Any:
    """`value` in at most `room` bytes of JSON: the largest parts are shortened, the others stay as they are.

    Args:
        value: what `json_value` could have given.
        path: where it stands: a pair of the path above and a step.
        note: is told where something was left out, and what.
    """
    if bytes_of(encode(value)) <= room:
        return value
    if isinstance(value, str):
        return shortened(value, path, room, note)
    is_object = isinstance(value, dict)
    items = list(value.items()) if is_object else [("", item) for item in value]
    room -= 2
    sizes: list[int] = []
    least = 0
    for name, item in items:
        size = bytes_of(encode(item))
        around = bytes_of(quoted(name)) + 2 if is_object else 1
        if least + around + min(size, _SHARE) > room:
            break
        least += min(size, _SHARE)
        room -= around
        sizes.append(size)
    if len(sizes) < len(items):
        note(path, f"too large: the last {len(items) - len(sizes):,} of {len(items):,} items left out")
    share = _share(sizes, room)
    kept = [
        (name, item if size <= share else fitted(item, (path, f".{name}" if is_object else f"[{place}]"), share, note))
        for place, ((name, item), size) in enumerate(zip(items, sizes, strict=False))
    ]
    return dict(kept) if is_object else [item for _, item in kept]


def shortened(text: str, path: Any, room: int, note: Callable[[Any, str], None]) -> str:
    """The beginning of a text that is too long, and how much of it is left out, in at most `room` bytes of JSON."""
    ends = range(min(len(text), room) + 1)
    length = bisect_right(ends, room - _WORDS, key=lambda end: bytes_of(quoted(text[:end]))) - 1
    words = f"{len(text) - length:,} characters left out"
    note(path, f"too large: {words}")
    return f"{text[:length]}… [{words}]"


def _share(sizes: list[int], room: int) -> int:
    """How much each may keep where all together have `room`: what small ones leave, the large ones share."""
    size = 0
    for count, size in zip(range(len(sizes), 0, -1), sorted(sizes), strict=True):
        if size * count > room:
            return room // count
        room -= size
    return size
