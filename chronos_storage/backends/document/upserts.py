from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from typing import Any, TypeVar

from ... import codec
from ...records import MemoryRecord, Record, Session
from ...refusals import Reason, Refused
from ..base import Patch
from .base import DocumentBase
from .driver import Document, Key
from .indexes import KIND_OF, SHORT_TERM, expiry_of, key_of, memory_place
from .unit_of_work import UnitOfWork, guard_key

R = TypeVar("R", bound=Record)


class UpsertMethods(DocumentBase):
    def put(self, given: Sequence[R], fresh: Set[str] = frozenset(), fence: int | None = None) -> list[R]:
        with self.work() as work:
            if fence is not None:
                work.require_fences([given[0].session_id], fence)  # type: ignore[attr-defined]
            work.fetch(key for record in given for key in _keys(record))
            known_first = sorted(given, key=lambda record: work.document(key_of(record)) is None)
            stored = {record.id: self._put(work, record, fresh) for record in known_first}
        return [stored[record.id] for record in given]

    def _put(self, work: UnitOfWork, record: Any, fresh: Set[str]) -> Any:
        if isinstance(record, MemoryRecord):
            return self._put_memory(work, record, record.id in fresh)
        known: Any = work.get(type(record), *key_of(record))
        if known is not None:
            record = replace(record, created_at=known.created_at)
        work.put(record)
        return record

    def _put_memory(self, work: UnitOfWork, record: MemoryRecord, fresh: bool) -> MemoryRecord:
        known = None if fresh else work.get(MemoryRecord, "memory", record.id)
        holder = work.document(memory_place(record))
        if known is None and holder is not None:
            known = work.get(MemoryRecord, "memory", codec.loads(holder.body))
        if known is not None:
            record = replace(record, id=known.id, created_at=known.created_at)
            if memory_place(known) != memory_place(record):
                work.remove(memory_place(known))
        put_in_place(work, record)
        return record

    def patch(self, record: type[R], id: str, patch: Patch, fence: int | None = None) -> R:
        with self.work() as work:
            if record is Session:
                work.fetch([("session", id), guard_key(id)])
            stored: Any = work.get(record, KIND_OF[record], id)
            if stored is None or (record is Session and stored.deleted_at is not None):
                raise Refused(Reason.MISSING, record, id)
            if record is Session or fence is not None:
                work.require_fences([id if record is Session else stored.session_id], fence)
            if any(getattr(stored, name) not in ("", value) for name, value in patch.once.items()):
                raise Refused(Reason.CONDITION, record, id, stored)
            changes = {
                **patch.values,
                **patch.once,
                **{name: max(value, getattr(stored, name)) for name, value in patch.forward.items()},
                **{name: getattr(stored, name) or value for name, value in patch.first.items()},
            }
            if patch.merge is not None:
                changes["metadata"] = {**stored.metadata, **patch.merge}
            patched: R = replace(stored, **changes)
            patched.check_size()  # which the changes may have made too large
            work.put(patched)
            if isinstance(patched, Session):
                of_guard = {name: getattr(patched, name) for name in ("require_fence", "legal_hold")}
                if any(value != getattr(stored, name) for name, value in of_guard.items()):
                    work.set_guard(id, **of_guard)
        return patched


def _keys(record: Record) -> Iterator[Key]:
    yield key_of(record)
    if isinstance(record, MemoryRecord):
        yield memory_place(record)


def put_in_place(work: UnitOfWork, record: MemoryRecord) -> None:
    """Write a memory and its hold on its natural key.

    Raises:
        Refused: TAKEN, where another record holds that key.
    """
    place, id = memory_place(record), codec.dumps(record.id)
    holder = work.document(place)
    if holder is not None and holder.body != id:
        raise Refused(Reason.TAKEN, MemoryRecord, record.id)
    if holder is None or record.kind == SHORT_TERM:  # which may last longer now, or for good
        work.write(Document(place, id, expires_at=expiry_of(record)))
    work.put(record)
