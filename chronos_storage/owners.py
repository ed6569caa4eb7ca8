"""Owners: by what a database that is distributed finds a row, and keeps together what is written together.

What belongs to a session has its id: its own audit chain and its own topic too, whose names only contain it. So each
statement on their tables names the owner beside the key.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.query_utils import DeferredAttribute

from .chains.numbering import owner_of
from .fields import IdField


def owner_sql(name: str, condition: str = "") -> str:
    """The expression of `owner_of`, in every database's SQL.

    Args:
        name: the expression of the name.
        condition: which rows have such names; those of others are owners themselves. Without one, all.
    """
    is_session = f"SUBSTR({name}, 1, 8) = 'session:' AND LENGTH({name}) > 8"
    if condition:
        is_session = f"{condition} AND {is_session}"
    return f"CASE WHEN {is_session} THEN SUBSTR({name}, 9) ELSE {name} END"


class OwnerDefault(models.Func):
    """What an owner is in rows that are written without one, as workers of the version before it do.

    Only MariaDB and MySQL can name another column there; on the others a migration makes triggers for them.
    """

    def __init__(self, name: str, condition: str) -> None:
        super().__init__()
        self.sql = owner_sql(name, condition)

    def as_sql(self, *args: Any, **kwargs: Any) -> Any:
        return "''", []

    def as_mysql(self, *args: Any, **kwargs: Any) -> Any:
        return self.sql, []


class _Derived(DeferredAttribute):
    """An instance's owner: that of its name, whatever it is set to."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        field: Any = self.field
        name = getattr(instance, field.name_field)
        return name if field.kind and instance.kind != field.kind else owner_of(name)

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = value


class OwnerField(IdField):
    """The owner of a row whose name is in another field.

    Args:
        name_field, name_column: the other field, and its column.
        kind: of the rows whose names are those of chains or topics; without one, all.
    """

    descriptor_class: Any = _Derived

    def __init__(self, name_field: str, name_column: str, kind: str = "", **kwargs: Any) -> None:
        self.name_field: str = name_field
        self.name_column: str = name_column
        self.kind: str = kind
        condition = f"kind = '{kind}'" if kind else ""
        kwargs |= {"editable": False, "db_default": OwnerDefault(name_column, condition)}
        super().__init__(**kwargs)

    def deconstruct(self) -> Any:
        name, path, _, kwargs = super().deconstruct()
        del kwargs["editable"], kwargs["db_default"]
        return name, path, [self.name_field, self.name_column, *([self.kind] if self.kind else [])], kwargs
