"""Removing what is too old, by rules, in small batches and from the oldest on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile
from typing import Any

from ..backends.base import Condition, Query
from ..chains.numbering import session_of
from ..exceptions import LegalHold, StaleWriter
from ..facade import Storage
from ..queues.base import RETENTION, EventQueue
from ..records import (
    Artifact,
    AuditLog,
    Event,
    MemoryRecord,
    Message,
    Session,
    Trace,
    now,
)
from .further import beside
from .pruned import Line, Pruned
from .purging import Purge
from .removing import Removing, noted, older
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


class _Pruner(Removing):
    def __init__(
        self, storage: Storage, queue: EventQueue, report: Pruned, progress: Callable[[Pruned], object] | None
    ) -> None:
        super().__init__(storage, report, progress)
        self._queue = queue

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
                    self._remove(line, session, Message, takewhile(older(before), messages))
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
            case "store_item":
                self._further(rule, line)
        self._step()

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

        self._remove_scattered(line, record, map(noted, filter(is_due, found)))

    # The ledger

    def _ledger(self, rule: Rule, line: Line, before: datetime) -> None:
        record: type[Any] = Event if rule.type == "event" else AuditLog
        purge = Purge(self._storage, rule.type, rule.reason, line, self._pace)
        for chain, session in self._chains(rule, before):
            held = session is not None and session.legal_hold
            for some in self._pace.parts(takewhile(older(before), self._chain(record, chain))):
                if held or self._dry_run:
                    line.add(len(some), held=held)
                else:
                    purge.add(chain, some[-1].seq_num, len(some))
                self._step()
        purge.carry_out()

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

    def _further(self, rule: Rule, line: Line) -> None:
        for kept, using in beside(self._storage):
            if kept.kind != rule.type:
                continue
            if self._dry_run:
                line.add(kept.expired(using))
                continue
            while count := kept.sweep(using):
                line.add(count)
                self._step()


def _is_due(rule: Rule, session: Session, before: datetime) -> bool:
    """Whether a session of a rule goes."""
    if rule.deleted:
        return session.deleted_at is not None and session.deleted_at < before
    is_there = session.deleted_at is None or rule.hard
    return is_there and session.last_activity_at is not None and session.last_activity_at < before
