"""Numbered series of records over documents, and spans, which are appended too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from ... import records
from ...chains import numbering
from ...chains.numbering import Numbered, assign_numbers, not_stored
from ...records import Artifact, Message, Record, Session, Trace
from ...spans import complete_trace_ids
from .artifacts import ArtifactMethods, store_artifact
from .driver import Key
from .indexes import key_of
from .unit_of_work import UnitOfWork, guard_key, head_key

R = TypeVar("R", bound=Any)


class Series(Numbered[R], Generic[R]):
    """A numbered series in documents.

    Attributes:
        record: the type of its records.
        kind: how its documents and heads are named.
        of_session: whether it belongs to a session, which must be there.
    """

    record: type[R]
    kind: str
    of_session = True

    def needs(self, owner: str) -> list[Key]:
        """What must be known to append to a series."""
        return [head_key(self.kind, owner), *map(guard_key, self.sessions([owner]))]

    def sessions(self, owners: Iterable[str]) -> list[str]:
        """The sessions whose series these are."""
        return list(owners)

    def fetch(self, work: UnitOfWork, given: Sequence[R]) -> dict[tuple[str, str], R]:
        """Read at once all that appending needs; returns which of these records are stored already, by key."""
        owners = dict.fromkeys(map(self.owner, given))
        keys = [key for owner in owners for key in self.needs(owner)]
        named = {key_of(record): self.key(record) for record in given}
        # One that is written again was there before; it is read when the commit says so.
        if len(named) > 1 or not work.recall(keys, named):
            work.fetch([*keys, *named])
        found = {key: work.get(self.record, *place) for place, key in named.items()}
        return {key: record for key, record in found.items() if record is not None}


class _Messages(numbering.Messages, Series[records.Message]):
    record, kind = records.Message, "message"

    def needs(self, owner: str) -> list[Key]:
        return [*super().needs(owner), ("session", owner)]  # whose last activity moves


class _Events(numbering.Events, Series[records.Event]):
    record, kind = records.Event, "event"


class _AuditLogs(numbering.AuditLogs, Series[records.AuditLog]):
    record, kind, of_session = records.AuditLog, "audit_log", False

    def sessions(self, owners: Iterable[str]) -> list[str]:
        return [id for owner in owners if (id := numbering.session_of(owner)) is not None]


#: By type of record.
SERIES: dict[type[Record], Series[Any]] = {series.record: series for series in (_Messages(), _Events(), _AuditLogs())}


class SeriesMethods(ArtifactMethods):
    def append(
        self, record: type[R], given: Sequence[R], expected_seq: int | None = None, fence: int | None = None
    ) -> tuple[list[R], list[R]]:
        with self.work() as work:
            if record is Trace:
                return _store_spans(work, given, fence)
            if record is Artifact:
                return store_artifact(work, given[0], fence)
            stored, new = append(work, SERIES[record], given, expected_seq, fence)
            if record is Message:
                _move_activity(work, new)
        return stored, new


def append(
    work: UnitOfWork,
    series: Series[R],
    given: Sequence[R],
    expected_seq: int | None = None,
    fence: int | None = None,
) -> tuple[list[R], list[R]]:
    """Put records at the end of their series; what is stored already with the same content is left as it is.

    Args:
        given: checked, with ids; they are not changed.
        expected_seq: the last number of the (one) series, if something new is to be appended.
        fence: the writer's token; None for who has none.

    Returns:
        The records as they are stored, in the order given, and those of them that are new.

    Raises:
        AlreadyExists: an id that is taken by other content.
        Refused: MISSING, DELETED or STALE, a session.
        SequenceConflict: the last number is another, or a record's own number isn't the next.
    """
    known = series.fetch(work, given)
    heads = {owner: work.head(series.kind, owner) for owner in map(series.owner, given)}
    sessions = series.sessions(heads)
    if series.of_session:
        work.require_all_open(sessions)
    work.require_fences(sessions, fence)
    result, new = assign_numbers(series, list(map(copy, given)), heads, known, expected_seq)
    for head, record in new:
        series.seal(head, record)
        head.count += 1
        work.put(record)
    return result, [record for _, record in new]


def _move_activity(work: UnitOfWork, new: list[Any]) -> None:
    newest: dict[str, datetime] = {}
    for message in new:
        newest[message.session_id] = max(message.created_at, newest.get(message.session_id, message.created_at))
    for session_id, timestamp in newest.items():
        session: Any = work.get(Session, "session", session_id)
        if timestamp > session.last_activity_at:
            session.last_activity_at = timestamp
            work.put(session)


def _store_spans(work: UnitOfWork, given: Sequence[Any], fence: int | None) -> tuple[list[Any], list[Any]]:
    if fence is not None:
        work.require_fences([given[0].session_id], fence)
    work.fetch(map(key_of, given))
    known = {trace.id: work.get(Trace, "trace", trace.id) for trace in given}
    there = {id: trace for id, trace in known.items() if trace is not None}
    stored, new = not_stored(map(copy, given), there, _id)
    complete_trace_ids(new, partial(stored_trace_ids, work))
    for trace in new:
        work.put(trace)
    return stored, new


def stored_trace_ids(work: UnitOfWork, ids: Iterable[str]) -> dict[str, str]:
    """The trace_id of those of these spans that are stored, by id."""
    places = {id: ("trace", id) for id in ids}
    work.fetch(places.values())
    found = {id: work.get(Trace, *place) for id, place in places.items()}
    return {id: trace.trace_id for id, trace in found.items() if trace is not None}


def _id(record: Any) -> Any:
    return record.id
