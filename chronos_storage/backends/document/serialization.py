"""Records as the texts of documents, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from copy import copy
from datetime import datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from ... import codec
from ...chains.hashing import time_text
from ...records import Record, TokenUsage

R = TypeVar("R", bound=Record)


def encode(record: Record) -> str:
    """The record as a JSON object.

    Raises:
        InvalidRecord: a field's JSON is too long to be kept; it is named.
    """
    if erased := getattr(record, "erased", ""):
        chained: Any = copy(record)
        chained.hash = f"{chained.hash}:{erased}"
        record = chained
    names = _kept(type(record)) if getattr(record, "legal_hold", True) else _kept_unless_held(type(record))  # type: ignore[arg-type]
    fields = [f'"{name}":{_text(getattr(record, name), name)}' for name in names]
    return "{" + ",".join(fields) + "}"


def _text(value: Any, name: str) -> str:
    if isinstance(value, datetime):
        return f'"{time_text(value)}"'
    if isinstance(value, TokenUsage):
        return encode(value)
    if isinstance(value, Decimal):
        return f'"{value:f}"'  # as text: a number of JSON's would be read as a float
    return codec.dumps(value, name)


def decode(kind: type[R], body: str) -> R:
    """The record that `encode` was given."""
    return record_of(kind, codec.loads(body))


def encode_any(record: Record, key: str) -> str:
    """A JSON object with what `encode` gives under this key, in half the time, as no field is measured."""
    names, get, times = _shape(type(record))  # type: ignore[arg-type]
    values = dict(zip(names, get(record), strict=True))
    if values.get("erased") == "":  # as the lines that a database gives
        del values["erased"]
    for name in times:
        if (time := values[name]) is not None:
            values[name] = time_text(time)
    if (usage := values.get("usage")) is not None:
        values["usage"] = {name: getattr(usage, name) for name in _names(TokenUsage)}
    if (cost := values.get("cost")) is not None:
        values["cost"] = f"{cost:f}"
    return codec.encode({key: values})


@cache
def _shape(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[str, ...]]:
    return _names(kind), attrgetter(*_names(kind)), _times(kind)


def record_of(kind: type[R], values: dict[str, Any]) -> R:
    """The record of this object, whose values are taken out of it."""
    for name in _times(kind):  # type: ignore[arg-type]
        if values[name] is not None:
            values[name] = datetime.fromisoformat(values[name])
    if values.get("usage") is not None:
        values["usage"] = TokenUsage(**values["usage"])
    if values.get("cost") is not None:
        values["cost"] = Decimal(values["cost"])
    if (both := values.get("hash")) is not None and ":" in both:
        values["hash"], _, values["erased"] = both.partition(":")
    return kind(**values)


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def _kept(kind: Any) -> tuple[str, ...]:
    """The fields as documents have them: ``erased`` is with the hash, as workers of the version before know of none."""
    return tuple(name for name in _names(kind) if name != "erased")


@cache
def _kept_unless_held(kind: Any) -> tuple[str, ...]:
    """Without ``legal_hold``, which such workers can't read; of a session under one they are to read nothing."""
    return tuple(name for name in _kept(kind) if name != "legal_hold")


@cache
def _times(kind: Any) -> tuple[str, ...]:
    return tuple(name for name in _names(kind) if name.endswith("_at"))
