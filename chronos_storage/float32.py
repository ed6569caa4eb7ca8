"""Vectors as they are kept: arrays of float32, of whatever they are given as."""

from __future__ import annotations

import math
from array import array
from typing import Any

from .exceptions import InvalidRecord


def vector(value: Any, field: str) -> array[float]:
    """`value`, a list or tuple of numbers or a one-dimensional NumPy array, as a new array of float32."""
    packed = _in_memory(value)
    if packed is None:
        numbers = value.tolist() if hasattr(value, "tolist") else value
        if not isinstance(numbers, list | tuple):
            raise InvalidRecord(field, f"must be a list of numbers or a NumPy array, not {type(value).__name__}")
        if bool in set(map(type, numbers)):
            raise InvalidRecord(field, "must hold numbers only, not booleans")
        try:
            packed = array("f", numbers)
        except (TypeError, OverflowError):
            raise InvalidRecord(field, "must hold numbers only, in one dimension, that fit into a float32") from None
    if not _is_finite(value) and not math.isfinite(sum(packed)):
        raise InvalidRecord(field, "holds a number that is not finite as a float32")
    return packed


def _is_finite(value: Any) -> bool:
    """Whether it is an array of float32 and surely finite: its product with itself tells sooner than its sum."""
    if getattr(value, "dtype", None) != "float32":
        return False
    try:
        return math.isfinite(value.dot(value))
    except RuntimeWarning:  # of an overflow, where warnings are errors
        return False


def _in_memory(value: Any) -> array[float] | None:
    """The numbers of an array of float32, taken as they lie in memory; None if it is none."""
    if not hasattr(value, "__array__"):
        return None
    try:
        memory = memoryview(value)
    except (TypeError, ValueError):  # another library's array, or one of what has no format in memory, as of dates
        return None
    if memory.format != "f" or memory.ndim != 1 or not memory.contiguous:
        return None
    packed = array("f")
    packed.frombytes(memory.cast("B"))
    return packed
