"""What may be stored: strings, numbers, times and JSON, checked and written the same way for every backend.

Every function here names the offending field in the `InvalidRecord` it raises.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from .exceptions import InvalidRecord

#: Longest indexed string (ids, keys, names that are looked up), in characters.
MAX_INDEXED = 255
#: Longest name of a queue's topic: that of any session, ``session:<id>``, fits.
MAX_TOPIC = len("session:") + MAX_INDEXED
#: Longest free text (titles, descriptions, prompts, error texts), in characters.
MAX_TEXT = 1_000_000
#: Largest JSON value, all JSON of a record, and that with its long texts, in bytes of UTF-8: MariaDB takes statements
#: of 16 MiB, in which quoting may double what is sent.
MAX_JSON_BYTES = 4 * 1024 * 1024
MAX_RECORD_BYTES = 7 * 1024 * 1024
MAX_WITH_TEXTS_BYTES = MAX_RECORD_BYTES + 512 * 1024
#: Largest state of a checkpoint, in bytes of UTF-8: it is kept item by item, each as large as any JSON value at most.
MAX_STATE_BYTES = 256 * 1024 * 1024
#: Largest count of tokens: so many can't overflow when they are added up.
MAX_TOKENS = 10**12
#: Largest cost of a span, and its decimal places: SQLite's decimals have 15 digits in all.
MAX_COST, COST_PLACES = 999_999, 9
#: How long a fence may keep others out at once.
MAX_DURATION = timedelta(days=366)
#: Deepest nesting of objects and lists.
MAX_DEPTH = 100
#: Most conditions of a filter (a list of values is one), and most words that a search looks for.
MAX_CONDITIONS, MAX_WORDS = 1_000, 4_000
#: Whole numbers a signed 64-bit integer holds.
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
#: Years that every database's timestamps hold.
MIN_TIME = datetime(1000, 1, 1, tzinfo=UTC)

_CONSTANTS = frozenset({bool, type(None)})
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
#: The JSON text of a value that `json_value` gave, however long: keys in their order, no spaces.
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":")).encode
_encode_sorted = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"), sort_keys=True
).encode
_decoder = json.JSONDecoder()
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]  # typeshed lacks it


def string(value: Any, field: str, limit: int = MAX_INDEXED) -> str:
    """`value` as a plain `str` of at most `limit` characters that every backend can keep."""
    if not isinstance(value, str):
        raise InvalidRecord(field, f"must be a string, not {type(value).__name__}")
    text: str = str.__str__(value)  # a subclass may measure, compare and print itself in its own way
    if len(text) > limit:
        raise InvalidRecord(field, f"is {len(text):,} characters long; at most {limit:,} are kept")
    if not text.isascii() or "\x00" in text:
        _refuse_unstorable(text, field)
    return text


def strings(values: Any, field: str) -> list[str]:
    """`values`, several strings, not one."""
    if isinstance(values, str):
        raise InvalidRecord(field, "must be a list of strings, not one string")
    if not isinstance(values, Iterable):
        raise InvalidRecord(field, f"must be a list of strings, not {type(values).__name__}")
    return [string(value, field) for value in values]


def _refuse_unstorable(value: str, field: str) -> None:
    if found := _UNSTORABLE.search(value):
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
    _refuse_unfilterable(copy, field)
    return copy


def _copy(value: Any, field: str, depth: int) -> Any:
    kind = type(value)
    if kind is dict and depth < MAX_DEPTH:
        return _copy_object(value, field, depth + 1)
    if kind is str:
        if not value.isascii() or "\x00" in value:
            _refuse_unstorable(value, field)
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
            copy[key] = _copy(item, "", depth)
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
    _refuse_unstorable(plain, field)
    return plain


def _number(value: int | float, field: str) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidRecord(field, f"holds {value}; JSON's numbers are finite")
    elif not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidRecord(field, "holds a whole number outside −2⁶³…2⁶³−1; send it as a string")
    return value


def _refuse_unfilterable(value: Any, field: str) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_unfilterable(item, f"{field}.{key}")
    elif isinstance(value, list):
        for item in value:
            _refuse_unfilterable(item, field)
    elif isinstance(value, float) and ("e+" in repr(value) or (value == 0 and math.copysign(1, value) < 0)):
        raise InvalidRecord(
            field, f"holds {value!r}, which a filterable field can't give back unchanged; send it as a string"
        )


def dumps(value: Any, field: str = "value", limit: int = MAX_JSON_BYTES) -> str:
    """The JSON text that is stored of a value that `json_value` gave: keys in their order, no spaces.

    Raises:
        InvalidRecord: it is longer than `limit`, in bytes of UTF-8.
    """
    text = encode(value)
    if len(text) > limit // 4 and (size := bytes_of(text)) > limit:
        raise InvalidRecord(field, f"is {size:,} bytes of JSON; at most {limit:,} are kept")
    return text


def bytes_of(text: str) -> int:
    """The length of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def loads(text: str) -> Any:
    """The value that `dumps` wrote."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return _decoder.decode(text)  # which skips what is written by hand around it, or says what is wrong
    return value if end == len(text) else _decoder.decode(text)


def loads_each(texts: Iterable[str | None]) -> list[Any]:
    """The values of many texts, None for None; what most of them are, where there is nothing, is not parsed."""
    return [{} if text == "{}" else None if text is None or text == "null" else loads(text) for text in texts]


def canonical(value: Any) -> str:
    """The JSON text that two values share exactly when they are the same: as `dumps`, keys sorted."""
    return _encode_sorted(value)


def scrub(value: Any, replacement: str = "\N{REPLACEMENT CHARACTER}") -> Any:
    """A copy of a string or JSON value with each NUL and lone surrogate replaced."""
    if isinstance(value, str):
        return _UNSTORABLE.sub(replacement, value)
    if isinstance(value, dict):
        return {scrub(key, replacement): scrub(item, replacement) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub(item, replacement) for item in value]
    return value
