"""The filter grammar: which embeddings or checkpoints are meant, by their metadata.

::

    {"field": value}                              equal, as is {"field": {"$eq": value}}
    {"field": {"$gt": 3, "$lte": 7}}              also $gte and $lt: numbers with numbers, strings with strings
    {"field": {"$in": [value, …]}}                also $nin
    {"field": {"$ne": value}}, {"field": {"$exists": true}}
    {"field": {"$contains": value}}               the field is a list, and one of its items is this value
    {"field": {"$contains_any": [value, …]}}      … is one of these; $contains_all: each of these is among its items
    {"field": {"$prefix": "text"}}                the field is a string that begins so
    {"outer.inner": value}                        a field of an object inside the metadata
    {"$and": [filter, …]}, {"$or": [filter, …]}, {"$not": filter}

Several fields, or operators of one field, must all match. Types never cross: a boolean is not a number, "1" is not 1,
and 1 is 1.0. Strings are ordered by code point. A field that isn't there matches only ``$ne``, ``$nin``,
``$exists: false`` and ``$not``; null is a value like any other. Dots lead into objects, never into lists.

A filter has at most 1,000 conditions, of which a list of values is one, however long; as JSON it is at most 4 MiB.

`parse` makes a small tree of it. Each node tells in Python what it matches, which is the reference for every store
that compiles the tree to a language of its own.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from . import codec
from .exceptions import InvalidRecord

_MISSING = object()
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}
_OPERATORS = (
    *("$eq", "$ne", *_ORDER, "$in", "$nin", "$exists"),
    *("$contains", "$contains_any", "$contains_all", "$prefix"),
)
#: Whole numbers that every float of this size is.
_EXACT = 2**53


class Node(Protocol):
    """A part of a filter."""

    def matches(self, metadata: dict[str, Any]) -> bool:
        """Whether a record with this metadata counts."""


@dataclass(frozen=True, slots=True)
class And:
    """All parts match; true without any."""

    parts: tuple[Node, ...]

    def matches(self, metadata: dict[str, Any]) -> bool:
        return all(part.matches(metadata) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Some part matches; false without any."""

    parts: tuple[Node, ...]

    def matches(self, metadata: dict[str, Any]) -> bool:
        return any(part.matches(metadata) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not match."""

    part: Node

    def matches(self, metadata: dict[str, Any]) -> bool:
        return not self.part.matches(metadata)


@dataclass(frozen=True, slots=True)
class Equals:
    """The field is there and has this value."""

    path: tuple[str, ...]
    value: Any

    def matches(self, metadata: dict[str, Any]) -> bool:
        return _same(_find(metadata, self.path), self.value)


@dataclass(frozen=True, slots=True)
class In:
    """The field is there and has one of these values.

    Attributes:
        values: the canonical JSON of each, whole floats as integers, so that equal values have equal texts.
    """

    path: tuple[str, ...]
    values: frozenset[str]

    def matches(self, metadata: dict[str, Any]) -> bool:
        found = _find(metadata, self.path)
        return found is not _MISSING and same_text(found) in self.values


@dataclass(frozen=True, slots=True)
class Compares:
    """The field is a number, or a string, as the value is, and stands so to it.

    Attributes:
        operator: ``$gt``, ``$gte``, ``$lt`` or ``$lte``.
    """

    path: tuple[str, ...]
    operator: str
    value: str | int | float

    def matches(self, metadata: dict[str, Any]) -> bool:
        found = _find(metadata, self.path)
        comparable = isinstance(found, str) if isinstance(self.value, str) else _is_number(found)
        return comparable and _ORDER[self.operator](found, self.value)


@dataclass(frozen=True, slots=True)
class Contains:
    """The field is a list that has all of these values among its items, or any of them.

    Attributes:
        values: as those of `In`.
    """

    path: tuple[str, ...]
    values: frozenset[str]
    every: bool

    def matches(self, metadata: dict[str, Any]) -> bool:
        found = _find(metadata, self.path)
        if not isinstance(found, list):
            return False
        items = {same_text(item) for item in found}
        return self.values <= items if self.every else not self.values.isdisjoint(items)


@dataclass(frozen=True, slots=True)
class Prefix:
    """The field is a string that begins with this one."""

    path: tuple[str, ...]
    value: str

    def matches(self, metadata: dict[str, Any]) -> bool:
        found = _find(metadata, self.path)
        return isinstance(found, str) and found.startswith(self.value)


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there."""

    path: tuple[str, ...]

    def matches(self, metadata: dict[str, Any]) -> bool:
        return _find(metadata, self.path) is not _MISSING


def parse(filter: Any, argument: str = "filter") -> And:  # noqa: A002  (the field's own word)
    """The tree of a filter, given as the argument of that name; None is one that matches everything.

    Raises:
        InvalidRecord: naming the part that is not in the grammar.
    """
    if filter is None:
        return And(())
    given = codec.json_object(filter, argument)
    codec.dumps(given, argument)
    tree = _filter(given, argument)
    if (conditions := _count(tree)) > codec.MAX_CONDITIONS:
        raise InvalidRecord(argument, f"has {conditions:,} conditions; at most {codec.MAX_CONDITIONS:,} are taken")
    return tree


def path_of(field: str, argument: str) -> tuple[str, ...]:
    """The names that lead to a field, given as the argument of that name.

    Raises:
        InvalidRecord: it is deeper than metadata can be.
    """
    path = tuple(field.split("."))
    if len(path) > codec.MAX_DEPTH:
        problem = f"has a path of {len(path):,} names; metadata are nested at most {codec.MAX_DEPTH} deep"
        raise InvalidRecord(argument, problem)
    return path


def value_text(metadata: dict[str, Any], path: tuple[str, ...]) -> str:
    """The text that two fields share exactly when their values are equal, as `In` keeps it; the field must be there."""
    return same_text(_find(metadata, path))


def same_text(value: Any) -> str:
    """The text that two JSON values share exactly when a filter takes them for equal."""
    return codec.canonical(_exact(value))


def _count(node: Node) -> int:
    match node:
        case And() | Or():
            return sum(map(_count, node.parts))
        case Not():
            return _count(node.part)
    return 1


def _filter(given: Any, where: str) -> And:
    if not isinstance(given, dict):
        raise InvalidRecord(where, f"must be an object, not {type(given).__name__}")
    return And(tuple(_clause(key, value, f"{where}.{key}") for key, value in given.items()))


def _clause(key: str, value: Any, where: str) -> Node:
    match key:
        case "$and":
            return And(_filters(value, where))
        case "$or":
            return Or(_filters(value, where))
        case "$not":
            return Not(_filter(value, where))
    if key.startswith("$"):
        raise InvalidRecord(where, "is no operator; a filter has $and, $or and $not")
    path = path_of(key, where.partition(".")[0])
    if isinstance(value, dict) and any(name.startswith("$") for name in value):
        return And(tuple(_operation(path, name, operand, f"{where}.{name}") for name, operand in value.items()))
    return Equals(path, _exact(value))


def _filters(given: Any, where: str) -> tuple[Node, ...]:
    if not isinstance(given, list) or not given:
        raise InvalidRecord(where, "must be a list of at least one filter")
    return tuple(_filter(part, f"{where}[{position}]") for position, part in enumerate(given))


def _operation(path: tuple[str, ...], name: str, operand: Any, where: str) -> Node:
    match name:
        case "$eq":
            return Equals(path, _exact(operand))
        case "$ne":
            return Not(Equals(path, _exact(operand)))
        case "$in":
            return In(path, _values(operand, where))
        case "$nin":
            return Not(In(path, _values(operand, where)))
        case "$contains":
            return Contains(path, _values([operand], where), every=True)
        case "$contains_any" | "$contains_all":
            return Contains(path, _values(operand, where), every=name == "$contains_all")
        case "$prefix":
            if not isinstance(operand, str):
                raise InvalidRecord(where, f"must be a string, not {type(operand).__name__}")
            return Prefix(path, operand)
        case "$exists":
            if not isinstance(operand, bool):
                raise InvalidRecord(where, f"must be true or false, not {type(operand).__name__}")
            return Exists(path) if operand else Not(Exists(path))
    if name not in _ORDER:
        raise InvalidRecord(where, f"is no operator; a field has {', '.join(_OPERATORS)}")
    if not isinstance(operand, str) and not _is_number(operand):
        raise InvalidRecord(where, f"must be a number or a string, not {type(operand).__name__}")
    return Compares(path, name, _exact(operand))


def _values(operand: Any, where: str) -> frozenset[str]:
    if not isinstance(operand, list):
        raise InvalidRecord(where, f"must be a list, not {type(operand).__name__}")
    return frozenset(map(same_text, operand))


def _exact(value: Any) -> Any:
    """The value with whole floats as integers, so that their decimal digits say exactly which number they are."""
    if isinstance(value, float) and (value.is_integer() or abs(value) >= _EXACT):
        return int(value)
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    return value


def _find(metadata: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(metadata, dict) or key not in metadata:
            return _MISSING
        metadata = metadata[key]
    return metadata


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(found: Any, value: Any) -> bool:
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(value, dict):
        return (
            isinstance(found, dict)
            and found.keys() == value.keys()
            and all(_same(found[key], item) for key, item in value.items())
        )
    if isinstance(value, list):
        return isinstance(found, list) and len(found) == len(value) and all(map(_same, found, value))
    return bool(found == value)
