"""Writing records as they are: numbers, times and hashes included."""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import Any

from ...chains.numbering import extend_chain, not_stored, require_complete
from ...checkpoints.outlines import outline
from ...records import Artifact, Blob, Checkpoint, Event, MemoryRecord, Message, Record, Session, Trace, now
from ...refusals import Reason, Refused
from ...spans import complete_trace_ids
from .checkpoints import CheckpointMethods
from .driver import Entry
from .indexes import entries_of, key_of
from .series import SERIES, stored_trace_ids
from .unit_of_work import UnitOfWork, guard_key, head_key
from .upserts import put_in_place


class LoadMethods(CheckpointMethods):
    def load_into(self, work: UnitOfWork, given: list[Record]) -> int:
        """Store what is new of these records; returns how many."""
        count = 0
        taken: set[Entry] = set()
        for record_type, group in groupby(given, type):
            complete: list[Any] = [require_complete(record.cleaned()) for record in group]
            if record_type is Artifact:  # whose id may be another session's
                self._require_sessions(work, {record.session_id for record in complete if record.session_id})
            new = self._new(work, record_type, complete)
            self._number(work, record_type, new, taken)
            for record in new:
                self._store(work, record)
            count += len(new)
        return count

    def _new(self, work: UnitOfWork, record_type: type[Any], given: list[Any]) -> list[Any]:
        work.fetch(map(key_of, given))
        stored = {key: work.get(record_type, *key) for key in map(key_of, given)}
        known = {key: self._known(record) for key, record in stored.items() if record is not None}
        _, new = not_stored(given, known, key_of)
        if record_type is Trace:
            complete_trace_ids(new, partial(stored_trace_ids, work))
        return new

    def _known(self, record: Any) -> Any:
        return self.whole_now(record) if isinstance(record, Checkpoint) else record

    def _number(self, work: UnitOfWork, record_type: type[Any], new: list[Any], taken: set[Entry]) -> None:
        """See that the numbers of new records are free and fit, and move the heads of their series."""
        if record_type in (Message, Event, Checkpoint):
            self._require_sessions(work, {record.session_id for record in new})
        if record_type is Checkpoint:
            for record in new:
                head = self._series_head(work, record)
                self._require_free(record, head, taken, record.seq_num)
                head.seq_num = max(head.seq_num, record.seq_num)
                head.count += 1
        elif record_type is Artifact:
            self._number_artifacts(work, new, taken)
        elif series := SERIES.get(record_type):
            work.fetch(head_key(series.kind, series.owner(record)) for record in new)
            heads = {owner: work.head(series.kind, owner) for owner in map(series.owner, new)}
            if record_type is Message:
                for record in new:
                    self._require_free(record, heads[record.session_id], taken, record.seq_num)
            extend_chain(series, new, heads)
            for record in new:
                heads[series.owner(record)].count += 1

    def _require_sessions(self, work: UnitOfWork, sessions: set[str]) -> None:
        work.fetch(map(guard_key, sessions))
        work.require_all_open(sessions, deleted_too=True)

    def _number_artifacts(self, work: UnitOfWork, new: list[Artifact], taken: set[Entry]) -> None:
        for session_id in {record.session_id for record in new if record.session_id}:
            work.touch_guard(session_id)
        for record in new:
            head = work.head("artifact", record.session_id, record.scope)
            self._require_free(record, head, taken, record.version)
            head.seq_num = max(head.seq_num, record.version)
            # What nobody has used for long may be about to be removed.
            if blob := work.get(Blob, "blob", record.sha256):
                blob.used_at = now()
                work.put(blob)

    def _require_free(self, record: Any, head: Any, taken: set[Entry], number: int) -> None:
        place = entries_of(record)[0]
        if place in taken or (number <= head.seq_num and self._is_taken(place.partition, number)):
            raise Refused(Reason.NUMBER_TAKEN, type(record), record.session_id)
        taken.add(place)

    def _store(self, work: UnitOfWork, record: Any) -> None:
        if isinstance(record, MemoryRecord):
            put_in_place(work, record)
            return
        if isinstance(record, Checkpoint):
            record = self.keep(work, record, outline(record.state))
        work.put(record)
        if isinstance(record, Session):
            work.set_guard(
                record.id,
                is_open=record.deleted_at is None,
                require_fence=record.require_fence,
                legal_hold=record.legal_hold,
            )
