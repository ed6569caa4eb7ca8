"""The fields of records: how each is checked, and what it is when it is left out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import codec


def field(
    check: Callable[[Any, str], Any], *, json: bool = False, empty: tuple[Any, ...] = (None, "", {}), **default: Any
) -> Any:
    """A record's field.

    Args:
        check: gives a value as it is kept, or refuses it.
        json: whether it is JSON that is measured whole.
        empty: what a caller who leaves it out is taken to have given.
    """
    return dataclasses.field(**default, metadata={"check": check, "json": json, "empty": empty})


def string(limit: int = codec.MAX_INDEXED) -> Any:
    # Most have the limit that is meant without one, and a partial with it takes as long to call as the check itself.
    return field(codec.string if limit == codec.MAX_INDEXED else partial(codec.string, limit=limit), default="")


def optional(check: Callable[[Any, str], Any]) -> Any:
    return field(lambda value, name: None if value is None else check(value, name), default=None)


def timestamp() -> Any:
    return optional(codec.timestamp)


def json_value() -> Any:
    return field(codec.json_value, json=True, default=None)


def json_object() -> Any:
    return field(codec.json_object, json=True, default_factory=dict)


def json_list() -> Any:
    return field(codec.json_list, json=True, empty=([],), default_factory=list)


def filterable() -> Any:
    return field(codec.filterable_object, json=True, default_factory=dict)


def number() -> Any:
    return field(codec.integer, empty=(0,), default=0)


def count() -> Any:
    return optional(partial(codec.integer, maximum=codec.MAX_TOKENS))
