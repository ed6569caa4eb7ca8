"""A query's conditions, asked of records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import codec
from ..base import Condition


def fulfils(conditions: list[Condition]) -> Callable[[Any], bool]:
    """Whether a record fulfils all of these conditions, none of which is on its session."""
    tests = [(field, _TESTS[operator](value)) for field, operator, value in conditions]
    return lambda record: all(test(getattr(record, field)) for field, test in tests)


def _has(wanted: tuple[tuple[str, ...], Any]) -> Callable[[Any], bool]:
    path, value = wanted
    text = codec.canonical(value)

    def test(found: Any) -> bool:
        for key in path:
            if not isinstance(found, dict) or key not in found:
                return False
            found = found[key]
        return not isinstance(found, dict | list) and codec.canonical(found) == text

    return test


def _text(wanted: str) -> Callable[[Any], bool]:
    part = codec.dumps(wanted)[1:-1]
    return lambda found: wanted in found if isinstance(found, str) else part in codec.dumps(found)


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
    "has": _has,
    "text": _text,
    "matches": lambda tree: tree.matches,
}
