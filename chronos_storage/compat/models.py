"""Of models, their fields and their signals."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeVar

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.dispatch import Signal

M = TypeVar("M", bound=models.Model)
F = TypeVar("F", bound=Callable[..., Any])


class GuardedQuerySet(models.QuerySet[M]):
    """A queryset that is asked before Django itself writes in the ways that `delete` and `update` don't see."""

    def _refuse_removal(self) -> NoReturn:
        """Raise an error, instead of deleting without a look."""
        raise NotImplementedError

    def _changed(self, values: Iterable[tuple[Any, Any]]) -> int:
        """What becomes of the rows of a model that is saved and may be stored already; returns how many there are.

        Args:
            values: the fields, each with its value.
        """
        raise NotImplementedError

    def _raw_delete(self, using: str | None) -> NoReturn:
        self._refuse_removal()

    def _update(self, values: Any, returning_fields: Any = None) -> Any:
        count = self._changed([(field, value) for field, _, value in values])
        return count if returning_fields is None else [()] * count


class GuardedModel:
    """In front of a model's class: `save_base` asks `save` too; what loads fixtures calls Django's own."""

    save: Callable[[], None]

    def save_base(self, *args: Any, **kwargs: Any) -> None:
        self.save()


class PlacedModel:
    """In front of a model's class: saving a row again, as a fixture does, leaves the field that says where it is kept.

    A database that is distributed refuses to change that, and finds the row by it.
    """

    #: The name of that field's attribute.
    _placed_by: str

    def _do_update(self, base_qs: Any, using: Any, pk_val: Any, values: Any, *rest: Any) -> Any:
        place = self._placed_by
        rows = base_qs.filter(**{place: getattr(self, place)})
        others = [each for each in values if each[0].attname != place]
        return super()._do_update(rows, using, pk_val, others, *rest)  # type: ignore[misc]


def looking_at_few(on_delete: F) -> F:
    """Make it an ``on_delete`` for which Django does not load all the rows that refer to what is deleted."""
    on_delete.lazy_sub_objs = True  # type: ignore[attr-defined]
    return on_delete


class Column:
    """In front of a field's class: no check of Django's, and a say in the collation and in how it is selected."""

    def collation(self, connection: BaseDatabaseWrapper) -> str | None:
        """The column's collation; None for the database's."""
        return None

    def selected(self, connection: BaseDatabaseWrapper, sql: str) -> str:
        """The column as the outermost statement selects it."""
        return sql

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        parameters = super().db_parameters(connection)  # type: ignore[misc]
        collation = self.collation(connection)
        return parameters if collation is None else {**parameters, "collation": collation}

    def db_check(self, connection: BaseDatabaseWrapper) -> str | None:
        return None

    def select_format(self, compiler: Any, sql: str, params: Any) -> Any:
        return (sql if compiler.query.subquery else self.selected(compiler.connection, sql)), params


def is_heard(signal: Signal, sender: type[Any]) -> bool:
    """Whether there is a receiver for what this sender sends."""
    return bool(signal.receivers) and signal.has_listeners(sender)


def renew_lock(signal: Signal) -> None:
    """Give a signal a new lock, in a forked child where another thread of its parent may have held it."""
    signal.lock = threading.Lock()
