from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime

from ... import records
from ...records import AuditLog, Checkpoint, Session
from ...refusals import Reason, Refused
from .checkpoints import CheckpointMethods
from .deletion import DeletionMethods
from .driver import Key
from .fences import forget_holder
from .indexes import INDEXES, KIND_OF, memory_place, series_of
from .item_log import log_of
from .purging import PurgeMethods, note_purge
from .unit_of_work import UnitOfWork, base_key, guard_key, head_key


class SessionMethods(CheckpointMethods, DeletionMethods, PurgeMethods):
    def insert(self, session: Session, checkpoint: Checkpoint | None = None) -> None:
        with self.work() as work:
            self._insert(work, session)
            if checkpoint is not None:
                self._save(work, checkpoint, fresh=True, fence=0)  # which it has, whether it requires one or not

    def _insert(self, work: UnitOfWork, session: Session) -> None:
        """Store a new session and its guard."""
        known = work.get(Session, "session", session.id)
        work.put(session)  # what it refuses is said first, as everywhere
        if known is not None:
            raise Refused(Reason.TAKEN, Session, session.id, known)
        work.set_guard(session.id, require_fence=session.require_fence)

    def close_session(self, id: str, at: datetime, fence: int | None = None) -> bool:
        with self.work() as work:
            session = work.get(Session, "session", id)
            if session is None or session.deleted_at is not None:
                return False
            work.require_fences([id], fence)
            session.deleted_at = at
            work.put(session)
            work.set_guard(id, is_open=False)
        return True

    def open_session(self, id: str, at: datetime, fence: int | None = None) -> Session:
        with self.work() as work:
            session = work.get(Session, "session", id)
            if session is None or session.deleted_at is None:
                raise Refused(Reason.MISSING, Session, id)
            work.require_fences([id], fence)
            session.deleted_at, session.updated_at = None, at
            work.put(session)
            work.set_guard(id, is_open=True)
        return session

    def remove_session(self, id: str, fence: int | None = None) -> AuditLog | None:
        # Closed first, so that its writers stop: the removal reads much, and whoever is faster makes it begin again.
        with self.transaction() if self.supports_transactions else nullcontext():
            self.run(lambda: self.close_session(id, records.now(), fence))
            return self.run(lambda: self._remove(id, fence))

    def _remove(self, id: str, fence: int | None) -> AuditLog | None:
        with self.work() as work:
            if work.get(Session, "session", id) is None:
                return None
            work.require_fences([id], fence)
            # Read before all that is found by index: what comes to the session later changes one of them.
            chains = {"event": id, "audit_log": f"session:{id}"}
            work.fetch([guard_key(id), head_key("message", id), *[head_key(*chain) for chain in chains.items()]])
            lasts = {(kind, owner): work.head(kind, owner).seq_num for kind, owner in chains.items()}
            purged = [gone for chain, last in lasts.items() if (gone := self.purge(work, *chain, last))]
            removed = {
                record.__name__.lower(): self._remove_all(work, record, id) for record in records.REMOVED_WITH_SESSION
            }
            for kind, owner in (("message", id), *chains.items()):
                work.remove_head(kind, owner)
                work.remove(base_key(kind, owner))
            work.remove(guard_key(id))
            forget_holder(work, id)
            work.remove(("session", id))
            detail = {"reason": "the session was deleted", "chains": purged, "removed": removed}
            return note_purge(work, action="session.delete", resource=id, detail=detail)

    def _remove_all(self, work: UnitOfWork, record: type[records.Record], id: str) -> int:
        """Remove a session's records of a type; returns how many."""
        if record is records.MemoryRecord:
            return self._forget(work, id)
        if record is records.Checkpoint:
            partitions: Iterable[Key] = self._checkpoint_series(work, id)
        elif record is records.Message:
            partitions = [series_of("message", id)]
        else:
            partitions = [_of_session(record, KIND_OF[record], id)]
        return sum(work.remove_found(self.walk(partition)) for partition in partitions)

    def _checkpoint_series(self, work: UnitOfWork, id: str) -> Iterator[Key]:
        """The partitions of a session's checkpoints, whose heads and logs are removed."""
        for head in list(self.walk(("head", "checkpoint", id))):
            work.remove_found([head, *self.walk(log_of(id, head.key[-1]))])
            yield series_of("checkpoint", id, head.key[-1])

    def _forget(self, work: UnitOfWork, id: str) -> int:
        found = list(self.records(records.MemoryRecord, _of_session(records.MemoryRecord, "memory", id)))
        work.fetch(key for record in found for key in (memory_place(record), ("memory", record.id)))
        for record in found:
            work.remove(memory_place(record))
            work.remove(("memory", record.id))
        return len(found)


def _of_session(record: type[records.Record], kind: str, id: str) -> Key:
    """The partition of what names a session, by id."""
    index = next(index for index in INDEXES[record] if index.order == ("id",) and index.equal == ("session_id",))
    return index.partition(kind, {"session_id": id})
