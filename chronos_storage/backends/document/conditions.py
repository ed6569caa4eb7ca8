"""A query's conditions, asked of records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..base import Condition
from .indexes import value_of


def fulfils(conditions: list[Condition]) -> Callable[[Any], bool]:
    """Whether a record fulfils all of these conditions, none of which is on its session."""
    tests = [(field, _TESTS[operator](value)) for field, operator, value in conditions]
    return lambda record: all(test(value_of(record, field)) for field, test in tests)


#: By operator: what makes a test of a condition's value.
_TESTS: dict[str, Callable[[Any], Callable[[Any], bool]]] = {
    "=": lambda value: lambda found: found == value,
    "in": lambda values: frozenset(values).__contains__,
    "<": lambda value: lambda found: found < value,
    "<=": lambda value: lambda found: found <= value,
    ">": lambda value: lambda found: found > value,
    ">=": lambda value: lambda found: found >= value,
    "prefix": lambda value: lambda found: found.startswith(value),
    "unless past": lambda value: lambda found: found is None or found > value,
    "matches": lambda tree: tree.matches,
}
