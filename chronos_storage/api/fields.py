"""Serializer fields that take and give what the records hold, and coerce nothing."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from .. import codec, records
from ..exceptions import InvalidRecord


class StringField(serializers.CharField):
    """A string as it is: spaces at its ends are part of it, and a number is none."""

    def __init__(self, *, max_length: int = codec.MAX_INDEXED, **kwargs: Any) -> None:
        kwargs = {"allow_blank": True, "required": False, **kwargs}
        if kwargs.get("read_only"):
            del kwargs["required"]
        super().__init__(trim_whitespace=False, max_length=max_length, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "format": "date-time"})
class TimestampField(serializers.Field[Any, Any, str, Any]):
    """A time with its offset; it comes back in UTC, with microseconds."""

    def __init__(self, **kwargs: Any) -> None:
        if not kwargs.get("read_only"):
            kwargs = {"required": False, **kwargs}
        super().__init__(**kwargs)

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return codec.timestamp(datetime.fromisoformat(data.upper()), "")
        except InvalidRecord as error:
            raise serializers.ValidationError(error.problem) from None
        except (AttributeError, TypeError, ValueError):
            raise serializers.ValidationError("must be a time such as 2026-01-31T12:00:00Z") from None

    def to_representation(self, value: datetime) -> str:
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Passed(serializers.Field[Any, Any, Any, Any]):
    """A JSON value as it is: the record checks it, and names what is wrong inside."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def to_internal_value(self, data: Any) -> Any:
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class JSONField(_Passed):
    """Any JSON value."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"allow_null": True, **kwargs})


class _JSONFieldExtension(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    """Any JSON value in OpenAPI 3.0, which hosts have, and 3.1; null is added by drf-spectacular, to this very list."""

    target_class = JSONField

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        array, record = {"type": "array", "items": {}}, {"type": "object", "additionalProperties": {}}
        return {"anyOf": [record, array, *({"type": name} for name in ("string", "number", "boolean"))]}


@extend_schema_field({"type": "object", "additionalProperties": {}})
class ObjectField(_Passed):
    """A JSON object."""


@extend_schema_field({"type": "array", "items": {}})
class ListField(_Passed):
    """A list of JSON values."""


class CountField(serializers.IntegerField):
    """A whole number from 0 on; no string of digits."""

    def __init__(self, *, max_value: int = codec.MAX_INTEGER, **kwargs: Any) -> None:
        super().__init__(min_value=0, max_value=max_value, **{"required": False, **kwargs})

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(
    {"type": "number", "minimum": 0.000001, "maximum": codec.MAX_DURATION.total_seconds(), "example": 60}
)
class SecondsField(_Passed):
    """How long something lasts, in seconds."""


class FlagField(serializers.BooleanField):
    """True or false; no number and no word that might mean one of them."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, **kwargs})

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


#: What a cost looks like: so many digits, and so many after a point.
_DIGITS = rf"[0-9]{{1,{len(str(codec.MAX_COST))}}}(\.[0-9]{{1,{codec.COST_PLACES}}})?"


@extend_schema_field({"type": "string", "pattern": f"^{_DIGITS}$", "example": "0.0021"})
class CostField(serializers.Field[Any, Any, str, Any]):
    """A cost, as a string of its digits, and no number: most who read JSON would make a binary fraction of that, and
    sums of those are off.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": False, "allow_null": True, **kwargs})

    def to_internal_value(self, data: Any) -> Decimal:
        if not (isinstance(data, str) and re.fullmatch(_DIGITS, data)):
            most = f"at most {codec.MAX_COST:,} and with {codec.COST_PLACES} decimal places"
            raise serializers.ValidationError(f'must be a string such as "0.0021", {most}')
        return Decimal(data)

    def to_representation(self, value: Decimal) -> str:
        return f"{value:f}"


@extend_schema_field({"type": "array", "items": {"type": "number"}})
class VectorField(_Passed):
    """A list of numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"required": True, **kwargs})

    def to_representation(self, value: Any) -> list[float]:
        return list(value)


_FIELDS: dict[str, Any] = {
    "str": StringField,
    "int": CountField,
    "bool": FlagField,
    "datetime": TimestampField,
    "Any": JSONField,
    "list[Any]": ListField,
    "dict[str, Any]": ObjectField,
}


def field_of(field: dataclasses.Field[Any]) -> serializers.Field[Any, Any, Any, Any]:
    """What a field of a record is as JSON, by its type: what the store alone gives a value can't be set."""
    kind = str(field.type)  # as it is written, in a module whose annotations are not evaluated
    made = _FIELDS[kind.removesuffix(" | None")]
    options: dict[str, Any] = {}
    if field.name in records.STORE_FIELDS or field.name == "updated_at":
        options["read_only"] = True
        made = serializers.IntegerField if made is CountField else made
    if kind.endswith(" | None") and field.name not in records.TIMES:
        options["allow_null"] = True
    if limit := getattr(field.metadata["check"], "keywords", {}).get("limit"):
        options["max_length"] = limit
    found: serializers.Field[Any, Any, Any, Any] = made(**options)
    return found
