"""Numbered series of records: what belongs to which, and what comes next.

Messages, events and audit logs are numbered; the last two are hash chains too. A series' head, wherever it is kept,
has the last number as `seq_num`, and for a chain the hash it goes on from as `hash`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from .. import codec, records
from ..exceptions import InvalidRecord, SequenceConflict
from . import hashing

R = TypeVar("R", bound=Any)
H = TypeVar("H", bound=Any)


class Numbered(Generic[R]):
    """Records that are numbered within the series their `owner` names."""

    #: Whether what is appended moves its session's last_activity_at.
    is_activity = False

    def owner(self, record: R) -> str:
        """Whose series the record belongs to: the name of its head."""
        return str(record.session_id)

    def key(self, record: R) -> tuple[str, str]:
        """What no two records share."""
        return record.session_id, record.id

    def seal(self, head: Any, record: R) -> tuple[R, str]:
        """The record, given the hash that follows the head's, where there are hashes, and the text of its JSON."""
        return record, ""


class Chained(Numbered[R]):
    """A series in which each record carries the hash of all before it."""

    #: The field of JSON.
    document: str
    #: The fields of the content, in the order they are hashed.
    content: tuple[str, ...]
    #: What an erasure leaves in the fields that it empties.
    blank: Mapping[str, Any]

    def digest(self, record: R, document: str, time: str = "") -> bytes:
        """The digest of the record's content; see `fixed_part`."""
        if record.erased:
            return bytes.fromhex(record.erased)
        time = time or hashing.time_text(record.created_at)
        return hashing.digest(time, *map(str, _content_of(self.content)(record)), document)

    def fixed_part(self, record: R, document: str, time: str = "") -> bytes:
        """What the record's hash covers besides its place.

        Args:
            document: the text of its JSON.
            time: of its created_at, where that is at hand.
        """
        return hashing.fixed_part(self.owner(record), record.id, self.digest(record, document, time))

    def follows(self, previous: str, record: R, document: str) -> bool:
        """Whether a record, emptied (see `erasing`) or not, is as it was appended after the hash `previous`."""
        if record.erased and any(getattr(record, name) != blank for name, blank in self.blank.items()):
            return False
        if len(record.erased) > len(hashing.ZERO):
            digest, tie = record.erased[: len(hashing.ZERO)], record.erased[len(hashing.ZERO) :]
            return bool(tie == hashing.tie(previous, record.seq_num, record.hash, digest))
        return bool(hashing.row_hash(previous, record.seq_num, self.fixed_part(record, document)) == record.hash)

    def text(self, record: R) -> str:
        """The text of the record's JSON, as it is stored."""
        return codec.dumps(getattr(record, self.document), self.document)

    def seal(self, head: Any, record: R) -> tuple[R, str]:
        document = self.text(record)
        record.erased = ""
        record.hash = head.hash = hashing.row_hash(head.hash, record.seq_num, self.fixed_part(record, document))
        return record, document

    def seal_emptied(self, head: Any, record: R) -> tuple[R, str]:
        """The same for one that was emptied, whose hash nothing gives that it has still: without one if it is wrong."""
        document = self.text(record)
        record.hash = head.hash = record.hash if self.follows(head.hash, record, document) else ""
        return record, document


@cache
def _content_of(fields: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """What gives the values of these fields."""
    return attrgetter(*fields)


class Messages(Numbered[records.Message]):
    is_activity = True


class Events(Chained[records.Event]):
    document = "payload"
    content: tuple[str, ...] = ("type", "schema", "schema_version")
    blank: Mapping[str, Any] = MappingProxyType({"type": "", "payload": None, "schema": "", "schema_version": 0})


class AuditLogs(Chained[records.AuditLog]):
    document = "detail"
    content: tuple[str, ...] = ("session_id", "agent_id", "user_id", "actor", "action", "resource")
    blank: Mapping[str, Any] = MappingProxyType(
        {"user_id": "", "actor": "", "action": "", "resource": "", "detail": {}}
    )

    def owner(self, record: records.AuditLog) -> str:
        return audit_chain(record.session_id, record.agent_id)

    def key(self, record: records.AuditLog) -> tuple[str, str]:
        return "", record.id


#: Who the audit entries name that the store writes itself.
ACTOR = "chronos_storage"


def audit_chain(session_id: str | None, agent_id: str | None) -> str:
    """The name of the chain that an audit entry of this session, or of this agent without a session, is in."""
    return f"session:{session_id}" if session_id else f"agent:{agent_id or ''}"


def session_topic(session_id: str) -> str:
    """The topic on which a session's events are published."""
    return f"session:{session_id}"


def session_of(name: str) -> str | None:
    """The session whose own audit chain or topic has this name; None for an agent's, or another."""
    kind, _, id = name.partition(":")
    return id if kind == "session" else None


def owner_of(name: str) -> str:
    """Whose the audit chain or the topic of this name is: the session's, by its id; else it is its own."""
    return session_of(name) or name


def chain_of(session_id: str | None, agent_id: str | None) -> str:
    """The name of the chain of audit logs that two arguments ask for, checked."""
    session_id = None if session_id is None else codec.string(session_id, "session_id")
    return audit_chain(session_id, None if agent_id is None else codec.string(agent_id, "agent_id"))


def assign_numbers(
    series: Numbered[R],
    given: Sequence[R],
    heads: Mapping[str, H],
    known: dict[tuple[str, str], R],
    expected_seq: int | None = None,
) -> tuple[list[R], list[tuple[H, R]]]:
    """Complete what is new, and give it the next numbers; the heads move on.

    Args:
        heads: by owner.
        known: what is stored already, by key.
        expected_seq: the last number of the (one) series, if something new is to be appended.

    Returns:
        The records in the order given, known ones as they are stored, and the new ones, each with its head.

    Raises:
        AlreadyExists: an id that is taken by other content.
        SequenceConflict: the last number is another, or a record's own number isn't the next.
    """
    result: list[R] = []
    new: list[tuple[H, R]] = []
    for record in given:
        key = series.key(record) if record.id else None
        if key and (earlier := known.get(key)):
            result.append(records.require_same(record, earlier))
            continue
        head = heads[series.owner(record)]
        for expected in (None if new else expected_seq, record.seq_num - 1 if record.seq_num else None):
            if expected not in (None, head.seq_num):
                raise SequenceConflict(expected, head.seq_num)
        record.complete()
        record.seq_num = head.seq_num = following(head.seq_num)
        if key:
            known[key] = record
        result.append(record)
        new.append((head, record))
    return result, new


def following(last: int) -> int:
    """The number after a series' last.

    Raises:
        InvalidRecord: there is none; the last was given by a caller.
    """
    return codec.integer(last + 1, "seq_num")


def not_stored(given: Iterable[R], known: dict[Any, R], key: Callable[[R], Any]) -> tuple[list[R], list[R]]:
    """The records given as they will be stored, complete, and those of them that are not stored yet, each once.

    Args:
        given: whose own they are: they are completed, and are the records that are new.

    Raises:
        AlreadyExists: an id that is taken by other content.
    """
    result, new = [], []
    for record in given:
        place = key(record)
        stored = known.get(place)
        if stored is None:
            stored = known[place] = record
            stored.complete()
            new.append(stored)
        else:
            records.require_same(record, stored)
        result.append(stored)
    return result, new


def extend_chain(series: Numbered[R], new: Iterable[R], heads: Mapping[str, Any]) -> list[tuple[R, str]]:
    """New records with numbers and hashes of their own, as `seal` gives them; the heads move on.

    Raises:
        InvalidRecord: a number or hash that doesn't continue its chain.
    """
    sealed = []
    for record in new:
        head = heads[series.owner(record)]
        given_hash = getattr(record, "hash", "")
        if isinstance(series, Chained) and record.seq_num != head.seq_num + 1:
            raise InvalidRecord("seq_num", f"is {record.seq_num}; the chain goes on with {head.seq_num + 1}")
        if isinstance(series, Chained) and record.erased:
            sealed.append(series.seal_emptied(head, record))
        else:
            sealed.append(series.seal(head, record))
        if getattr(record, "hash", "") != given_hash:
            raise InvalidRecord("hash", f"of number {record.seq_num} doesn't continue the chain")
        head.seq_num = max(head.seq_num, record.seq_num)
    return sealed


def require_complete(record: R) -> R:
    """The record, if it holds all that a store fills in, as `load` takes it."""
    for name in _filled_in(type(record)):  # type: ignore[arg-type]
        if not getattr(record, name):
            raise InvalidRecord(name, "is empty; load() writes complete records, as scan() gives them")
    return record


@cache
def _filled_in(record: Any) -> tuple[str, ...]:
    names = ("id", "seq_num", "version", "sha256", *records.TIMES)
    return tuple(name for name in names if hasattr(record, name))
