"""States taken apart: a short outline with gaps, and the items that fill them.

An item is the text of a value, or of an object's entry. What is short stays in the outline, so that a counter that
changes with every state costs its own few bytes. What is long becomes items: of a list one an element, of an object
with many entries one an entry, and a long string is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .. import codec
from ..exceptions import InvalidRecord

#: Longest value that stays in the outline; in characters, as all lengths here but the limits.
SHORT = 512
#: Longest state that is kept whole.
WHOLE = 2048
#: Element from which on what is in it is taken apart too; unless one string is most of it, as in a tool's result.
_LARGE = 8 * 1024
#: Element that is taken apart whatever is in it.
_HUGE = 1024 * 1024
#: Entries up to which an object is a record, of which each entry goes its own way, and no collection.
_RECORD = 16
#: So deep in a state elements are looked at before they are encoded: each may be in one that was encoded before.
_DEEP = 4


class Outline(NamedTuple):
    """A state's text: texts and gaps in turns, a text first and last.

    Attributes:
        gaps: of each its items, which are joined with commas.
        size: how many characters the whole text has.
    """

    texts: list[str]
    gaps: list[list[str]]
    size: int


def outline(state: dict[str, Any], field: str = "state") -> Outline:
    """Take a state apart; one that is kept whole is a single text.

    Raises:
        InvalidRecord: an item, or all of it, is longer than what is kept.
    """
    if not _longer(state, WHOLE) and len(text := codec.encode(state)) <= WHOLE:
        return Outline([text], [], len(text))
    writer = _Writer()
    writer.value(state, 0)
    texts = ["".join(parts) for parts in writer.texts]
    size = sum(map(len, texts))
    byte_size = sum(map(codec.bytes_of, texts))
    for items in writer.gaps:
        size += sum(map(len, items)) + len(items) - 1
        lengths = list(map(codec.bytes_of, items))
        byte_size += sum(lengths) + len(items) - 1
        if max(lengths) > codec.MAX_JSON_BYTES:
            raise InvalidRecord(
                field,
                f"has a part of {max(lengths):,} bytes of JSON; at most {codec.MAX_JSON_BYTES:,} are kept of each",
            )
    if byte_size > codec.MAX_STATE_BYTES:
        raise InvalidRecord(field, f"is {byte_size:,} bytes of JSON; at most {codec.MAX_STATE_BYTES:,} are kept")
    return Outline(texts, writer.gaps, size)


class _Writer:
    def __init__(self) -> None:
        self.texts: list[list[str]] = [[]]
        self.gaps: list[list[str]] = []

    def value(self, value: Any, depth: int) -> None:
        if isinstance(value, list):
            self._all("[]", (("", item) for item in value), _element, depth + 1)
        elif isinstance(value, dict):
            entries = ((f"{codec.encode(key)}:", item) for key, item in value.items())
            self._all("{}", entries, _element if len(value) > _RECORD else _short, depth + 1)
        else:
            self._run([codec.encode(value)])

    def _all(
        self,
        brackets: str,
        values: Iterable[tuple[str, Any]],
        text_of: Callable[[Any, int], str | None],
        depth: int,
    ) -> None:
        """The elements of a list or the entries of an object, each a name and a value.

        Args:
            text_of: gives the text of a value that is not taken apart.
        """
        run: list[str] = []
        comma = ""
        self._text(brackets[0])
        for name, value in values:
            if (text := text_of(value, depth)) is not None:
                run.append(name + text)
                continue
            comma = self._flush(run, comma)
            self._text(comma + name)
            self.value(value, depth)
            comma = ","
        self._flush(run, comma)
        self._text(brackets[1])

    def _flush(self, run: list[str], comma: str) -> str:
        """Write the items that have come together after a comma or none; returns what the next come after."""
        if not run:
            return comma
        self._text(comma)
        self._run(run.copy())
        run.clear()
        return ","

    def _run(self, items: list[str]) -> None:
        if sum(map(len, items)) > SHORT:
            self.gaps.append(items)
            self.texts.append([])
        else:
            self._text(",".join(items))

    def _text(self, text: str) -> None:
        self.texts[-1].append(text)


def _element(value: Any, depth: int) -> str | None:
    """The text of an element of a list or a collection, unless it is so large that its parts are items."""
    if depth > _DEEP and _longer(value, _LARGE):
        return None
    text = codec.encode(value)
    return text if len(text) <= _LARGE or not _divides(value, len(text)) else None


def _short(value: Any, depth: int) -> str | None:
    """The text of a record's entry, if it stays in the outline."""
    if _longer(value, SHORT):
        return None
    text = codec.encode(value)
    return text if len(text) <= SHORT else None


def _longer(value: Any, length: int) -> bool:
    """Whether a value's text surely is longer; it takes no longer to say so the larger the value is."""
    left = length
    waiting = [value]
    while waiting and left >= 0:
        found = waiting.pop()
        if isinstance(found, str):
            left -= len(found) + 2
        elif isinstance(found, dict):
            left -= 5 * len(found)
            if left >= 0:
                left -= sum(map(len, found))
                waiting.extend(found.values())
        elif isinstance(found, list):
            left -= len(found)
            if left >= 0:
                waiting.extend(found)
    return left < 0


def _divides(value: Any, length: int) -> bool:
    """Whether an element gets smaller items by being taken apart."""
    if not isinstance(value, dict | list):
        return False
    if length > _HUGE:
        return True
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            if 2 * len(found) >= length:
                return False
        elif isinstance(found, dict):
            waiting.extend(found.values())
        elif isinstance(found, list):
            waiting.extend(found)
    return True
