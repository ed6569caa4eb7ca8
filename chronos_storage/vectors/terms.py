"""Terms: what an engine's index is asked for in place of a filter or of words.

Every embedding is kept with a list of short strings that stand for its metadata's values and its content's words, so
that an engine needs one index only, of a list of keywords, whatever it makes of numbers, nulls and odd names. A
condition on them is true of all that a filter matches, and of as little else as terms tell; then the filter is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias

from .. import filters
from ..filters import And, Compares, Contains, Equals, Exists, In, Node, Not, Or, Prefix

#: More terms of metadata, or of words, than this are not kept: such an embedding is looked at by every search.
_MOST = 1_000
_UNTOLD_METADATA, _UNTOLD_WORDS = "metadata", "words"
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Has:
    """Some of the terms is there; false without any."""

    terms: frozenset[str]


@dataclass(frozen=True, slots=True)
class Every:
    """All parts are true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Some part is true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Without:
    """The part is not true."""

    part: Condition


Condition: TypeAlias = Has | Every | Some | Without
#: A condition, None where it is true of everything, and whether it is true of nothing else than what is meant.
_Narrowed: TypeAlias = tuple[Condition | None, bool]

NOTHING = Has(frozenset())


def words(text: str) -> list[str]:
    """The words of a text, in their order."""
    return [word.casefold() for word in _WORD.findall(text)]


def terms_of(content: str, metadata: dict[str, Any]) -> list[str]:
    """The terms that an embedding is kept with."""
    told: dict[str, None] = {}
    for term in _metadata_terms(metadata, ()):
        told[term] = None
        if len(told) > _MOST:
            told = {_UNTOLD_METADATA: None}
            break
    several = set(words(content))
    spoken = [_UNTOLD_WORDS] if len(several) > _MOST else [_term("word", word) for word in sorted(several)]
    return [*told, *spoken]


def with_any_word(wanted: list[str]) -> Condition:
    """True of what may have some of these words."""
    if len(wanted) > _MOST:
        return Without(NOTHING)
    return Has(frozenset([_UNTOLD_WORDS, *(_term("word", word) for word in wanted)]))


def may_match(tree: And) -> Condition | None:
    """True of all that a filter matches; None where terms tell nothing."""
    condition, _ = _narrowed(tree)
    return None if condition is None else Some((Has(frozenset([_UNTOLD_METADATA])), condition))


def both(first: Condition | None, second: Condition | None) -> Condition | None:
    """The condition that both are true."""
    if first is None or second is None:
        return first or second
    return Every((first, second))


def _metadata_terms(value: Any, path: tuple[str, ...]) -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                yield _term("there", *path, key)
                yield from _metadata_terms(item, (*path, key))
        case list():
            yield from (_value_term("item", item, path) for item in value if not isinstance(item, dict | list))
        case _:
            yield _value_term("value", value, path)


def _value_term(kind: str, value: Any, path: tuple[str, ...]) -> str:
    return _term(kind, filters.same_text(value), *path)


def _term(kind: str, *parts: str) -> str:
    return blake2b(json.dumps([kind, *parts]).encode(), digest_size=12).hexdigest()


def _narrowed(node: Node) -> _Narrowed:
    match node:
        case And():
            found = [_narrowed(part) for part in node.parts]
            parts = tuple(condition for condition, _ in found if condition is not None)
            return Every(parts) if parts else None, all(exact for _, exact in found)
        case Or():
            found = [_narrowed(part) for part in node.parts]
            parts = tuple(condition for condition, _ in found if condition is not None)
            return Some(parts) if len(parts) == len(found) else None, all(exact for _, exact in found)
        case Not():
            condition, exact = _narrowed(node.part)
            if not exact:
                return None, False
            return NOTHING if condition is None else Without(condition), True
        case Equals():
            return _one_of("value", [filters.same_text(node.value)], node.path)
        case In():
            return _one_of("value", node.values, node.path)
        case Contains():
            if not node.every:
                return _one_of("item", node.values, node.path)
            found = [_one_of("item", [value], node.path) for value in sorted(node.values)[:_MOST]]
            # A field without an item to look for must still be a list.
            exact = 0 < len(node.values) <= _MOST and all(exact for _, exact in found)
            return Every((_there(node.path), *(part for part, _ in found if part))), exact
        case Exists():
            return _there(node.path), True
        case Compares() | Prefix():
            return _there(node.path), False
    raise TypeError(f"{node!r} is no part of a filter")


def _one_of(kind: str, values: Any, path: tuple[str, ...]) -> _Narrowed:
    """The field has one of these values, or an item: told by their texts, where these are of scalars and not many."""
    if len(values) > _MOST or any(text[0] in "[{" for text in values):
        return _there(path), False
    return Has(frozenset(_term(kind, text, *path) for text in values)), True


def _there(path: tuple[str, ...]) -> Condition:
    return Has(frozenset([_term("there", *path)]))
