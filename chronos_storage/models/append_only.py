"""Models and querysets that refuse to change or remove what was appended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar, NoReturn, Self, TypeVar

from django.db import connections, models
from django.db.models import ProtectedError

from ..compat.models import GuardedModel, GuardedQuerySet, looking_at_few
from ..compat.queries import for_writing
from ..exceptions import AppendOnlyError
from ..fields import ExactTimestampField, IdField
from .permits import current_permit

M = TypeVar("M", bound="LedgerModel")


class ProtectedLedgerError(AppendOnlyError, ProtectedError):
    """Sessions with events can't be deleted this way; delete_session(id, hard=True) removes both."""

    def __init__(self, protected_objects: set[models.Model]) -> None:
        ProtectedError.__init__(self, type(self).__doc__ or "", protected_objects)


@looking_at_few
def refuse_cascade(collector: Any, field: Any, sub_objs: Any, using: str) -> None:
    """An ``on_delete`` that refuses to delete what a ledger row points to."""
    if protecting := set(sub_objs[:10]):
        raise ProtectedLedgerError(protecting)


@contextmanager
def cascade_refused() -> Iterator[None]:
    """Around a deletion: Django collects what is protected into an error of its own, this makes it ours again."""
    try:
        yield
    except ProtectedError as error:
        if any(isinstance(row, LedgerModel) for row in error.protected_objects):
            raise ProtectedLedgerError(error.protected_objects) from error
        raise


def refuse_change(model: type[LedgerModel]) -> NoReturn:
    """Raise the error of whoever adds or changes a row in another way than the store's."""
    raise AppendOnlyError(f"{model.__name__} rows are append-only: add one with storage.{model.append_method}()")


class LedgerQuerySet(GuardedQuerySet[M]):
    """Reads like any queryset. `delete` works under `purge_permit` alone, and nothing else writes."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse_change(self.model)

    create: Any = _refuse
    bulk_create: Any = _refuse
    bulk_update: Any = _refuse
    update: Any = _refuse
    update_or_create: Any = _refuse
    update.alters_data = create.alters_data = bulk_create.alters_data = True

    def append_rows(self, rows: list[M]) -> None:
        """For the backend alone: insert rows whose numbers and hashes it has worked out under the head's lock."""
        super().bulk_create(rows, batch_size=None)

    append_rows.alters_data = True  # type: ignore[attr-defined]

    def empty_row(self, **values: Any) -> int:
        """For the permit alone: what an erasure leaves in one row; the triggers let nothing else through."""
        return super().update(**values)

    empty_row.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        rows = for_writing(self)
        permit = current_permit(rows.db)
        if permit is None:
            self._refuse_removal()
        count = permit.delete(rows)
        return count, {self.model._meta.label: count}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def _refuse_removal(self) -> NoReturn:
        raise AppendOnlyError(
            f"{self.model.__name__} rows are append-only: remove them inside chronos_storage.ledger.purge_permit()"
        )

    def _changed(self, values: Iterable[tuple[Any, Any]]) -> int:
        # Only a fixture comes here, for a row that may be stored already: the same row is no change.
        stored = list(self)
        connection = connections[self.db]
        for row in stored:
            for field, value in values:
                known = getattr(row, field.attname)
                if field.get_db_prep_save(known, connection) != field.get_db_prep_save(value, connection):
                    self._refuse()
        return len(stored)


class LedgerModel(GuardedModel, models.Model):
    """A row of a hash chain, numbered and hashed by the store."""

    #: The method of `Storage` that adds rows.
    append_method: str

    seq_num: models.BigIntegerField[int, int] = models.BigIntegerField()
    hash: IdField = IdField(max_length=64)
    created_at: models.DateTimeField[datetime, datetime] = ExactTimestampField()
    #: Of a row that an erasure has emptied, the digest of what was there. Workers of the version before, who don't know
    #: of it, go on appending.
    erased: IdField = IdField(max_length=128, editable=False, db_default="")

    objects: ClassVar[models.Manager[Self]] = LedgerQuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"
        default_permissions: ClassVar[tuple[str, ...]] = ("add", "view")

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        refuse_change(type(self))

    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        return type(self).objects.using(using or self._state.db).filter(pk=self.pk).delete()
