from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import Q
from django.db.models.query import QuerySet

from ... import codec, records
from ...ledger.mapping import MEMORY
from ...records import MemoryRecord
from ...snapshots import Unseen, unless_unseen
from ...transactions import retried
from ..arguments import filters, required
from .base import OrmBase, pk_row, sliced, starts_with
from .pages import iterate

_ORDER = ("-updated_at", "-id")


class MemoryMethods(OrmBase):
    @retried
    def put_memory(self, record: MemoryRecord) -> MemoryRecord:
        record = MemoryRecord.of(record, "record").cleaned()
        given_id = record.id
        record.complete(touch=True)
        values = MEMORY.values(record)
        del values["created_at"], values["id"]
        with self.transaction():
            if not (given_id and self._moved(record.id, values)):
                with unless_unseen():  # another writer may have stored this id in between, under another key
                    self.rows(MEMORY).bulk_create(
                        [MEMORY.model(id=record.id, created_at=record.created_at, **values)],
                        update_conflicts=True,
                        update_fields=["value", "updated_at", "expires_at"],
                        **self.conflict_target("natural_key"),
                    )
            stored = self.one(MEMORY, self.rows(MEMORY).filter(natural_key=values["natural_key"]))
            if stored is None:  # so it is on MariaDB and MySQL, which have then changed that row
                raise Unseen
        self.written(stored)
        return stored

    def _moved(self, id: str, values: dict[str, Any]) -> bool:
        """Whether the id was stored already, and its row now has these values, be it under another key."""
        with self.unless_taken(f"memory {values['key']!r} of another id"):
            return self.rows(MEMORY).filter(pk=id).update(**values) > 0

    @retried
    def get_memory(
        self,
        agent_id: str,
        key: str,
        *,
        kind: str | None = None,
        user_id: str | None = None,
        session_id: str | None = None,
    ) -> MemoryRecord | None:
        given = required(agent_id=agent_id, key=key) | filters(kind=kind, user_id=user_id, session_id=session_id)
        return self.one(MEMORY, self._alive(given).order_by(*_ORDER))

    @retried
    def list_memory(
        self,
        agent_id: str,
        kind: str | None = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        prefix: str | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[MemoryRecord]:
        given = required(agent_id=agent_id) | filters(kind=kind, user_id=user_id, session_id=session_id)
        return MEMORY.fetch(sliced(self._alive(given, prefix).order_by(*_ORDER), limit, offset))

    def iter_memory(
        self,
        agent_id: str,
        kind: str | None = None,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        prefix: str | None = None,
    ) -> Iterator[MemoryRecord]:
        given = required(agent_id=agent_id) | filters(kind=kind, user_id=user_id, session_id=session_id)
        return iterate(MEMORY, self._alive(given, prefix), *_ORDER)

    def _alive(self, given: dict[str, str], prefix: str | None = None) -> QuerySet[Any]:
        rows = self.rows(MEMORY).filter(Q(expires_at=None) | Q(expires_at__gt=records.now()), **given)
        if prefix is not None and (start := codec.string(prefix, "prefix")):
            rows = rows.filter(starts_with("key", start))
        return rows

    @retried
    def delete_memory(self, id: str) -> bool:
        return pk_row(self.rows(MEMORY), id).delete()[0] > 0
