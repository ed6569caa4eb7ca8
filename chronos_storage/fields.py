"""Model fields that hold the same values, and compare them the same way, on every database."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.core import checks
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from . import codec
from .compat.connections import is_mariadb
from .compat.models import Column
from .exceptions import StoreFailure

if TYPE_CHECKING:
    # For type checkers alone Django's fields are generic: in what they are set to, and in what they give.
    _StringField = models.Field[str, str]
    _CharField = models.CharField[str, str]
    _TextField = models.TextField[str, str]
    _DateTimeField = models.DateTimeField[Any, Any]  # a null one gives None too
    _DecimalField = models.DecimalField[Any, Any]
    _BigIntegerField = models.BigIntegerField[int, int]
    _AnyField = models.Field[Any, Any]
    _JSONField = models.JSONField[Any, Any]
else:
    _StringField = _AnyField = models.Field
    _BigIntegerField, _CharField, _TextField, _DateTimeField, _DecimalField, _JSONField = (
        models.BigIntegerField,
        models.CharField,
        models.TextField,
        models.DateTimeField,
        models.DecimalField,
        models.JSONField,
    )


def bytewise_collation(connection: BaseDatabaseWrapper) -> str:
    """The collation under which two strings are equal, and sorted, as their UTF-8 bytes are."""
    if connection.vendor == "mysql":
        # utf8mb4_bin ignores trailing spaces; MariaDB and MySQL name the one that doesn't differently.
        return "utf8mb4_nopad_bin" if is_mariadb(connection) else "utf8mb4_0900_bin"
    return {"postgresql": "C", "sqlite": "BINARY"}[connection.vendor]


class _Bytewise(Column, _StringField):
    """A string column that is compared bytewise."""

    def collation(self, connection: BaseDatabaseWrapper) -> str:
        return bytewise_collation(connection)


class IdField(_Bytewise, _CharField):
    """An indexed string of at most 255 characters, empty by default."""

    description: str = "Bytewise string (up to %(max_length)s)"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", codec.MAX_INDEXED)
        if not kwargs.get("primary_key"):
            kwargs.setdefault("default", "")
            kwargs.setdefault("blank", True)
        super().__init__(*args, **kwargs)

    def deconstruct(self) -> Any:
        name, path, args, kwargs = super().deconstruct()
        if not self.primary_key:
            for option, default in (("default", ""), ("blank", True)):
                if kwargs.get(option, not default) == default:
                    del kwargs[option]
        if kwargs.get("max_length") == codec.MAX_INDEXED:
            del kwargs["max_length"]
        return name, path, args, kwargs

    def get_internal_type(self) -> str:
        return "IdField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        # Spelled out: for a type that starts with "varchar" Django adds a second index, for LIKE, on PostgreSQL, and
        # warns that MariaDB may not take a unique one of more than 255 characters, which it has long been taking.
        return f"{'varchar' if connection.vendor == 'sqlite' else 'character varying'}({self.max_length})"


class TextField(_Bytewise, _TextField):
    """A string of any length that no index holds."""


class TimestampField(_DateTimeField):
    """A time that comes back aware and in UTC, whatever time zone the connection has."""

    description: str = "Time in UTC"

    def from_db_value(
        self, value: str | datetime | None, expression: Any, connection: BaseDatabaseWrapper
    ) -> datetime | None:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        return value if value is None or value.tzinfo is UTC else value.astimezone(UTC)

    def from_db_column(self, values: Iterable[str | datetime | None]) -> list[datetime | None]:
        """Many at once, as `from_db_value` gives each."""
        read = datetime.fromisoformat
        times = [read(value) if isinstance(value, str) else value for value in values]
        return [each if each is None or each.tzinfo is UTC else each.astimezone(UTC) for each in times]


class ExactTimestampField(TimestampField):
    """A time that keeps its microseconds in fixtures, where Django's JSON cuts off the last three digits."""

    def value_from_object(self, obj: models.Model) -> Any:
        # Serializers write a datetime in their own way, and text as it is.
        return self.value_to_string(obj) or None

    def value_to_string(self, obj: models.Model) -> str:
        value = super().value_from_object(obj)
        return "" if value is None else value.isoformat()


class CostField(_DecimalField):
    """A cost, as `codec.cost` gives it, or NULL."""

    description: str = "Cost"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        digits = {"max_digits": len(str(codec.MAX_COST)) + codec.COST_PLACES, "decimal_places": codec.COST_PLACES}
        super().__init__(*args, **{"null": True, "blank": True, **digits, **kwargs})

    def from_db_value(self, value: Decimal | None, expression: Any, connection: BaseDatabaseWrapper) -> Decimal | None:
        return None if value is None else codec.plain_decimal(value)


@contextmanager
def _readable(field: models.Field[Any, Any]) -> Iterator[None]:
    """Say whose text is no JSON, or more than Python reads: it was written behind the storage's back."""
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise StoreFailure(f"{field} holds what can't be read as JSON: {error}") from error


class JSONTextField(Column, _AnyField):
    """JSON that comes back as it was written, its keys in their order and its numbers as they were.

    It is kept as text: ``json`` on PostgreSQL, whose ``jsonb`` would rewrite it, and a plain text column elsewhere.
    None is JSON's null; the column is never NULL.
    """

    description: str = "JSON that keeps its text"
    empty_strings_allowed = False

    def get_internal_type(self) -> str:
        return "JSONTextField"

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        return {"postgresql": "json", "mysql": "longtext", "sqlite": "text"}[connection.vendor]

    def collation(self, connection: BaseDatabaseWrapper) -> str | None:
        return bytewise_collation(connection) if connection.vendor == "mysql" else None

    def selected(self, connection: BaseDatabaseWrapper, sql: str) -> str:
        # The driver would parse PostgreSQL's json by itself.
        return f"{sql}::text" if connection.vendor == "postgresql" else sql

    def from_db_value(self, value: str | None, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        with _readable(self):
            return None if value is None else codec.loads(value)

    def from_db_column(self, values: Iterable[str | None]) -> list[Any]:
        """Many at once, as `from_db_value` gives each."""
        with _readable(self):
            return codec.loads_each(values)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        return value if hasattr(value, "as_sql") else codec.dumps(value, self.attname)

    def get_db_prep_save(self, value: Any, connection: BaseDatabaseWrapper) -> Any:
        return self.get_db_prep_value(value, connection)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        errors = super().check(**kwargs)
        if self.null or self.unique:
            errors.append(checks.Error("A JSONTextField can't be null or unique.", obj=self, id="chronos_storage.E101"))
        return errors

    def value_to_string(self, obj: models.Model) -> Any:
        return self.value_from_object(obj)

    def formfield(self, **kwargs: Any) -> Any:
        from django import forms

        return super().formfield(**{"form_class": forms.JSONField, "required": False, **kwargs})


class MetadataField(Column, _JSONField):
    """A JSON object that can be filtered by its keys: ``jsonb`` on PostgreSQL, text elsewhere."""

    description: str = "JSON object to filter by"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"default": dict, "blank": True, **kwargs})

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        # MariaDB's json type has a check that refuses nesting over 31.
        return "longtext" if connection.vendor == "mysql" else super().db_type(connection)

    def collation(self, connection: BaseDatabaseWrapper) -> str | None:
        return bytewise_collation(connection) if connection.vendor == "mysql" else None

    def from_db_value(self, value: Any, expression: Any, connection: BaseDatabaseWrapper) -> Any:
        # A driver may have parsed the value of a key transform already; whole columns come as text.
        return super().from_db_value(value, expression, connection) if not isinstance(value, dict) else value

    def from_db_column(self, values: Iterable[str | None]) -> list[Any]:
        """Many at once, as `from_db_value` gives each."""
        with _readable(self):
            return codec.loads_each(values)

    def get_db_prep_value(self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False) -> Any:
        if isinstance(value, dict):
            text = codec.dumps(value, getattr(self, "attname", "metadata"))  # refuses what is too long
            if connection.vendor != "postgresql":
                return text
        return super().get_db_prep_value(value, connection, prepared)


class TokenField(_BigIntegerField):
    """A number that saving a row which is there leaves as it is: the row may have been read long ago."""

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        return super().pre_save(model_instance, add) if add else models.F(self.attname)

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.BigIntegerField", args, kwargs
