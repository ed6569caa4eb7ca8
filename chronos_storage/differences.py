"""What differs between two JSON values, place by place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from . import codec

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two values differ.

    Attributes:
        place: the keys and indexes that lead to it; empty for the whole.
        kind: ``added``, ``removed`` or ``changed``.
        before: what was there; None where it was added.
        after: what is there; None where it was removed.
    """

    place: Place
    kind: str
    before: Any
    after: Any


def differences(before: Any, after: Any, place: Place = ()) -> Iterator[Difference]:
    """Where two values differ, worked out as it is asked for."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            if key not in after:
                yield Difference((*place, key), "removed", before[key], None)
            elif key not in before:
                yield Difference((*place, key), "added", None, after[key])
            else:
                yield from differences(before[key], after[key], (*place, key))
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, place)
    elif not _same(before, after):
        yield Difference(place, "changed", before, after)


def _lists(before: list[Any], after: list[Any], place: Place) -> Iterator[Difference]:
    """Items at the beginning and at the end that are the same stay out of it: most lists grow."""
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and _same(before[start], after[start]):
        start += 1
    end = 0
    while end < shorter - start and _same(before[-1 - end], after[-1 - end]):
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    for position in range(max(len(old), len(new))):
        where = (*place, start + position)
        if position >= len(new):
            yield Difference(where, "removed", old[position], None)
        elif position >= len(old):
            yield Difference(where, "added", None, new[position])
        else:
            yield from differences(old[position], new[position], where)


def _same(before: Any, after: Any) -> bool:
    # 1, 1.0 and true are equal in Python, and different in JSON.
    return type(before) is type(after) and codec.canonical(before) == codec.canonical(after)
