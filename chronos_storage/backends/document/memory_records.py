from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ... import codec, records
from ...exceptions import AlreadyExists
from ...records import MemoryRecord
from ..arguments import filters, required
from .base import DocumentBase, matching
from .driver import Document
from .places import memory_place
from .work import Work, retried


class MemoryMethods(DocumentBase):
    @retried
    def put_memory(self, record: MemoryRecord) -> MemoryRecord:
        record = MemoryRecord.of(record, "record").cleaned()
        given_id = record.id
        record.complete(touch=True)
        with self.work() as work:
            known = work.get(MemoryRecord, "memory", record.id) if given_id else None
            holder = work.document(memory_place(record))
            if known is None and holder is not None:
                known = work.get(MemoryRecord, "memory", codec.loads(holder.body))
            if known is not None:
                record.id, record.created_at = known.id, known.created_at
                if memory_place(known) != memory_place(record):
                    work.remove(memory_place(known))
            self.place(work, record)
            self.written(work, record)
        return record

    def place(self, work: Work, record: MemoryRecord) -> None:
        """Write a record and its hold on its natural key.

        Raises:
            AlreadyExists: another record holds that key.
        """
        place, id = memory_place(record), codec.dumps(record.id)
        holder = work.document(place)
        if holder is None:
            work.write(Document(place, id))
        elif holder.body != id:
            raise AlreadyExists(f"memory {record.key!r} of another id is stored already")
        work.put(record)

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
        partition = ("memory", "key", given.pop("agent_id"), given.pop("key"))
        return next(self.records(MemoryRecord, partition, _alive(given), limit=1, reverse=True), None)

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
        return list(self._listed_memory(given, prefix, limit=limit, offset=offset))

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
        return self._listed_memory(given, prefix)

    def _listed_memory(self, given: dict[str, str], prefix: str | None, **part: Any) -> Iterator[MemoryRecord]:
        partition = ("memory", "agent", given.pop("agent_id"))
        where = _alive(given, "" if prefix is None else codec.string(prefix, "prefix"))
        return self.records(MemoryRecord, partition, where, reverse=True, **part)

    @retried
    def delete_memory(self, id: str) -> bool:
        id = codec.string(id, "id")
        with self.work() as work:
            record = work.get(MemoryRecord, "memory", id)
            if record is None:
                return False
            work.remove(memory_place(record))
            work.remove(("memory", id))
        return True


def _alive(given: dict[str, str], prefix: str = "") -> Callable[[MemoryRecord], bool]:
    """The condition that a record has not expired, has these values, and a key that begins so."""
    now, matches = records.now(), matching(given)

    def where(record: MemoryRecord) -> bool:
        alive = record.expires_at is None or record.expires_at > now
        return alive and record.key.startswith(prefix) and (matches is None or matches(record))

    return where
