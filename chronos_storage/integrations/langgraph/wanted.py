"""LangGraph's filters and conditions on namespaces, as the storage's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from langgraph.store.base import MatchCondition

from ... import codec, filters
from ...exceptions import InvalidRecord
from ...filters import And, Equals, Node, Not


def tree_of(filter: Mapping[str, Any] | None) -> And:  # noqa: A002  (LangGraph's name)
    """A filter of values: a field, whose name may have periods, equals what it is given, or compares as that says.

    Raises:
        InvalidRecord: an operator that there is not.
    """
    plain = codec.storable({**(filter or {})}).value  # what is stored was changed in the same way
    return And(tuple(node for name, value in plain.items() for node in _nodes((name,), value)))


def _nodes(path: tuple[str, ...], value: Any) -> Iterable[Node]:
    if not isinstance(value, Mapping):
        yield Equals(path, codec.json_value(value, "filter"))
    elif any(name.startswith("$") for name in value):
        # The grammar's own names of paths have no periods in them; the path is put in its place here.
        yield from (_moved(node, path) for node in filters.parse({"x": value}).parts)
    else:
        for name, each in value.items():
            yield from _nodes((*path, name), each)


def _moved(node: Any, path: tuple[str, ...]) -> Node:
    match node:
        case And():
            return And(tuple(_moved(part, path) for part in node.parts))
        case Not():
            return Not(_moved(node.part, path))
    moved: Node = replace(node, path=path)
    return moved


def fits(conditions: Iterable[MatchCondition], namespace: Sequence[str]) -> bool:
    """Whether a namespace begins, or ends, as all conditions say.

    Raises:
        InvalidRecord: a condition that there is not.
    """
    return all(_fits(condition, namespace) for condition in conditions)


def common_prefix(conditions: Iterable[MatchCondition]) -> list[str]:
    """The labels with which every namespace begins that fits the conditions: the most that one of them says."""
    beginnings = [
        list(takewhile(lambda label: label != "*", condition.path))
        for condition in conditions
        if condition.match_type == "prefix"
    ]
    return max(beginnings, key=len, default=[])


def _fits(condition: MatchCondition, namespace: Sequence[str]) -> bool:
    if condition.match_type not in ("prefix", "suffix"):
        raise InvalidRecord("match_conditions", f"has {condition.match_type!r}; there are 'prefix' and 'suffix'")
    count = len(condition.path)
    labels = namespace[:count] if condition.match_type == "prefix" else namespace[max(len(namespace) - count, 0) :]
    return len(labels) == count and all(
        wanted in ("*", label) for wanted, label in zip(condition.path, labels, strict=True)
    )
