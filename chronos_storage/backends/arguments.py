"""The arguments of a storage's methods, checked alike on every backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import Enum, auto
from typing import Any, Final, Literal, TypeVar

from .. import codec
from ..exceptions import InvalidRecord
from ..ids import new_id
from ..records import KINDS, Record

R = TypeVar("R", bound=Record)

_KINDS = frozenset(KINDS.values())


class Unset(Enum):
    UNSET = auto()


#: What stands for an argument that was not given, where None says something.
UNSET: Final = Unset.UNSET
UnsetType = Literal[Unset.UNSET]


def named(**given: Any) -> dict[str, Any]:
    """The arguments that were given."""
    return {name: value for name, value in given.items() if value is not UNSET}


def identified(record: R) -> R:
    """The record, or where it has no id a copy with a fresh one: what is written again then finds what was written."""
    given: Any = record
    if not isinstance(given.id, str) or str.__len__(given.id):  # whatever a subclass says of itself
        return record
    fresh: R = replace(given, id=new_id())
    return fresh


def several(kind: type[R], values: Any, argument: str) -> list[R]:
    """An argument that must be records of one kind."""
    if not isinstance(values, Iterable):
        raise InvalidRecord(argument, f"must be {kind.__name__} records, not {type(values).__name__}")
    return [kind.of(value, f"{argument}[{position}]") for position, value in enumerate(values)]


def of_any_kind(values: Any) -> Iterator[Record]:
    """An argument that must be records, of any kinds."""
    if not isinstance(values, Iterable):
        raise InvalidRecord("records", f"must be records, not {type(values).__name__}")
    return map(_of_its_kind, values)


def _of_its_kind(value: Any) -> Record:
    kind = type(value) if type(value) in _KINDS else next((each for each in _KINDS if isinstance(value, each)), None)
    if kind is None:
        raise InvalidRecord("records", f"must be records, not {type(value).__name__}")
    return kind.of(value, "records")


def required(**given: str) -> dict[str, str]:
    """Strings that must be given, checked."""
    return {name: codec.string(value, name) for name, value in given.items()}


def filters(**given: str | None) -> dict[str, str]:
    """The equalities of a list's filters that were given, checked."""
    return {name: codec.string(value, name) for name, value in given.items() if value is not None}


def choice(value: Any, field: str, choices: dict[str, Any]) -> Any:
    """What an argument that names one of several things stands for."""
    name = codec.string(value, field)
    if name not in choices:
        raise InvalidRecord(field, f"must be one of {', '.join(map(repr, choices))}, not {name!r}")
    return choices[name]


def span(limit: int | None, offset: int = 0) -> slice:
    """The part of a list that a limit and an offset ask for."""
    offset = codec.integer(offset, "offset")
    if limit is None:
        return slice(offset, None)
    return slice(offset, min(offset + codec.integer(limit, "limit"), codec.MAX_INTEGER))
