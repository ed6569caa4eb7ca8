"""Any value made storable: what the stores accept is kept as it is, what they refuse becomes what is nearest to it."""

from __future__ import annotations

import math
import re
from collections.abc import Set as AnySet
from typing import Any, NamedTuple

from .foreign import plainer
from .limits import MAX_DEPTH, MAX_INDEXED, MAX_INTEGER, MAX_JSON_BYTES, MIN_INTEGER
from .scalars import UNSTORABLE
from .shortening import fitted, shortened
from .texts import canonical, encode
from .values import is_filterable

#: So many changes are told of one by one.
MAX_CHANGES = 100
#: A character that stands in a string as its two halves, as UTF-16 has it.
_HALVES = re.compile("[\ud800-\udbff][\udc00-\udfff]")
#: The largest whole number that every process writes in decimal digits, whatever its limit.
_MAX_DECIMAL = 10**640
#: A path is the step to a value, after the path of what it is in; the root's is None.
Path = tuple[Any, str] | None


class Storable(NamedTuple):
    """A value that every store accepts, and what was changed to make it so.

    Attributes:
        value: the value in plain dicts, lists, strings, numbers, booleans and None.
        changes: what was changed: the reason by the path, such as ``{"parts[2].text": "…"}``; the path of the value
            itself is the empty string. Empty where the value is as it was. Itself storable: at most a hundred are told.
    """

    value: Any
    changes: dict[str, str]


def storable(value: Any, *, filterable: bool = False, limit: int = MAX_JSON_BYTES) -> Storable:
    """`value`, whatever it is, made such that every store accepts it, the same for each; see `Storable`.

    What a store accepts is kept exactly. In what it refuses

    * NUL characters and lone surrogates become U+FFFD, two halves of a character that character,
    * NaN and infinities ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``, whole numbers beyond 64 bits their digits as
      text (from 640 on in hexadecimal),
    * tuples and other sequences lists, sets lists in the order of their items' JSON, mappings dicts, keys that are no
      strings their JSON text (one that is taken already gets a number behind it),
    * bytes a ``data:`` URL in base64, dates and times ISO 8601, decimals and fractions their text, enums their values,
    * dataclasses and Pydantic's models dicts of their fields, NumPy's arrays and scalars lists and numbers, any other
      object its text,
    * what is nested deeper than 100 its JSON text, and what holds itself ``"[cycle]"``,
    * what is larger than a store keeps is shortened: the longest texts first, and where that isn't enough, lists and
      objects at their ends. A dict stays a dict, a list a list, a string a string.

    The value given is not changed.

    Args:
        filterable: make it fit metadata, attributes and resource: floats that come back different there become text.
        limit: how many bytes of JSON it may have, 1,000 at least; three fields of one record hold 7 MiB together.
    """
    return _Mending(filterable, limit).mended(value)


class _Mending:
    """One value on its way: what was changed so far, what is open above the place, and how much more is looked at."""

    def __init__(self, filterable: bool, limit: int) -> None:
        self._filterable = filterable
        self._limit = limit
        # What fits has half as many items; but one thing may stand in a list a million times.
        self._room = 16 * limit
        self._changes: dict[str, str] = {}
        self._untold = 0
        self._open: set[int] = set()
        self._is_text = False

    def mended(self, value: Any) -> Storable:
        whole = self._walk(value, None, 0)
        whole = fitted(whole, None, self._limit, self._note)
        if self._untold:
            self._changes["…"] = f"{self._untold:,} changes more"
        return Storable(whole, self._changes)

    def _walk(self, value: Any, path: Path, depth: int) -> Any:
        if value is None or type(value) is bool:
            return value
        try:  # a proxy that stands for nothing can't even be asked for its class
            if isinstance(value, str):
                return self._string(str.__str__(value), path)
            if isinstance(value, int | float):
                return self._number(value, path)
            return self._composed(value, path, depth)
        except Exception as error:
            self._note(path, f"{_name(value)} can't be read: {_name(error)}")
            return self._string(f"<{_name(value)}>", path)

    def _string(self, text: str, path: Path) -> str:
        if not text.isascii() or "\x00" in text:
            mended = UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", _HALVES.sub(_joined, text))
            if mended != text:
                self._note(path, "NUL characters or lone surrogates replaced")
            text = mended
        if len(text) > self._limit:  # which then doesn't use up what there is for its neighbours
            text = shortened(text, path, self._limit, self._note)
        self._room -= len(text)
        return text

    def _number(self, value: int | float, path: Path) -> int | float | str:
        if isinstance(value, float):
            number = float.__float__(value)
            if not math.isfinite(number):
                self._note(path, "not a finite number: kept as text")
                return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"
            if self._filterable and not is_filterable(number):
                self._note(path, "a number that filterable fields give back as another: kept as text")
                return repr(number)
            return number
        whole = int.__int__(value)
        if MIN_INTEGER <= whole <= MAX_INTEGER:
            return whole
        self._note(path, "a whole number outside −2⁶³…2⁶³−1: kept as text")
        return self._string(str(whole) if -_MAX_DECIMAL < whole < _MAX_DECIMAL else hex(whole), path)

    def _composed(self, value: Any, path: Path, depth: int) -> Any:
        if id(value) in self._open:
            self._note(path, "holds itself")
            return "[cycle]"
        self._open.add(id(value))
        try:
            if isinstance(value, dict | list | AnySet):
                if depth == MAX_DEPTH:
                    return self._too_deep(value, path)
                if isinstance(value, dict):
                    return self._object(value, path, depth + 1)
                items = self._list(value, path, depth + 1)
                if isinstance(value, list):
                    return items
                self._note(path, f"{_name(value)} kept as list")
                return sorted(items, key=canonical)
            plain = self._walk(plainer(value, self._limit), path, depth)
        finally:
            self._open.discard(id(value))
        self._note(path, f"{_name(value)} kept as {_KINDS.get(type(plain), 'number')}")
        return plain

    def _too_deep(self, value: Any, path: Path) -> str:
        if self._is_text:
            self._note(path, "nested too deep even for text: left out")
            return "[too deep]"
        self._note(path, f"nested more than {MAX_DEPTH} deep: kept as text")
        self._is_text = True
        self._open.discard(id(value))
        text = encode(self._walk(value, path, 0))
        self._is_text = False
        return self._string(text, path)

    def _list(self, value: Any, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        for place, item in enumerate(value):
            if self._is_enough(path):
                break
            if self._is_plain(item):
                items.append(item)
            else:
                items.append(self._walk(item, (path, f"[{place}]" if isinstance(value, list) else "[]"), depth))
        return items

    def _object(self, value: dict[Any, Any], path: Path, depth: int) -> dict[str, Any]:
        given = [(self._key(key), key, item) for key, item in value.items()]
        exact = {name for name, key, _ in given if _is_same(key, name)}
        again: dict[str, int] = {}
        mended: dict[str, Any] = {}
        for name, key, item in given:
            if self._is_enough(path):
                break
            same = _is_same(key, name)
            if name in mended or (name in exact and not same):
                free = name
                while free in mended or free in exact:
                    again[name] = again.get(name, 1) + 1
                    free = f"{name} ({again[name]})"
                name, same = free, False
            if not same:
                self._note((path, f".{name}"), "its key can't be kept as it was")
            mended[name] = item if self._is_plain(item) else self._walk(item, (path, f".{name}"), depth)
        return mended

    def _is_plain(self, item: Any) -> bool:
        """Whether it stays as it is for sure, as most items do: a call for each costs more than all else here."""
        kind = type(item)
        self._room -= 8
        if kind is str and len(item) <= MAX_INDEXED and item.isascii() and "\x00" not in item:
            self._room -= len(item)
            return True
        return kind is bool or item is None or (kind is int and MIN_INTEGER <= item <= MAX_INTEGER)

    def _key(self, key: Any) -> str:
        if type(key) is str and key.isascii() and "\x00" not in key and len(key) <= MAX_INDEXED:
            self._room -= len(key)
            return key
        mended = _Mending(self._filterable, self._limit).mended(key).value
        name = mended if isinstance(mended, str) else encode(mended)
        self._room -= len(name)
        return name

    def _is_enough(self, path: Path) -> bool:
        """Whether so much was seen that what is left can't matter: it would not fit."""
        if self._room > 0:
            return False
        self._note(path, "its last items left out: more than is kept")
        return True

    def _note(self, path: Path, reason: str) -> None:
        where = _written(path)
        told = self._changes.get(where, "")
        if reason in told:
            return
        if len(told) > MAX_INDEXED or (not told and len(self._changes) == MAX_CHANGES):
            self._untold += 1
        else:
            self._changes[where] = f"{told}; {reason}" if told else reason


_KINDS = {dict: "dict", list: "list", str: "text", type(None): "null"}


def _is_same(key: Any, name: str) -> bool:
    return isinstance(key, str) and str.__str__(key) == name


def _joined(halves: re.Match[str]) -> str:
    return halves[0].encode("utf-16", "surrogatepass").decode("utf-16")


def _name(value: Any) -> str:
    return UNSTORABLE.sub("", type(value).__name__)[:100]


def _written(path: Path) -> str:
    """The path as `InvalidRecord` writes it, of which very long ones keep their beginning."""
    steps = []
    while path:
        path, step = path
        steps.append(step[:100])
    return "".join(reversed(steps))[:MAX_INDEXED].removeprefix(".")
