"""What differs between two long texts, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import count, takewhile

from ..text import visible

#: From how many characters on a text is long, how many of what is the same stand beside a change, and how many of one.
LONG, _BESIDE, _MOST = 60, 80, 2_000
_words = re.compile(r"\w+|\s+|[^\w\s]").findall


@dataclass(frozen=True)
class Piece:
    """A part of two texts.

    Attributes:
        kind: ``same``, ``removed`` or ``added``.
    """

    kind: str
    text: str


class Inline:
    """Compares texts as long as that is a matter of milliseconds; later ones are told apart only at their ends."""

    def __init__(self, steps: int = 1_000_000) -> None:
        self._steps = steps

    def pieces(self, before: str, after: str) -> list[Piece]:
        """The parts of two texts in their order; what is the same is cut off where it is long."""
        start, end = _ends(before, after)
        found = [("same", before[:start])]
        found += self._middle(before[start : len(before) - end], after[start : len(after) - end])
        found.append(("same", before[len(before) - end :]))
        last = len(found) - 1
        return [
            Piece(kind, _shown(kind, text, first=place == 0, last=place == last))
            for place, (kind, text) in enumerate(found)
            if text
        ]

    def _middle(self, before: str, after: str) -> Iterator[tuple[str, str]]:
        old, new = _words(before[: 10 * _MOST]), _words(after[: 10 * _MOST])
        self._steps -= len(old) * len(new)
        if self._steps < 0 or len(before) > 10 * _MOST or len(after) > 10 * _MOST:
            yield from (("removed", before), ("added", after))
            return
        for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if kind == "equal":
                yield "same", "".join(old[a:b])
            else:
                yield from (("removed", "".join(old[a:b])), ("added", "".join(new[c:d])))


def _ends(before: str, after: str) -> tuple[int, int]:
    """How many characters at the beginning, and at the end, are the same, up to where words begin and end."""
    shorter = min(len(before), len(after))
    start = sum(1 for _ in takewhile(lambda at: at < shorter and before[at] == after[at], count()))
    while start and (_inside(before, start) or _inside(after, start)):
        start -= 1
    end = sum(1 for _ in takewhile(lambda at: at < shorter - start and before[-1 - at] == after[-1 - at], count()))
    while end and (_inside(before, len(before) - end) or _inside(after, len(after) - end)):
        end -= 1
    return start, end


def _inside(text: str, at: int) -> bool:
    """Whether a place is inside of a word."""
    return 0 < at < len(text) and text[at - 1].isalnum() and text[at].isalnum()


def _shown(kind: str, text: str, *, first: bool, last: bool) -> str:
    if kind != "same":
        return visible(text[:_MOST]) + ("…" if len(text) > _MOST else "")
    before, after = "" if first else text[:_BESIDE], "" if last else text[-_BESIDE:]
    if len(text) <= len(before) + len(after):
        return visible(text)
    return f"{visible(before)}…{visible(after)}"
