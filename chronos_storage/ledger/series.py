"""Numbered series of rows: messages, events and audit logs, the last two as hash chains.

`append` is the portable form, for any number of records of any series at once. What PostgreSQL does in one statement
is in `postgresql`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import Any, Generic, TypeVar

from django.db import IntegrityError, connections, transaction
from django.db.models import Q

from .. import codec, records
from ..exceptions import SequenceConflict
from ..models import AuditLog, Event, Head
from ..models.audit_logs import audit_chain
from ..models.mapping import AUDIT_LOGS, EVENTS, MESSAGES, Table
from . import chain
from .guards import LedgerModel
from .heads import lock_heads

R = TypeVar("R", bound=Any)

_IDS_PER_QUERY = 500


class Series(Generic[R]):
    """Records that are numbered within the series their `owner` names."""

    def __init__(self, table: Table[R], kind: Head.Kind) -> None:
        self.table = table
        self.kind = kind

    def owner(self, record: R) -> str:
        """Whose series the record belongs to: the name of its head."""
        return str(record.session_id)

    def key(self, record: R) -> tuple[str, str]:
        """What no two records of the table share."""
        return record.session_id, record.id

    def stored(self, using: str, given: Sequence[R]) -> dict[tuple[str, str], R]:
        """Which of these records are stored already, as they are stored."""
        ids: dict[str, list[str]] = defaultdict(list)
        for record in given:
            if record.id:
                ids[self.key(record)[0]].append(record.id)
        found: dict[tuple[str, str], R] = {}
        for session_id, wanted in ids.items():
            for start in range(0, len(wanted), _IDS_PER_QUERY):
                some = Q(**{f"{self.table.id}__in": wanted[start : start + _IDS_PER_QUERY]})
                if session_id:
                    some &= Q(session_id=session_id)
                rows = self.table.model._default_manager.using(using).filter(some)
                found |= {self.key(record): record for record in self.table.fetch(rows)}
        return found

    def seal(self, head: Head, record: R) -> tuple[R, str]:
        """The record, given the hash that follows the head's, where there are hashes, and the text of its JSON."""
        return record, ""

    def write(self, using: str, sealed: Iterable[tuple[R, str]]) -> None:
        """Store new records, as `seal` gives them."""
        self.table.insert(using, (record for record, _ in sealed))


class ChainSeries(Series[R]):
    """A series in which each row carries the hash of all before it."""

    #: The model's field that names the chain.
    column = "session_id"
    #: The field of JSON.
    document: str
    #: The fields of the content, in the order they are hashed.
    content: tuple[str, ...]

    def tail(self, record: R, document: str) -> bytes:
        """What the record's hash covers besides its place; `document` is the text of its JSON."""
        parts = [chain.time_text(record.created_at)]
        parts += [getattr(record, name) for name in self.content]
        parts.append(document)
        return chain.tail(self.owner(record), record.id, chain.digest(*parts))

    def text(self, record: R) -> str:
        """The text of the record's JSON, as it is stored."""
        return codec.dumps(getattr(record, self.document), self.document)

    def seal(self, head: Head, record: R) -> tuple[R, str]:
        document = self.text(record)
        record.hash = head.hash = chain.link(head.hash, record.seq_num, self.tail(record, document))
        return record, document

    def write(self, using: str, sealed: Iterable[tuple[R, str]]) -> None:
        if connections[using].vendor == "postgresql":
            from . import postgresql

            postgresql.copy(using, self, sealed)
        else:
            super().write(using, sealed)


class _Events(ChainSeries[records.Event]):
    document = "payload"
    content = ("type",)


class _AuditLogs(ChainSeries[records.AuditLog]):
    column = "chain"
    document = "detail"
    content = ("session_id", "agent_id", "user_id", "actor", "action", "resource")

    def owner(self, record: records.AuditLog) -> str:
        return audit_chain(record.session_id, record.agent_id)

    def key(self, record: records.AuditLog) -> tuple[str, str]:
        return "", record.id


MESSAGE_SERIES = Series(MESSAGES, Head.Kind.MESSAGE)
EVENT_CHAIN = _Events(EVENTS, Head.Kind.EVENT)
AUDIT_CHAIN = _AuditLogs(AUDIT_LOGS, Head.Kind.AUDIT_LOG)

SERIES: dict[type[LedgerModel], ChainSeries[Any]] = {Event: EVENT_CHAIN, AuditLog: AUDIT_CHAIN}


def append(
    using: str, series: Series[R], given: Sequence[R], expected_seq: int | None = None, *, look_up: bool = False
) -> tuple[list[R], list[R]]:
    """Store records at the end of their series, all or none.

    What is stored already with the same content is left as it is.

    Args:
        expected_seq: the last number of the (one) series, if something new is to be appended.
        look_up: whether to look at once for what is stored already. It costs a first writing more than it saves a
            second one, which fails and then looks.

    Returns:
        The records as they are stored, in the order given, and those of them that are new.

    Raises:
        InvalidRecord: naming the first field that no backend could keep.
        AlreadyExists: an id that is taken by other content.
        NotFound: a session that isn't there or is soft-deleted.
        SequenceConflict: the last number is another, or a record's own number isn't the next.
    """
    try:
        return _append(using, series, [record.cleaned() for record in given], expected_seq, look_up)
    except (IntegrityError, SequenceConflict):
        if look_up:
            raise
        return append(using, series, given, expected_seq, look_up=True)


def _append(
    using: str, series: Series[R], given: list[R], expected_seq: int | None, look_up: bool
) -> tuple[list[R], list[R]]:
    with transaction.atomic(using=using):
        owners = [series.owner(record) for record in given]
        heads = lock_heads(using, series.kind, owners)
        known = series.stored(using, given) if look_up else {}
        result: list[R] = []
        new: list[tuple[Head, R]] = []
        for record, owner in zip(given, owners, strict=True):
            key = series.key(record) if record.id else None
            if key and (earlier := known.get(key)):
                result.append(records.require_same(record, earlier))
                continue
            head = heads[owner]
            expected = record.seq_num - 1 if record.seq_num else head.seq_num
            if not new and expected_seq is not None:
                expected = expected_seq
            if expected != head.seq_num:
                raise SequenceConflict(expected, head.seq_num)
            record.complete()
            record.seq_num = head.seq_num = head.seq_num + 1
            if key:
                known[key] = record
            result.append(record)
            new.append((head, record))
        if new:
            # One by one, so that the database is at work while the next record is hashed.
            series.write(using, starmap(series.seal, new))
            for head in heads.values():
                Head.objects.using(using).filter(pk=head.pk).update(seq_num=head.seq_num, hash=head.hash)
    return result, [record for _, record in new]
