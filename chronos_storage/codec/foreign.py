"""Values of types that JSON has not, as what is nearest to them there."""

from __future__ import annotations

import base64
import dataclasses
import re
from collections import UserString
from collections.abc import Mapping, Sequence, ValuesView
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from numbers import Integral, Rational, Real
from typing import Any

from .scalars import UNSTORABLE

#: Where an object's own text says where it lies in memory, which no other process would say alike.
_ADDRESS = re.compile(" at 0x[0-9a-fA-F]+")

#: Longest text of an error, in characters.
_MAX_ERROR = 10_000


def plainer(value: Any, most: int) -> Any:
    """What is nearest to `value` in JSON, or one step nearer to it: its own parts may be of such types again.

    Args:
        most: how many items are taken of a list or object that may have no end.

    Raises:
        Exception: whatever the value's own methods raise.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes | bytearray | memoryview):
        return f"data:application/octet-stream;base64,{base64.b64encode(value).decode()}"
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, Real | Decimal):
        return _number(value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, Mapping):
        return dict(islice(value.items(), most))
    if isinstance(value, Sequence | ValuesView) and not isinstance(value, UserString):
        return list(islice(value, most))
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    for name in ("model_dump", "tolist"):  # Pydantic's models, NumPy's arrays and scalars, and the like
        # What has every method that it is asked for, as a mock, gives no end of such objects.
        if callable(dump := getattr(value, name, None)) and not hasattr(given := dump(), name):
            return given
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return _ADDRESS.sub("", str(value))


def error_text(error: object) -> str:
    """What is recorded of an error, which may be a text of it: its type and its own text, where that can be had."""
    if isinstance(error, str):
        text = str.__str__(error)
    else:
        try:
            text = f"{type(error).__name__}: {error}"
        except Exception:
            text = type(error).__name__
    return UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)[:_MAX_ERROR]


def _number(value: Any) -> Any:
    """Whole and floating numbers of other libraries as Python's own; of exact ones, which a float is not, the text."""
    if isinstance(value, Integral):
        return int(value)
    return str(value) if isinstance(value, Rational | Decimal) else float(value)


def _duration(value: timedelta) -> str:
    """In seconds, as ISO 8601 writes them: ``PT1.5S``."""
    seconds, rest = divmod(abs(value), timedelta(seconds=1))
    fraction = f".{rest.microseconds:06d}".rstrip("0") if rest else ""
    return f"{'-' if value < timedelta(0) else ''}PT{seconds}{fraction}S"
