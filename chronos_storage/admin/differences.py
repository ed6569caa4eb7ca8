"""What differs between two states, as a page shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .. import differences as walk
from ..text import visible
from .inline import LONG, Inline, Piece

#: The most differences that are shown, and how much of each value, in characters.
MOST, LENGTH = 300, 2_000


@dataclass(frozen=True)
class Difference:
    """A place where two states differ.

    Attributes:
        path: such as ``messages[3].content``; empty for the whole.
        kind: ``added``, ``removed`` or ``changed``.
        pieces: of two long texts, which are shown in one, what they have in common and what not.
    """

    path: str
    kind: str
    before: str
    after: str
    pieces: list[Piece]


def differences(before: Any, after: Any) -> tuple[list[Difference], bool]:
    """The first differences, and whether there are more."""
    inline = Inline()
    found = [_shown(each, inline) for each in islice(walk.differences(before, after), MOST + 1)]
    return found[:MOST], len(found) > MOST


def _shown(found: walk.Difference, inline: Inline) -> Difference:
    path, values = visible(_path(found.place)), (found.before, found.after)
    if found.kind == "changed" and all(isinstance(value, str) and len(value) >= LONG for value in values):
        return Difference(path, found.kind, "", "", inline.pieces(*values))
    before = "" if found.kind == "added" else _text(found.before)
    after = "" if found.kind == "removed" else _text(found.after)
    return Difference(path, found.kind, before, after, [])


def _path(place: walk.Place) -> str:
    path = ""
    for part in place:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{part}" if path else part
    return path


def _text(value: Any) -> str:
    # In quotes, which tell "1" from 1; but a text of several lines is there to be read.
    is_text = isinstance(value, str) and "\n" in value
    text = value if is_text else json.dumps(value, ensure_ascii=False, indent=2)
    return visible(text[:LENGTH]) + ("…" if len(text) > LENGTH else "")
