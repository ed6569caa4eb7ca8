"""What the interfaces share: times in epoch milliseconds, and records that cross to other systems as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, fields
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, ClassVar, Self

from .. import codec
from ..exceptions import InvalidRecord
from ..records import TokenUsage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def milliseconds(timestamp: datetime | None) -> int | None:
    """Whole milliseconds since 1970, rounded down."""
    return None if timestamp is None else (timestamp - _EPOCH) // MILLISECOND


def from_milliseconds(value: int | None, field: str) -> datetime | None:
    """The time that is so many milliseconds after 1970."""
    if value is None:
        return None
    number = codec.integer(value, field, codec.MIN_INTEGER)
    try:
        return codec.timestamp(_EPOCH + timedelta(milliseconds=number), field)
    except OverflowError:
        raise InvalidRecord(field, "must be milliseconds since 1970, of a time before the year 10000") from None


def required(value: str, field: str) -> str:
    """A string that must not be absent."""
    if value == "" or value is None:
        raise InvalidRecord(field, "is missing")
    return value


@contextmanager
def spelled(names: Mapping[str, str]) -> Iterator[None]:
    """Within the block, what is wrong with a field of ours is said of the field that it was given as."""
    try:
        yield
    except InvalidRecord as error:
        if error.field in names:
            raise InvalidRecord(names[error.field], error.problem) from None
        raise


@cache
def _spellings(record: Any) -> dict[str, str]:
    """The fields of a record by their names in JSON."""
    return {record.spelling(field.name): field.name for field in fields(record)}


class Exchanged:
    """A record of another system. None is a field that is absent, there as here."""

    __slots__ = ()

    #: The names of a usage's fields in JSON.
    usage_names: ClassVar[Mapping[str, str]] = {}

    @staticmethod
    def spelling(name: str) -> str:
        """A field's name in JSON."""
        first, *rest = name.split("_")
        return first + "".join(map(str.capitalize, rest))

    @classmethod
    def of(cls, value: Any, argument: str) -> Self:
        """An argument that must be such a record.

        Raises:
            InvalidRecord: it is another, none, or JSON.
        """
        if not isinstance(value, cls):
            raise InvalidRecord(argument, f"must be a {cls.__name__}, not {type(value).__name__}")
        return value

    def to_json(self) -> dict[str, Any]:
        """The record as JSON, without what is absent."""
        found = {spelling: getattr(self, name) for spelling, name in _spellings(type(self)).items()}  # type: ignore[arg-type]
        present = {spelling: value for spelling, value in found.items() if value is not None}
        if isinstance(usage := present.get("usage"), TokenUsage):
            reported = {spelling: getattr(usage, name) for spelling, name in self.usage_names.items()}
            present["usage"] = {spelling: count for spelling, count in reported.items() if count is not None}
        return present

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The record that JSON holds. A key that it has no field for goes into the metadata, where there is one.

        Raises:
            InvalidRecord: it is no object, lacks what must be there, or has an unknown key.
        """
        if not isinstance(data, dict):
            raise InvalidRecord(cls.__name__, f"must be an object, not {type(data).__name__}")
        spellings = _spellings(cls)  # type: ignore[arg-type]
        given = {spellings[key]: value for key, value in data.items() if key in spellings}
        unknown = {key: value for key, value in data.items() if key not in spellings}
        if unknown:
            if "metadata" not in spellings:
                raise InvalidRecord(next(iter(unknown)), f"is no field of {cls.__name__}: {', '.join(spellings)}")
            own = {} if given.get("metadata") is None else codec.json_object(given["metadata"], "metadata")
            given["metadata"] = {**unknown, **own}
        if given.get("usage") is not None:
            given["usage"] = cls._usage(given["usage"])
        lacking = [field.name for field in fields(cls) if _is_required(field) and field.name not in given]  # type: ignore[arg-type]
        if lacking:
            raise InvalidRecord(cls.spelling(lacking[0]), f"is missing from a {cls.__name__}")
        return cls(**given)

    @classmethod
    def _usage(cls, value: Any) -> TokenUsage:
        reported = codec.json_object(value, "usage")
        for key in reported:
            if key not in cls.usage_names:
                raise InvalidRecord(f"usage.{key}", f"is not known; it has {', '.join(cls.usage_names)}")
        return TokenUsage(**{cls.usage_names[key]: count for key, count in reported.items()})


def _is_required(field: Any) -> bool:
    return field.default is MISSING and field.default_factory is MISSING
