from __future__ import annotations

from typing import Any, TypeVar

from django.db import IntegrityError
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Greatest

from ...ledger.mapping import MEMORY, TABLES, Table
from ...records import MemoryRecord, Record, Session
from ...refusals import Reason, Refused
from ...snapshots import Unseen, current, unless_unseen
from ..base import Patch
from .base import OrmBase
from .metadata import merge_metadata

R = TypeVar("R", bound=Record)


class UpsertMethods(OrmBase):
    def put(self, record: R, *, fresh: bool = False) -> R:
        if isinstance(record, MemoryRecord):
            memory: R = self._put_memory(record, fresh)
            return memory
        table: Table[R] = TABLES[type(record)]
        kept = {table.id, "created_at"}
        with self._atomic():
            self._rows(table).bulk_create(
                [table.row(record)],
                update_conflicts=True,
                update_fields=[column for column in table.columns if column not in kept],
                **self._conflict_target(table.id),
            )
            stored = self._one(table, current(self._rows(table).filter(pk=record.id)))
        assert stored is not None
        return stored

    def _put_memory(self, record: MemoryRecord, fresh: bool) -> Any:
        values = MEMORY.values(record)
        del values["created_at"], values["id"]
        with self._atomic():
            if fresh or not self._moved(record, values):
                with unless_unseen():  # another writer may have stored this id in between, under another key
                    self._rows(MEMORY).bulk_create(
                        [MEMORY.model(id=record.id, created_at=record.created_at, **values)],
                        update_conflicts=True,
                        update_fields=["value", "updated_at", "expires_at"],
                        **self._conflict_target("natural_key"),
                    )
            stored = self._one(MEMORY, self._rows(MEMORY).filter(natural_key=values["natural_key"]))
            if stored is None:  # so it is on MariaDB and MySQL, which have then changed that row
                raise Unseen
        return stored

    def _moved(self, record: MemoryRecord, values: dict[str, Any]) -> bool:
        """Whether the id was stored already, and its row now has these values, be it under another key."""
        try:
            with self._savepoint():
                return self._rows(MEMORY).filter(pk=record.id).update(**values) > 0
        except IntegrityError as error:
            raise Refused(Reason.TAKEN, MemoryRecord, record.key) from error

    def patch(self, record: type[R], id: str, patch: Patch) -> R:
        table: Table[R] = TABLES[record]
        row = self._rows(table).filter(pk=id)
        if record is Session:
            row = row.filter(deleted_at=None)
        changes = {
            **patch.values,
            **patch.once,
            **{name: Greatest(F(name), Value(value)) for name, value in patch.forward.items()},
            **{name: Coalesce(F(name), Value(value)) for name, value in patch.first.items()},
        }
        writable = row.filter(**{f"{name}__in": ("", value) for name, value in patch.once.items()})
        with self._atomic():
            if patch.merge is None:
                changed = writable.update(**changes)
            else:
                changed = merge_metadata(writable, patch.merge, **changes)
            stored = self._one(table, current(row))  # which the update may have left as it was, and unseen
            if stored is None:
                self._refuse_unseen(table, id)
                raise Refused(Reason.MISSING, record, id)
            if any(getattr(stored, name) not in ("", value) for name, value in patch.once.items()):
                raise Refused(Reason.CONDITION, record, id, stored)
            if not changed:
                raise Unseen
            stored.check_size()  # which the changes may have made too large
        return stored
