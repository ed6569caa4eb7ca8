"""Removing what is too old, by rules, in small batches and from the oldest on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import islice, takewhile
from typing import Any, NamedTuple

from ..backends.base import Condition, Query
from ..chains.numbering import audit_chain, session_of
from ..exceptions import LegalHold, StaleWriter
from ..facade import Storage
from ..queues.base import RETENTION, EventQueue
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

#: The record of each type that is found for itself, and the time that says how old it is.
_SCATTERED: dict[str, tuple[type[Any], str]] = {
    "memory": (MemoryRecord, "updated_at"),
    "trace": (Trace, "started_at"),
    "artifact": (Artifact, "created_at"),
}


def prune(
    storage: Storage,
    queue: EventQueue,
    rules: Sequence[Rule],
    *,
    dry_run: bool = False,
    progress: Callable[[Pruned], object] | None = None,
) -> Pruned:
    """Remove what the rules are of, one after the other, from the oldest on; what is held stays, and is counted.

    It goes by transactions of a tenth of a second or so, may run beside all others, and be broken off and run again.

    Args:
        queue: for rules of the type ``queue``.
        dry_run: count only, each rule as if it were the only one.
        progress: called after each batch, with the report as far as it is.
    """
    report = Pruned(dry_run=dry_run)
    pruner = _Pruner(storage, queue, report, progress)
    for rule in rules:
        report.lines.append(Line(rule))
        pruner.follow(rule, report.lines[-1])
    return report


class _Found(NamedTuple):
    """A record that is old enough: its content, which may be large, is not kept."""

    id: str
    session_id: str
    timestamp: datetime


class _Pruner:
    def __init__(
        self, storage: Storage, queue: EventQueue, report: Pruned, progress: Callable[[Pruned], object] | None
    ) -> None:
        self._storage = storage
        self._backend = storage.backend
        self._queue = queue
        self._report = report
        self._dry_run = report.dry_run
        self._progress = progress
        self._pace = Pace()

    def follow(self, rule: Rule, line: Line) -> None:
        """Remove what one rule is of."""
        before = now() - (rule.older_than or timedelta(0))
        match rule.type:
            case "session":
                for session in self._walk(rule, "last_activity_at", before):
                    self._session(rule, line, session, before)
            case "message":
                for session in self._walk(rule, "created_at", before):
                    messages = self._of(Message, session.id, ("seq_num",))
                    self._remove(line, session, Message, takewhile(_older(before), messages))
            case "checkpoint":
                for session in self._walk(rule, "created_at", before):
                    self._checkpoints(line, session, rule.keep_last, before)
            case "compaction":
                for session in self._walk(rule, "last_activity_at", before):
                    self._checkpoints(line, session, 1, now())
            case "trace" | "memory" | "artifact":
                self._scattered(rule, line, before)
            case "event" | "audit_log":
                self._ledger(rule, line, before)
            case "queue":
                older_than = rule.older_than or RETENTION
                line.records = None if self._dry_run else self._queue.cleanup(older_than=older_than)
            case "artifact_file":
                self._files(rule, line)
        self._step()

    def _step(self) -> None:
        if self._progress is not None:
            self._progress(self._report)

    # Sessions

    def _walk(self, rule: Rule, time_field: str, before: datetime) -> Iterator[Session]:
        """The sessions of a rule, soft-deleted or not, with a time before that one, the oldest first."""
        same = (("agent_id", rule.agent_id), ("user_id", rule.user_id))
        where = [Condition(name, "=", value) for name, value in same if value is not None]
        where.append(Condition(time_field, "<", before))
        found = self._backend.iterate(Query(record=Session, where=tuple(where), order=(time_field, "id")))
        return filter(rule.has, found)

    def _session(self, rule: Rule, line: Line, session: Session, before: datetime) -> None:
        if not _is_due(rule, session, before):
            return
        if session.legal_hold or self._dry_run:
            line.add(1, held=session.legal_hold)
        else:
            hard = rule.hard or rule.deleted

            def delete(hard: bool) -> bool:
                found = self._found(Session, [session.id])
                # In which something may have happened by now.
                if not found or not rule.has(found[0]) or not _is_due(rule, found[0], before):
                    return False
                return self._storage.delete_session(session.id, hard=hard, fence=self._token(found[0]))

            try:
                if hard and self._is_large(session.id):
                    self._backend.exclusively(Session, [session.id], partial(delete, False))
                    self._empty(session)
                line.add(self._backend.exclusively(Session, [session.id], partial(delete, hard)))
            except LegalHold:  # which came in between
                line.add(1, held=True)
            except StaleWriter:  # it is somebody's again
                return
        self._step()

    def _token(self, session: Session) -> int | None:
        """What a session asks of its writers: who looks after a store overtakes nobody, and is let in everywhere."""
        if not session.require_fence:
            return None
        fence = self._storage.get_fence(session.id)
        return 0 if fence is None else fence.token

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
            self._remove_scattered(line, scattered, map(_noted, self._of(scattered, session.id, order)))
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
            old = [_noted(each) for each in found if _older(before)(each)]
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

    def _scattered(self, rule: Rule, line: Line, before: datetime) -> None:
        record, time_field = _SCATTERED[rule.type]
        time_field = "expires_at" if rule.expired else time_field
        by_time = record is Artifact or (record is Trace and self._backend.using is not None)
        if by_time:
            where = (Condition(time_field, "<", before),)
            found = self._backend.iterate(Query(record=record, where=where, order=(time_field, "id")))
        else:  # there is no index by time
            found = self._backend.scan(record, None, None)

        def is_due(each: Any) -> bool:
            timestamp = getattr(each, time_field)
            if timestamp is None or timestamp >= before or (rule.kind is not None and each.kind != rule.kind):
                return False
            return record is not MemoryRecord or (
                rule.agent_id in (None, each.agent_id) and rule.user_id in (None, each.user_id)
            )

        self._remove_scattered(line, record, map(_noted, filter(is_due, found)))

    def _remove_scattered(self, line: Line, record: type[Any], found: Iterable[_Found]) -> None:
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

    def _remove_free(self, record: type[Any], some: Sequence[_Found]) -> tuple[int, int]:
        """Remove those of them whose sessions, which nobody changes meanwhile, are not held; how many, and are held."""
        sessions = self._sessions_of(some)
        free = {each.id: each for each in some if not _is_held(each, sessions)}
        # What was written anew since it was found stays.
        ids = [each.id for each in self._found(record, list(free)) if _noted(each) == free[each.id]]
        where = [Condition("id", "in", ids)]
        if record is Artifact:
            where.append(Condition("session_id", "=", ""))
        removed = self._backend.delete(Query(record=record, where=tuple(where))) if ids else 0
        return removed, len(some) - len(free)

    # The ledger

    def _ledger(self, rule: Rule, line: Line, before: datetime) -> None:
        record: type[Any] = Event if rule.type == "event" else AuditLog
        purge = Purge(self._storage, rule.type, rule.reason, line, self._pace)
        for chain, session in self._chains(rule, before):
            held = session is not None and session.legal_hold
            for some in self._pace.parts(takewhile(_older(before), self._chain(record, chain))):
                if held or self._dry_run:
                    line.add(len(some), held=held)
                else:
                    purge.add(chain, some[-1].seq_num, len(some))
                self._step()
        purge.carry_out()

    def _chain(self, record: type[Any], chain: str) -> Iterator[Any]:
        where = (Condition("session_id" if record is Event else "chain", "=", chain),)
        return self._backend.iterate(Query(record=record, where=where, order=("seq_num",)))

    def _chains(self, rule: Rule, before: datetime) -> Iterator[tuple[str, Session | None]]:
        """The chains of a rule, and the sessions that they are of."""
        if rule.type == "event":
            for session in self._walk(rule, "created_at", before):
                yield session.id, session
            return
        for head in self._backend.chains(AuditLog):
            if (id := session_of(head.chain)) is None:
                if rule.agent_id in (None, head.chain.removeprefix("agent:")):
                    yield head.chain, None
            else:
                [of_chain] = self._found(Session, [id]) or [None]
                if rule.agent_id is None or (of_chain is not None and rule.has(of_chain)):
                    yield head.chain, of_chain

    # Files

    def _files(self, rule: Rule, line: Line) -> None:
        if self._dry_run:
            line.records = None
            return

        def swept(looked_at: int, removed: int) -> None:
            line.records = removed
            self._step()

        older_than: dict[str, Any] = {} if rule.older_than is None else {"older_than": rule.older_than}
        line.records = self._storage.sweep_artifacts(**older_than, progress=swept)

    # Reading

    def _found(self, record: type[Any], ids: Sequence[str]) -> list[Any]:
        """The records of these ids that are there."""
        query = Query(record=record, where=(Condition("id", "in", list(ids)),))
        return self._backend.run(partial(self._backend.select, query)) if ids else []

    def _sessions_of(self, some: Iterable[_Found]) -> dict[str, Session]:
        """The sessions that these name, by id, as far as they are there."""
        return {session.id: session for session in self._found(Session, sorted({each.session_id for each in some}))}


def _is_due(rule: Rule, session: Session, before: datetime) -> bool:
    """Whether a session of a rule goes."""
    if rule.deleted:
        return session.deleted_at is not None and session.deleted_at < before
    is_there = session.deleted_at is None or rule.hard
    return is_there and session.last_activity_at is not None and session.last_activity_at < before


def _older(before: datetime) -> Callable[[Any], bool]:
    return lambda record: record.created_at is not None and record.created_at < before


def _noted(record: Any) -> _Found:
    names = ("updated_at", "started_at", "created_at")
    return _Found(record.id, record.session_id, next(getattr(record, name) for name in names if hasattr(record, name)))


def _is_held(each: _Found, sessions: dict[str, Session]) -> bool:
    return each.session_id in sessions and sessions[each.session_id].legal_hold
