from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import partial
from typing import Any, TypeVar

from django.db import IntegrityError

from ...chains.numbering import not_stored
from ...compat.connections import in_transaction
from ...distributed.state import is_distributed
from ...exceptions import AlreadyExists
from ...ledger import postgresql, postgresql_messages, postgresql_spans
from ...ledger.mapping import TRACES
from ...ledger.series import AUDIT_CHAIN, EVENT_CHAIN, MESSAGE_SERIES, Series, append
from ...records import Artifact, AuditLog, Event, Message, Record, Trace
from ...snapshots import Unseen, current
from ...spans import complete_trace_ids
from ...transactions import connection_of
from . import hooks
from .artifacts import ArtifactMethods
from .loading import stored_trace_ids

R = TypeVar("R", bound=Record)
Appended = tuple[list[R], list[R]]

#: By the record, the method that appends it.
_HOW: dict[type[Record], str] = {
    Message: "_append_messages",
    Event: "_append_events",
    AuditLog: "_append_audit_logs",
    Trace: "_append_spans",
    Artifact: "_append_artifacts",
}


class SeriesMethods(ArtifactMethods):
    def append(
        self, record: type[R], given: Sequence[R], expected_seq: int | None = None, fence: int | None = None
    ) -> Appended[R]:
        appended: Appended[R] = getattr(self, _HOW[record])(given, expected_seq, fence)
        return appended

    def _append_messages(
        self, given: Sequence[Message], expected_seq: int | None, fence: int | None
    ) -> Appended[Message]:
        connection = connection_of(self.using)
        sessions = {message.session_id for message in given}
        if (
            connection.vendor != "postgresql"
            or not 1 < len(given) <= postgresql_messages.FEW
            or len(sessions) > 1
            or (in_transaction(connection) and is_distributed(connection))  # where a worker is not called
        ):
            return self._in_series(MESSAGE_SERIES, given, expected_seq, fence)
        if stored := postgresql_messages.append_few(connection, given, expected_seq, fence):
            return stored, stored
        return append(self.using, MESSAGE_SERIES, given, expected_seq, fence, look_up=True)

    def _append_events(self, given: Sequence[Event], expected_seq: int | None, fence: int | None) -> Appended[Event]:
        if (outbox := hooks.outbox()) is None:
            return self._in_series(EVENT_CHAIN, given, expected_seq, fence)
        channel = outbox.channel(self.using)
        # On a worker nobody would hear of it.
        if channel and not is_distributed(connection_of(self.using)):
            published = self._append_one(EVENT_CHAIN, given, expected_seq, fence, channel)
            if published:
                return published, published
        with self._atomic():
            stored, new = self._in_series(EVENT_CHAIN, given, expected_seq, fence)
            if new:
                outbox.store(self.using, new)
        return stored, new

    def _append_audit_logs(
        self, given: Sequence[AuditLog], expected_seq: int | None, fence: int | None
    ) -> Appended[AuditLog]:
        call = self._in_series
        if is_distributed(connection_of(self.using)):  # no worker knows the ids of all chains
            call = partial(append, self.using)
        try:
            return call(AUDIT_CHAIN, given, expected_seq, fence)
        except Unseen:  # another writer stored an id in another chain in between
            return call(AUDIT_CHAIN, given, expected_seq, fence)

    def _in_series(
        self, series: Series[R], given: Sequence[R], expected_seq: int | None, fence: int | None
    ) -> Appended[R]:
        if stored := self._append_one(series, given, expected_seq, fence):
            return stored, stored
        look_up = _in_one_statement(connection_of(self.using), given)
        return append(self.using, series, given, expected_seq, fence, look_up=look_up)

    def _append_one(
        self,
        series: Series[R],
        given: Sequence[R],
        expected_seq: int | None,
        fence: int | None,
        channel: str | None = None,
    ) -> list[R]:
        """One record, stored in one statement where the database can and nothing is in the way; else nothing."""
        connection = connection_of(self.using)
        if not _in_one_statement(connection, given):
            return []
        stored = postgresql.append_one(connection, series, given[0], expected_seq, fence, channel)
        return [] if stored is None else [stored]

    def _append_spans(self, given: Sequence[Trace], expected_seq: int | None, fence: int | None) -> Appended[Trace]:
        if fence is None:
            return self._store_spans(given)
        with self._atomic():
            self._require_fence(given[0].session_id, fence)
            return self._store_spans(given)

    def _store_spans(self, given: Sequence[Trace]) -> Appended[Trace]:
        connection = connection_of(self.using)
        if _in_one_statement(connection, given) and (span := postgresql_spans.insert_one(connection, given[0])):
            return [span], [span]
        try:
            return self._insert_spans(given, {})
        except (IntegrityError, AlreadyExists):  # some are stored: two of the batch may be the same as one of those
            known: dict[str, Trace] = {}
            with self._atomic():
                for rows in self._named(self._rows(TRACES), "pk", [trace.id for trace in given]):
                    known |= {trace.id: trace for trace in TRACES.fetch(current(rows))}
        try:
            return self._insert_spans(given, known)
        except IntegrityError as error:
            raise Unseen from error

    def _insert_spans(self, given: Sequence[Trace], known: dict[str, Trace]) -> Appended[Trace]:
        stored, new = not_stored(map(copy, given), known, lambda trace: trace.id)
        complete_trace_ids(new, partial(stored_trace_ids, self.using))
        if len(new) == 1:  # without the transaction that many are stored in
            with self._savepoint():
                TRACES.row(new[0]).save(using=self.using, force_insert=True)
        else:
            with self._atomic():
                TRACES.insert(self.using, new)
        return stored, new


def _in_one_statement(connection: Any, given: Sequence[Any]) -> bool:
    return len(given) == 1 and connection.vendor == "postgresql"
