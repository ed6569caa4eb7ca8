"""What differs between two states, place by place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .. import codec
from ..text import visible

#: The most differences that are shown, and how much of each value, in characters.
MOST, LENGTH = 300, 2_000


@dataclass(frozen=True)
class Difference:
    """A place where two states differ.

    Attributes:
        path: such as ``messages[3].content``; empty for the whole.
        kind: ``added``, ``removed`` or ``changed``.
    """

    path: str
    kind: str
    before: str
    after: str


def differences(before: Any, after: Any) -> tuple[list[Difference], bool]:
    """The first differences, and whether there are more."""
    found = list(islice(_differences(before, after, ""), MOST + 1))
    return found[:MOST], len(found) > MOST


def _differences(before: Any, after: Any, path: str) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _part(before, after, key, f"{path}.{key}" if path else key)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _lists(before, after, path)
    elif not _same(before, after):
        yield Difference(visible(path), "changed", _text(before), _text(after))


def _part(before: dict[str, Any], after: dict[str, Any], key: str, path: str) -> Iterator[Difference]:
    if key not in after:
        yield Difference(visible(path), "removed", _text(before[key]), "")
    elif key not in before:
        yield Difference(visible(path), "added", "", _text(after[key]))
    else:
        yield from _differences(before[key], after[key], path)


def _lists(before: list[Any], after: list[Any], path: str) -> Iterator[Difference]:
    """Items at the beginning and at the end that are the same stay out of it: most lists grow."""
    shorter = min(len(before), len(after))
    start = 0
    while start < shorter and _same(before[start], after[start]):
        start += 1
    end = 0
    while end < shorter - start and _same(before[-1 - end], after[-1 - end]):
        end += 1
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    for place in range(max(len(old), len(new))):
        where = f"{path}[{start + place}]"
        if place >= len(new):
            yield Difference(visible(where), "removed", _text(old[place]), "")
        elif place >= len(old):
            yield Difference(visible(where), "added", "", _text(new[place]))
        else:
            yield from _differences(old[place], new[place], where)


def _same(before: Any, after: Any) -> bool:
    # 1, 1.0 and true are equal in Python, and different in JSON.
    return type(before) is type(after) and codec.canonical(before) == codec.canonical(after)


def _text(value: Any) -> str:
    # In quotes, which tell "1" from 1; but a text of several lines is there to be read.
    is_text = isinstance(value, str) and "\n" in value
    text = value if is_text else json.dumps(value, ensure_ascii=False, indent=2)
    return visible(text[:LENGTH]) + ("…" if len(text) > LENGTH else "")
