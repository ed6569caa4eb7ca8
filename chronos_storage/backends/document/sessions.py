from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from ... import codec, records, signals
from ...exceptions import AlreadyExists, InvalidRecord, NotFound
from ...ids import new_id
from ...records import Session
from ..arguments import choice, filters
from ..base import SessionOrder
from ..changes import FIXED, SESSION_FIELDS, new_session, not_deleted, patch_of, taken
from .base import DocumentBase, list_of
from .driver import Key
from .places import SESSION_FILTERS, memory_place
from .purging import PurgeMethods, note_purge
from .work import Work, base_key, gate_key, head_key, retried

_ORDERS = {f"-{name}": name for name in SESSION_FILTERS}


class SessionMethods(PurgeMethods, DocumentBase):
    @retried
    def create_session(self, session: Session) -> Session:
        session = new_session(session)
        with self.work() as work:
            self.create(work, session)
        return session

    def create(self, work: Work, session: Session) -> None:
        """Store a new, complete session and its gate."""
        known = work.get(Session, "session", session.id)
        work.put(session)  # what it refuses is said first, as everywhere
        if known is not None:
            raise taken(known)
        work.set_gate(session.id, is_open=True)
        self.written(work, session)

    @retried
    def save_session(self, session: Session) -> Session:
        session = Session.of(session, "session").cleaned()
        session.id = session.id or new_id()
        try:
            return self.update_session(session)
        except NotFound:
            try:
                return self.create_session(session)
            except AlreadyExists:  # made by another writer in between, or soft-deleted, which the update says
                return self.update_session(session)

    def get_session(self, id: str, *, include_deleted: bool = False) -> Session | None:
        session = self.one(Session, "session", codec.string(id, "id"))
        return session if session is None or include_deleted or session.deleted_at is None else None

    @retried
    def update_session(self, session: Session) -> Session:
        session = Session.of(session, "session").cleaned()
        changes = {name: getattr(session, name) for name in SESSION_FIELDS if name not in FIXED}
        with self.work() as work:
            return self._write(work, session.id, changes)

    @retried
    def patch_session(self, id: str, /, **changes: Any) -> Session:
        changes = patch_of(changes)
        with self.work() as work:
            if "user_id" in changes and self._writable(work, id).user_id not in ("", changes["user_id"]):
                raise InvalidRecord("user_id", "is set already; a session keeps its user")
            return self._write(work, id, changes)

    def _write(self, work: Work, id: str, changes: dict[str, Any]) -> Session:
        """Set these fields of a session that is there; its last activity only ever goes forward."""
        session: Any = self._writable(work, id)
        latest = changes.pop("last_activity_at", None) or session.last_activity_at
        changes["last_activity_at"] = max(latest, session.last_activity_at)
        written: Session = replace(session, **changes, updated_at=records.now())
        work.put(written)
        self.written(work, written)
        return written

    def _writable(self, work: Work, id: str) -> Session:
        session = work.get(Session, "session", codec.string(id, "id"))
        if session is None or session.deleted_at is not None:
            raise NotFound(f"there is no session {id!r}")
        return session

    @retried
    def patch_session_metadata(self, id: str, changes: dict[str, Any]) -> Session:
        changes = codec.filterable_object(changes, "changes")
        with self.work() as work:
            session = self._writable(work, id)
            self.merged(work, session, changes)
        return session

    def list_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        limit: int | None = 100,
        offset: int = 0,
        include_deleted: bool = False,
    ) -> list[Session]:
        given = filters(agent_id=agent_id, user_id=user_id, status=status, container_id=container_id, image_id=image_id)
        return list(self._listed_sessions(given, order, include_deleted, limit, offset))

    def iter_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        include_deleted: bool = False,
    ) -> Iterator[Session]:
        given = filters(agent_id=agent_id, user_id=user_id, status=status, container_id=container_id, image_id=image_id)
        return self._listed_sessions(given, order, include_deleted)

    def _listed_sessions(
        self, given: dict[str, str], order: str, include_deleted: bool, limit: int | None = None, offset: int = 0
    ) -> Iterator[Session]:
        by = choice(order, "order", _ORDERS)
        partition, where = list_of("session", by, given, SESSION_FILTERS[by])
        if not include_deleted:
            where = _alive(where)
        return self.records(Session, partition, where, limit=limit, offset=offset, reverse=True)

    def delete_session(self, id: str, *, hard: bool = False) -> bool:
        id = codec.string(id, "id")
        if not hard:
            return self._hide(id)
        # Closed first, so that its writers stop: the removal reads much, and whoever is faster makes it begin again.
        with self.atomic() if self.supports_transactions else nullcontext():
            self._hide(id, announced=False)
            return self._remove(id)

    @retried
    def _hide(self, id: str, announced: bool = True) -> bool:
        with self.work() as work:
            session = work.get(Session, "session", id)
            if session is None or session.deleted_at is not None:
                return False
            session.deleted_at = records.now()
            work.put(session)
            work.set_gate(id, is_open=False)
            if announced:
                self.announce(work, signals.session_deleted, Session, session_id=id, hard=False)
        return True

    @retried
    def restore_session(self, id: str) -> Session:
        id = codec.string(id, "id")
        with self.work() as work:
            session = work.get(Session, "session", id)
            if session is None or session.deleted_at is None:
                raise not_deleted(id)
            session.deleted_at, session.updated_at = None, records.now()
            work.put(session)
            work.set_gate(id, is_open=True)
            self.written(work, session)
        return session

    @retried
    def _remove(self, id: str) -> bool:
        with self.work() as work:
            if work.get(Session, "session", id) is None:
                return False
            # Read before all that is found by index: what comes to the session later changes one of them.
            chains = {"event": id, "audit_log": f"session:{id}"}
            work.fetch([gate_key(id), head_key("message", id), *[head_key(*chain) for chain in chains.items()]])
            lasts = {(kind, owner): work.head(kind, owner).seq_num for kind, owner in chains.items()}
            purged = [gone for chain, last in lasts.items() if (gone := self.purge(work, *chain, last))]
            removed = {
                "message": work.remove_found(self.walk(("message", "session", id))),
                "checkpoint": sum(work.remove_found(self.walk(series)) for series in self._checkpoint_series(work, id)),
                "trace": work.remove_found(self.walk(("trace", "session", id))),
                "memoryrecord": self._forget(work, id),
            }
            for kind, owner in (("message", id), *chains.items()):
                work.remove_head(kind, owner)
                work.remove(base_key(kind, owner))
            work.remove(gate_key(id))
            work.remove(("session", id))
            detail = {"reason": "the session was deleted", "chains": purged, "removed": removed}
            note_purge(self, work, action="session.delete", resource=id, detail=detail)
            self.announce(work, signals.session_deleted, Session, session_id=id, hard=True)
        return True

    def _checkpoint_series(self, work: Work, id: str) -> Iterator[Key]:
        """The partitions of a session's checkpoints, whose heads are removed."""
        for head in list(self.walk(("head", "checkpoint", id))):
            work.remove_found([head])
            yield ("checkpoint", "series", id, head.key[-1])

    def _forget(self, work: Work, id: str) -> int:
        found = list(self.records(records.MemoryRecord, ("memory", "session", id)))
        work.fetch(key for record in found for key in (memory_place(record), ("memory", record.id)))
        for record in found:
            work.remove(memory_place(record))
            work.remove(("memory", record.id))
        return len(found)


def _alive(where: Callable[[Session], bool] | None) -> Callable[[Session], bool]:
    return lambda session: session.deleted_at is None and (where is None or where(session))
