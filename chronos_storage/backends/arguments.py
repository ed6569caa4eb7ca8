"""The arguments of a storage's methods, checked alike on every backend."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final, Literal

from .. import codec
from ..exceptions import InvalidRecord


class Unset(Enum):
    UNSET = auto()


#: What stands for an argument that was not given, where None says something.
UNSET: Final = Unset.UNSET
UnsetType = Literal[Unset.UNSET]


def named(**given: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in given.items() if value is not UNSET}


def filters(**given: str | None) -> dict[str, str]:
    """The equalities of a list's filters that were given, checked."""
    return {name: codec.string(value, name) for name, value in given.items() if value is not None}


def choice(value: Any, field: str, choices: dict[str, Any]) -> Any:
    """What an argument that names one of several things stands for."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidRecord(field, f"must be one of {', '.join(map(repr, choices))}, not {value!r}")
    return choices[value]


def span(limit: int | None, offset: int = 0) -> slice:
    """The part of a list that a limit and an offset ask for."""
    offset = codec.integer(offset, "offset")
    return slice(offset, None if limit is None else offset + codec.integer(limit, "limit"))
