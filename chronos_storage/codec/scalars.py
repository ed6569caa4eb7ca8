"""Strings, numbers and times, checked and made plain; what is refused is an `InvalidRecord` that names the field."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ..exceptions import InvalidRecord
from .limits import COST_PLACES, MAX_COST, MAX_DURATION, MAX_INDEXED, MAX_INTEGER, MIN_TIME

#: What no string may hold.
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def string(value: Any, field: str, limit: int = MAX_INDEXED) -> str:
    """`value` as a plain `str` of at most `limit` characters that every backend can keep."""
    if type(value) is str:
        text = value
    elif isinstance(value, str):
        text = str.__str__(value)  # a subclass may measure, compare and print itself in its own way
    else:
        raise InvalidRecord(field, f"must be a string, not {type(value).__name__}")
    if len(text) > limit:
        raise InvalidRecord(field, f"is {len(text):,} characters long; at most {limit:,} are kept")
    if not text.isascii() or "\x00" in text:
        refuse_unstorable(text, field)
    return text


def strings(values: Any, field: str) -> list[str]:
    """`values`, several strings, not one."""
    if isinstance(values, str):
        raise InvalidRecord(field, "must be a list of strings, not one string")
    if not isinstance(values, Iterable):
        raise InvalidRecord(field, f"must be a list of strings, not {type(values).__name__}")
    return [string(value, field) for value in values]


def refuse_unstorable(value: str, field: str) -> None:
    if found := UNSTORABLE.search(value):
        what = "a NUL character" if found[0] == "\x00" else f"the lone surrogate U+{ord(found[0]):04X}"
        raise InvalidRecord(
            field, f"contains {what} at position {found.start()}; remove it, or replace it with codec.scrub()"
        )


def integer(value: Any, field: str, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
    """`value` as a plain `int` between `minimum` and `maximum`, 2⁶³−1 unless told."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidRecord(field, f"must be a whole number, not {type(value).__name__}")
    number: int = int.__int__(value)
    if not minimum <= number <= maximum:
        most = "2⁶³−1" if maximum == MAX_INTEGER else f"{maximum:,}"
        # Python writes no number of more than some thousand digits.
        bits = number.bit_length()
        given = number if bits <= 128 else f"a number of {bits:,} bits"
        raise InvalidRecord(field, f"must be between {minimum} and {most}, not {given}")
    return number


def boolean(value: Any, field: str) -> bool:
    """`value`, True or False."""
    if not isinstance(value, bool):
        raise InvalidRecord(field, f"must be True or False, not {type(value).__name__}")
    return value


def duration(value: Any, field: str) -> timedelta:
    """`value`, a timedelta or a number of seconds, more than none and at most `MAX_DURATION`, as a timedelta."""
    if isinstance(value, bool) or not isinstance(value, timedelta | int | float):
        raise InvalidRecord(field, f"must be a timedelta or a number of seconds, not {type(value).__name__}")
    try:
        given = timedelta(0) + (value if isinstance(value, timedelta) else timedelta(seconds=value))
    except (OverflowError, ValueError):  # or not a number
        given = timedelta(0)
    if not timedelta(0) < given <= MAX_DURATION:
        raise InvalidRecord(field, f"must be more than 0 seconds and at most {MAX_DURATION.days} days")
    return given


def cost(value: Any, field: str) -> Decimal:
    """`value`, a decimal or a whole number from 0 to 999,999 with at most nine places, without zeros at its end."""
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise InvalidRecord(field, f"must be a Decimal, such as Decimal('0.0021'), not {type(value).__name__}")
    number = Decimal(int.__int__(value) if isinstance(value, int) else Decimal.__str__(value))
    if not number.is_finite() or not 0 <= number <= MAX_COST:
        raise InvalidRecord(field, f"must be between 0 and {MAX_COST:,}, not {number}")
    # What is smaller than the last place could be a million zeros long.
    plain = None if number and number.adjusted() < -COST_PLACES else plain_decimal(number)
    if plain is None or len(f"{plain:f}".partition(".")[2]) > COST_PLACES:
        raise InvalidRecord(field, f"must have at most {COST_PLACES} decimal places, not those of {number}")
    return plain


def plain_decimal(number: Decimal) -> Decimal:
    """A number from 0 on without an exponent and without zeros at its end: what is equal is written alike."""
    text = f"{number or Decimal():f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def timestamp(value: Any, field: str) -> datetime:
    """`value`, an aware datetime, in UTC."""
    if not isinstance(value, datetime):
        raise InvalidRecord(field, f"must be a datetime, not {type(value).__name__}")
    # A subclass prints itself in its own way, and `astimezone` keeps it.
    plain = value if type(value) is datetime else datetime.combine(datetime.date(value), datetime.timetz(value))
    if plain.tzinfo is UTC and plain >= MIN_TIME:
        return plain
    if plain.utcoffset() is None:
        raise InvalidRecord(field, "is a naive datetime; give it a time zone, as django.utils.timezone.now() does")
    try:
        in_utc = plain.astimezone(UTC)
    except OverflowError:
        in_utc = None
    if in_utc is None or in_utc < MIN_TIME:
        raise InvalidRecord(field, "must be between the years 1000 and 9999")
    return in_utc


def scrub(value: Any, replacement: str = "\N{REPLACEMENT CHARACTER}") -> Any:
    """A copy of a string or JSON value with each NUL and lone surrogate replaced."""
    if isinstance(value, str):
        return UNSTORABLE.sub(replacement, value)
    if isinstance(value, dict):
        return {scrub(key, replacement): scrub(item, replacement) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub(item, replacement) for item in value]
    return value
