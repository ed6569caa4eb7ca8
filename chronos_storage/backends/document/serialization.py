"""Records as the texts of documents, and back."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from decimal import Decimal
from functools import cache
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
    fields = [f'"{name}":{_text(getattr(record, name), name)}' for name in _names(type(record))]  # type: ignore[arg-type]
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
    values = codec.loads(body)
    for name in _times(kind):  # type: ignore[arg-type]
        if values[name] is not None:
            values[name] = datetime.fromisoformat(values[name])
    if values.get("usage") is not None:
        values["usage"] = TokenUsage(**values["usage"])
    if values.get("cost") is not None:
        values["cost"] = Decimal(values["cost"])
    return kind(**values)


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


@cache
def _times(kind: Any) -> tuple[str, ...]:
    return tuple(name for name in _names(kind) if name.endswith("_at"))
