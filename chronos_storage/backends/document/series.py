"""Numbered series of records over documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from ... import records
from ...chains import numbering
from ...chains.numbering import Numbered, assign_numbers
from .driver import Key
from .places import key_of
from .work import Work, gate_key, head_key

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
        return [head_key(self.kind, owner), *([gate_key(owner)] if self.of_session else [])]

    def fetch(self, work: Work, given: Sequence[R]) -> dict[tuple[str, str], R]:
        """Read at once all that appending needs; returns which of these records are stored already, by key."""
        owners = dict.fromkeys(map(self.owner, given))
        keys = [key for owner in owners for key in self.needs(owner)]
        named = {key_of(record): self.key(record) for record in given if record.id}
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


MESSAGES, EVENTS, AUDIT_LOGS = _Messages(), _Events(), _AuditLogs()


def append(
    work: Work, series: Series[R], given: Sequence[R], expected_seq: int | None = None
) -> tuple[list[R], list[R]]:
    """Put records at the end of their series; what is stored already with the same content is left as it is.

    Args:
        given: cleaned; what is new is completed.
        expected_seq: the last number of the (one) series, if something new is to be appended.

    Returns:
        The records as they are stored, in the order given, and those of them that are new.

    Raises:
        AlreadyExists: an id that is taken by other content.
        NotFound: a session that isn't there or is soft-deleted.
        SequenceConflict: the last number is another, or a record's own number isn't the next.
    """
    named = {id(record) for record in given if record.id}
    known = series.fetch(work, given)
    heads = {owner: work.head(series.kind, owner) for owner in map(series.owner, given)}
    if series.of_session:
        for owner in heads:
            work.require_open(owner)
    result, new = assign_numbers(series, given, heads, known, expected_seq)
    for head, record in new:
        series.seal(head, record)
        head.count += 1
        work.put(record, fresh=id(record) not in named)
    return result, [record for _, record in new]
