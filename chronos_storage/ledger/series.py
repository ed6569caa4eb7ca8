"""Numbered series in the tables of Django's models.

`append` is the portable form, for any number of records of any series at once. What PostgreSQL does in one statement
is in `postgresql`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from copy import copy
from datetime import datetime
from itertools import starmap
from typing import Any, TypeVar

from django.db import IntegrityError, connections, transaction
from django.db.models import CharField, DateTimeField, F, Model, Q
from django.db.models.functions import Greatest
from django.db.models.query import QuerySet

from .. import records
from ..chains.numbering import AuditLogs, Chained, Events, Messages, Numbered, assign_numbers
from ..compat.queries import updating
from ..distributed.state import is_distributed
from ..exceptions import AlreadyExists, SequenceConflict, StoreFailure
from ..models import AuditLog, Event, Head, Session
from ..snapshots import Unseen, current
from ..transactions import connection_of
from . import audit_ids, postgresql
from .heads import head_owner, lock_heads, move
from .kept import Built, Place, execute_kept
from .mapping import AUDIT_LOGS, EVENTS, MESSAGES, Table

R = TypeVar("R", bound=Any)

_IDS_PER_QUERY = 500


class Series(Numbered[R]):
    """A numbered series in the table of a model."""

    #: The model's field that names the series, and the one that holds its owner.
    column = owner_column = "session_id"
    #: Whether what is appended may be published; see `outbox`.
    is_published = False

    def __init__(self, table: Table[R], kind: Head.Kind) -> None:
        self.table = table
        self.kind = kind

    def rows(self, using: str, name: str) -> QuerySet[Any]:
        """The rows of a series."""
        return self.rows_of(using, name, head_owner(self.kind, name))

    def rows_of(self, using: str, name: Any, owner: Any) -> QuerySet[Any]:
        """The same, of an owner or of what stands for him."""
        found = {self.column: name, self.owner_column: owner}
        rows: QuerySet[Any] = self.table.model._default_manager.using(using).filter(**found)
        return rows

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
                rows = current(self.table.model._default_manager.using(using).filter(some))
                found |= {self.key(record): record for record in self.table.fetch(rows)}
        return found

    def write(self, using: str, sealed: Iterable[tuple[R, str]]) -> None:
        """Store new records, as `seal` gives them."""
        connection = connections[using]
        # Of what a COPY is refused for, Citus tells no more than the message.
        if connection.vendor == "postgresql" and not is_distributed(connection):
            postgresql.copy_rows(using, self, sealed)
        else:
            self.table.insert(using, (record for record, _ in sealed))


class ChainSeries(Chained[R], Series[R]):
    """A hash chain in the table of a model."""


class _Messages(Messages, Series[records.Message]):
    pass


class _Events(Events, ChainSeries[records.Event]):
    is_published = True


class _AuditLogs(AuditLogs, ChainSeries[records.AuditLog]):
    column, owner_column = "chain", "owner"

    def write(self, using: str, sealed: Iterable[tuple[records.AuditLog, str]]) -> None:
        if is_distributed(connections[using]):
            sealed = list(sealed)
            audit_ids.take(using, (record.id for record, _ in sealed))
        super().write(using, sealed)


MESSAGE_SERIES = _Messages(MESSAGES, Head.Kind.MESSAGE)
EVENT_CHAIN = _Events(EVENTS, Head.Kind.EVENT)
AUDIT_CHAIN = _AuditLogs(AUDIT_LOGS, Head.Kind.AUDIT_LOG)

#: By the record.
SERIES: dict[type[records.Record], Series[Any]] = {
    series.table.record: series for series in (MESSAGE_SERIES, EVENT_CHAIN, AUDIT_CHAIN)
}
#: Those that are hash chains, by their model.
CHAINS: dict[type[Model], ChainSeries[Any]] = {Event: EVENT_CHAIN, AuditLog: AUDIT_CHAIN}


def append(
    using: str,
    series: Series[R],
    given: Sequence[R],
    expected_seq: int | None = None,
    fence: int | None = None,
    *,
    look_up: bool = False,
) -> tuple[list[R], list[R]]:
    """Store records at the end of their series, all or none.

    What is stored already with the same content is left as it is.

    Args:
        given: checked; they are not changed.
        expected_seq: the last number of the (one) series, if something new is to be appended.
        fence: the writer's token; None for who has none.
        look_up: whether to look at once for what is stored already. It costs a first writing more than it saves a
            second one, which fails and then looks.

    Returns:
        The records as they are stored, in the order given, and those of them that are new.

    Raises:
        AlreadyExists: an id that is taken by other content.
        Refused: MISSING, DELETED or STALE, a session.
        SequenceConflict: the last number is another, or a record's own number isn't the next.
        StoreFailure: a hash chain has a row that was not appended.
    """
    try:
        return _append(using, series, list(map(copy, given)), expected_seq, fence, look_up)
    except IntegrityError as error:
        if look_up and not _caught_up(using, series, given):
            raise Unseen from error
    except SequenceConflict as conflict:
        # A number that is still to be given may be expected by who has seen a row of it.
        if look_up and not (conflict.expected > conflict.actual and _caught_up(using, series, given)):
            raise
    except AlreadyExists:  # unless what is stored says otherwise
        if look_up:
            raise
    return append(using, series, given, expected_seq, fence, look_up=True)


def _append(
    using: str, series: Series[R], given: list[R], expected_seq: int | None, fence: int | None, look_up: bool
) -> tuple[list[R], list[R]]:
    with transaction.atomic(using=using):
        heads = lock_heads(using, series.kind, map(series.owner, given), fence=fence)
        known = series.stored(using, given) if look_up else {}
        result, new = assign_numbers(series, given, heads, known, expected_seq)
        if new:
            # One by one, so that the database is at work while the next record is hashed.
            series.write(using, starmap(series.seal, new))
            for head in heads.values():
                move(using, head, "seq_num", "hash")
            if series.is_activity:
                _touch(using, [record for _, record in new])
    return result, [record for _, record in new]


def _touch(using: str, new: Iterable[Any]) -> None:
    """Move the last_activity_at of sessions, which are locked, forward to the times of their new messages."""
    newest: dict[str, datetime] = {}
    for message in new:
        newest[message.session_id] = max(message.created_at, newest.get(message.session_id, message.created_at))

    def build() -> Built:
        rows = Session.objects.using(using).filter(pk=Place(0, CharField()))
        return updating(rows, (), {"last_activity_at": Greatest(F("last_activity_at"), Place(1, DateTimeField()))})

    for each in newest.items():
        execute_kept(connection_of(using), "touch", each, build)


def _caught_up(using: str, series: Series[R], given: Sequence[R]) -> bool:
    """Move heads of these records' series on that are behind their rows; whether there were any.

    Models and SQL may store messages too, and don't move it.

    Raises:
        StoreFailure: they are of a hash chain, which goes on from what was appended alone.
    """
    behind = False
    with transaction.atomic(using=using):
        for name, head in lock_heads(using, series.kind, map(series.owner, given), deleted_too=True).items():
            rows = current(series.rows(using, name))
            last = rows.order_by("-seq_num").values_list("seq_num", flat=True).first() or 0
            if last <= head.seq_num:
                continue
            if isinstance(series, Chained):
                raise StoreFailure(
                    f"the {series.kind} chain {name!r} has a number {last}, which was not appended to it;"
                    " `manage.py chronos_verify` names the first such row"
                )
            head.seq_num = last
            move(using, head, "seq_num")
            behind = True
    return behind
