"""Removing records in small batches, from the oldest on, but for what is under a legal hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from ..backends.base import Condition, Query
from ..chains.numbering import audit_chain
from ..exceptions import LegalHold
from ..facade import Storage
from ..records import (
    REMOVED_WITH_SESSION,
    Artifact,
    AuditLog,
    Checkpoint,
    Event,
    MemoryRecord,
    Message,
    Record,
    Session,
    Trace,
    now,
)
from .pruned import Line, Pace, Pruned
from .purging import Purge
from .retention import Rule


class Found(NamedTuple):
    """A record that is old enough: its content, which may be large, is not kept."""

    id: str
    session_id: str
    timestamp: datetime


class Removing:
    """Removes what is found, batch by batch, but for what is held.

    Args:
        progress: called after each batch, with the report as far as it is.
    """

    def __init__(self, storage: Storage, report: Pruned, progress: Callable[[Pruned], object] | None) -> None:
        self._storage = storage
        self._backend = storage.backend
        self._report = report
        self._dry_run = report.dry_run
        self._progress = progress
        self._pace = Pace()

    def _step(self) -> None:
        if self._progress is not None:
            self._progress(self._report)

    def _is_large(self, session_id: str) -> bool:
        """Whether a session has more than a batch may."""
        rows = 0
        for query in self._queries_of(session_id):
            rows += self._backend.run(partial(self._backend.count, query))
            if rows > self._pace.size:
                return True
        return False

    def _queries_of(self, session_id: str) -> Iterator[Query[Any]]:
        """What finds all that goes with a session."""
        yield Query(record=AuditLog, where=(Condition("chain", "=", audit_chain(session_id, None)),))
        of_session = Condition("session_id", "=", session_id)
        for record in (*REMOVED_WITH_SESSION, Event):
            if record is not Checkpoint:
                yield Query(record=record, where=(of_session,))
        for namespace in self._storage.list_namespaces(session_id):
            yield Query(record=Checkpoint, where=(of_session, Condition("namespace", "=", namespace)))

    def _empty(self, session: Session) -> None:
        """Remove most of what a session has, batch by batch, before it is removed with the rest."""
        line = Line(Rule(type="session"))
        self._remove(line, session, Message, self._of(Message, session.id, ("seq_num",)))
        self._checkpoints(line, session, 0, now())
        for scattered, order in ((Trace, ("started_at", "id")), (MemoryRecord, ("id",)), (Artifact, ("id",))):
            self._remove_scattered(line, scattered, map(noted, self._of(scattered, session.id, order)))
        for kind, record, chain in (
            ("event", Event, session.id),
            ("audit_log", AuditLog, audit_chain(session.id, None)),
        ):
            purge = Purge(self._storage, kind, f"the session {session.id!r} is removed", line, self._pace)
            for some in self._pace.parts(self._chain(record, chain)):
                purge.add(chain, some[-1].seq_num, len(some))
                self._step()
            purge.carry_out()
        if line.held:
            raise LegalHold(session.id)

    # What belongs to sessions

    def _of(self, record: type[Any], session_id: str, order: tuple[str, ...], **options: Any) -> Iterator[Any]:
        where = (Condition("session_id", "=", session_id),)
        return self._backend.iterate(Query(record=record, where=where, order=order, **options))

    def _checkpoints(self, line: Line, session: Session, keep_last: int, before: datetime) -> None:
        for namespace in self._storage.list_namespaces(session.id):
            of_series = (Condition("session_id", "=", session.id), Condition("namespace", "=", namespace))
            query = Query(record=Checkpoint, where=of_series, order=("-seq_num",), whole=False)
            found = islice(self._backend.iterate(query), keep_last, None)
            old = [noted(each) for each in found if older(before)(each)]
            self._remove(line, session, Checkpoint, reversed(old), *of_series[1:])

    def _remove(
        self, line: Line, session: Session, record: type[Record], found: Iterable[Any], *where: Condition
    ) -> None:
        """Remove a session's messages, checkpoints or artifacts."""
        held = session.legal_hold
        for ids in self._pace.parts(each.id for each in found):
            if held or self._dry_run:
                line.add(len(ids), held=held)
            else:
                of_session = (Condition("session_id", "=", session.id), *where, Condition("id", "in", ids))
                delete = partial(self._backend.delete, Query(record=record, where=of_session), deleted_too=True)
                try:
                    line.add(self._pace.timed(partial(self._backend.run, delete)))
                except LegalHold:  # which came in between
                    held = True
                    line.add(len(ids), held=True)
            self._step()

    # What is found for itself

    def _remove_scattered(self, line: Line, record: type[Any], found: Iterable[Found]) -> None:
        """Remove memories, spans or artifacts, but for those of sessions under a hold."""
        for some in self._pace.parts(found):
            sessions = self._sessions_of(some)
            if record is not MemoryRecord and line.rule.is_of_some_sessions:
                chosen = {id for id, session in sessions.items() if line.rule.has(session)}
                some = [each for each in some if each.session_id in chosen]
            if record is Artifact:
                for id in sorted({each.session_id for each in some} & sessions.keys()):
                    self._remove(line, sessions[id], record, [each for each in some if each.session_id == id])
                some = [each for each in some if not each.session_id]
            if self._dry_run:
                held = sum(_is_held(each, sessions) for each in some)
                line.add(len(some) - held)
                line.add(held, held=True)
            elif some:
                remove = partial(self._remove_free, record, some)
                ids = sorted({each.session_id for each in some} - {""})
                removed, held = self._pace.timed(partial(self._backend.exclusively, Session, ids, remove))
                line.add(removed)
                line.add(held, held=True)
            self._step()

    def _remove_free(self, record: type[Any], some: Sequence[Found]) -> tuple[int, int]:
        """Remove those of them whose sessions, which nobody changes meanwhile, are not held; how many, and are held."""
        sessions = self._sessions_of(some)
        free = {each.id: each for each in some if not _is_held(each, sessions)}
        # What was written anew since it was found stays.
        ids = [each.id for each in self._found(record, list(free)) if noted(each) == free[each.id]]
        where = [Condition("id", "in", ids)]
        if record is Artifact:
            where.append(Condition("session_id", "=", ""))
        removed = self._backend.delete(Query(record=record, where=tuple(where))) if ids else 0
        return removed, len(some) - len(free)

    # The ledger

    def _chain(self, record: type[Any], chain: str) -> Iterator[Any]:
        where = (Condition("session_id" if record is Event else "chain", "=", chain),)
        return self._backend.iterate(Query(record=record, where=where, order=("seq_num",)))

    # Reading

    def _found(self, record: type[Any], ids: Sequence[str]) -> list[Any]:
        """The records of these ids that are there."""
        query = Query(record=record, where=(Condition("id", "in", list(ids)),))
        return self._backend.run(partial(self._backend.select, query)) if ids else []

    def _sessions_of(self, some: Iterable[Found]) -> dict[str, Session]:
        """The sessions that these name, by id, as far as they are there."""
        return {session.id: session for session in self._found(Session, sorted({each.session_id for each in some}))}


def older(before: datetime) -> Callable[[Any], bool]:
    """Whether a record was made before a time."""
    return lambda record: record.created_at is not None and record.created_at < before


def noted(record: Any) -> Found:
    """What is kept of a record until it is removed."""
    names = ("updated_at", "started_at", "created_at")
    return Found(record.id, record.session_id, next(getattr(record, name) for name in names if hasattr(record, name)))


def _is_held(each: Found, sessions: dict[str, Session]) -> bool:
    return each.session_id in sessions and sessions[each.session_id].legal_hold
