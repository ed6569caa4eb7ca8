"""A history within a budget: where it begins.

What is too much is left out from the front, and more of it than needed, half of the room, so that the beginning stays
where it is for many turns. It depends on nothing but the messages up to the newest: whoever asks again after a few more
gets the same beginning, until the room is full once more.
"""

from __future__ import annotations

from collections.abc import Sequence


def beginning(sizes: Sequence[int], begins: Sequence[bool], room: int) -> int | None:
    """The place of the first message that is given; None where even the last that may begin doesn't fit.

    Args:
        sizes: of each message.
        begins: whether a list may begin with it; what may not belongs to those before it.
    """
    start = group = 0
    total = before = 0  # from the start to here, and to where the group of this message begins
    for place, (size, may_begin) in enumerate(zip(sizes, begins, strict=True)):
        if may_begin:
            group, before = place, total
        total += size
        if total > room:
            while start < group and (total > room or before > room // 2):
                total, before, start = total - sizes[start], before - sizes[start], start + 1
                while not begins[start]:
                    total, before, start = total - sizes[start], before - sizes[start], start + 1
    return start if total <= room else None
