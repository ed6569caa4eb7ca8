"""JSON as RFC 8259 has it, checked and made plain; what is refused is an `InvalidRecord` that names the field."""

from __future__ import annotations

import math
from typing import Any

from ..exceptions import InvalidRecord
from .limits import MAX_DEPTH, MAX_INTEGER, MIN_INTEGER
from .scalars import refuse_unstorable

_CONSTANTS = frozenset({bool, type(None)})


def json_value(value: Any, field: str) -> Any:
    """A copy of `value` in plain dicts, lists, strings, numbers, booleans and None: what RFC 8259 can say."""
    return _copy(value, field, 0)


def json_object(value: Any, field: str) -> dict[str, Any]:
    """Like `json_value`, for a field that must be an object."""
    if not isinstance(value, dict):
        raise InvalidRecord(field, f"must be a dict, not {type(value).__name__}")
    copied: dict[str, Any] = json_value(value, field)
    return copied


def json_list(value: Any, field: str) -> list[Any]:
    """Like `json_value`, for a field that must be a list."""
    if not isinstance(value, list):
        raise InvalidRecord(field, f"must be a list, not {type(value).__name__}")
    copied: list[Any] = json_value(value, field)
    return copied


def json_list_or_none(value: Any, field: str) -> list[Any] | None:
    """Like `json_list`, for a field that may be None."""
    if value is None:
        return None
    if not isinstance(value, list):
        raise InvalidRecord(field, f"must be a list or None, not {type(value).__name__}")
    return json_list(value, field)


def filterable_object(value: Any, field: str) -> dict[str, Any]:
    """Like `json_object`, without the numbers that PostgreSQL's ``jsonb`` gives back as other numbers."""
    copy = json_object(value, field)
    refuse_unfilterable(copy, field)
    return copy


def _copy(value: Any, field: str, depth: int) -> Any:
    kind = type(value)
    if kind is dict and depth < MAX_DEPTH:
        return _copy_object(value, field, depth + 1)
    if kind is str:
        if not value.isascii() or "\x00" in value:
            refuse_unstorable(value, field)
        return value
    if kind in _CONSTANTS:
        return value
    if kind is int or kind is float:
        return _number(value, field)
    if depth == MAX_DEPTH and isinstance(value, dict | list):
        raise InvalidRecord(field, f"is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        return _copy_object(value, field, depth + 1)
    if isinstance(value, list):
        return _copy_list(value, field, depth + 1)
    if isinstance(value, str):
        return _copy(str.__str__(value), field, depth)
    if isinstance(value, int):
        return _number(int.__int__(value), field)
    if isinstance(value, float):
        return _number(float.__float__(value), field)
    raise InvalidRecord(field, f"holds a {kind.__name__}; JSON has objects, lists, strings, numbers, booleans and null")


def _copy_object(value: dict[Any, Any], field: str, depth: int) -> dict[str, Any]:
    copy = {}
    for key, item in value.items():
        if type(key) is not str or not key.isascii() or "\x00" in key:
            key = _key(key, field)
        # Most items are plain strings, numbers and constants, and a call for each costs more than all else here.
        kind = type(item)
        if (
            (kind is str and item.isascii() and "\x00" not in item)
            or kind in _CONSTANTS
            or (kind is int and MIN_INTEGER <= item <= MAX_INTEGER)
            or (kind is float and math.isfinite(item))
        ):
            copy[key] = item
            continue
        try:
            is_plain = kind is dict and depth < MAX_DEPTH
            copy[key] = _copy_object(item, "", depth + 1) if is_plain else _copy(item, "", depth)
        except InvalidRecord as error:
            raise InvalidRecord(f"{field}.{key}{error.field}", error.problem) from None
    if len(copy) < dict.__len__(value):
        raise InvalidRecord(field, "has a key twice: two of them are the same as plain strings")
    return copy


def _copy_list(value: list[Any], field: str, depth: int) -> list[Any]:
    copy: list[Any] = []
    try:
        for item in value:
            copy.append(_copy(item, "", depth))  # noqa: PERF401 - how far it came is in the error
    except InvalidRecord as error:
        raise InvalidRecord(f"{field}[{len(copy)}]{error.field}", error.problem) from None
    return copy


def _key(key: Any, field: str) -> str:
    if not isinstance(key, str):
        raise InvalidRecord(field, f"has the key {key!r}; JSON's keys are strings")
    plain: str = str.__str__(key)
    refuse_unstorable(plain, field)
    return plain


def _number(value: int | float, field: str) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRecord(field, f"holds {value}; JSON's numbers are finite")
    elif not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidRecord(field, "holds a whole number outside −2⁶³…2⁶³−1; send it as a string")
    return value


def refuse_unfilterable(value: Any, field: str) -> None:
    """Refuse numbers that ``jsonb`` gives back as other numbers, in a value that `json_value` gave."""
    if isinstance(value, dict):
        for key, item in value.items():
            refuse_unfilterable(item, f"{field}.{key}")
    elif isinstance(value, list):
        for item in value:
            refuse_unfilterable(item, field)
    elif isinstance(value, float) and not is_filterable(value):
        raise InvalidRecord(
            field, f"holds {value!r}, which a filterable field can't give back unchanged; send it as a string"
        )


def is_filterable(number: float) -> bool:
    """Whether PostgreSQL's ``jsonb`` gives this number back as it is."""
    return "e+" not in repr(number) and (number != 0 or math.copysign(1, number) > 0)
