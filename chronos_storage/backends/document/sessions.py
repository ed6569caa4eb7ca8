from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from datetime import datetime
from functools import partial

from ... import records
from ...chains.erasing import removal_entry
from ...chains.numbering import audit_chain
from ...exceptions import LegalHold
from ...records import AuditLog, Checkpoint, Session
from ...refusals import Reason, Refused
from .checkpoints import CheckpointMethods
from .deletion import DeletionMethods
from .driver import Key
from .fences import forget_holder
from .indexes import INDEXES, KIND_OF, memory_place, series_of
from .item_log import log_of
from .purging import PurgeMethods, note, note_purge
from .unit_of_work import UnitOfWork, base_key, guard_key, head_key


class SessionMethods(CheckpointMethods, DeletionMethods, PurgeMethods):
    def insert(self, session: Session, checkpoint: Checkpoint | None = None) -> None:
        with self.work() as work:
            self._insert(work, session)
            if checkpoint is not None:
                self._save(work, checkpoint, fresh=True, fence=0)  # which it has, whether it requires one or not

    def _insert(self, work: UnitOfWork, session: Session) -> None:
        """Store a new session and its guard."""
        work.fetch([("session", session.id), guard_key(session.id)])
        known = work.get(Session, "session", session.id)
        work.put(session)  # what it refuses is said first, as everywhere
        if known is not None:
            raise Refused(Reason.TAKEN, Session, session.id, known)
        work.set_guard(session.id, require_fence=session.require_fence)

    def close_session(self, id: str, at: datetime, fence: int | None = None) -> bool:
        return self._close(id, at, fence)

    def _close(
        self, id: str, at: datetime, fence: int | None, *, removing: bool = False, erasing: bool = False
    ) -> bool:
        """Soft-delete a session, also where that is the first step of its removal."""
        with self.work() as work:
            work.fetch([("session", id), guard_key(id)])
            session = work.get(Session, "session", id)
            if session is None or session.deleted_at is not None:
                return False
            if not erasing:
                work.require_fences([id], fence)
            if removing:
                work.refuse_held(id)
            session.deleted_at = at
            work.put(session)
            work.set_guard(id, is_open=False)
        return True

    def open_session(self, id: str, at: datetime, fence: int | None = None) -> Session:
        with self.work() as work:
            work.fetch([("session", id), guard_key(id)])
            session = work.get(Session, "session", id)
            if session is None or session.deleted_at is None:
                raise Refused(Reason.MISSING, Session, id)
            work.require_fences([id], fence)
            session.deleted_at, session.updated_at = None, at
            work.put(session)
            work.set_guard(id, is_open=True)
        return session

    def remove_session(self, id: str, fence: int | None = None, *, erasing: bool = False) -> AuditLog | None:
        # Closed first, so that its writers stop: the removal reads much, and whoever is faster makes it begin again.
        with self.transaction() if self.supports_transactions else nullcontext():
            # Who has looked at the session looks at it again if he must begin again, and is to find it as it was.
            close = partial(self._close, id, records.now(), fence, removing=True, erasing=erasing)
            closed = self._seen is None and self.run(close)
            try:
                return self.run(lambda: self._remove(id, fence, erasing=erasing))
            except LegalHold:  # which came in between
                if closed:
                    self.run(lambda: self.open_session(id, records.now(), fence))
                raise

    def hold(self, id: str, held: bool, at: datetime, log: AuditLog) -> tuple[Session, AuditLog]:
        with self.work() as work:
            session = work.get(Session, "session", id)
            if session is None:
                raise Refused(Reason.MISSING, Session, id)
            session.legal_hold, session.updated_at = held, at
            work.put(session)
            work.set_guard(id, legal_hold=held)  # which whoever removes something of it has read
            logs = note(work, log)
        return session, logs[-1]

    def _remove(self, id: str, fence: int | None, *, erasing: bool) -> AuditLog | None:
        with self.work() as work:
            # Read before all that is found by index: what comes to the session later changes one of them.
            chains = {"event": id, "audit_log": audit_chain(id, None)}
            heads = [head_key(*chain) for chain in chains.items()]
            work.fetch([("session", id), guard_key(id), head_key("message", id), *heads])
            if work.get(Session, "session", id) is None:
                return None
            if not erasing:
                work.require_fences([id], fence)
            work.refuse_held(id)
            lasts = {(kind, owner): work.head(kind, owner).seq_num for kind, owner in chains.items()}
            purged = [gone for chain, last in lasts.items() if (gone := self.purge(work, *chain, last))]
            removed = {
                record.__name__.lower(): self._remove_all(work, record, id) for record in records.REMOVED_WITH_SESSION
            }
            for kind, owner in (("message", id), *chains.items()):
                work.remove_head(kind, owner)
                work.remove(base_key(kind, owner))
            work.remove(guard_key(id))
            forget_holder(work, id, whole=erasing)
            work.remove_found(self.walk(("head", "artifact", id)))
            work.remove(("session", id))
            logs = note_purge(work, **removal_entry(id, purged, removed, erasing=erasing))
        return logs[-1]

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
