from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from ...records import Artifact, Checkpoint, MemoryRecord, Message
from ...refusals import Reason, Refused
from ..base import Query
from .indexes import key_of, memory_place, place_of, series_of
from .reading import ReadingMethods
from .serialization import decode
from .unit_of_work import UnitOfWork


class DeletionMethods(ReadingMethods):
    def delete(self, query: Query[Any], fence: int | None = None, *, deleted_too: bool = False) -> int:
        same = {field: value for field, operator, value in query.where if operator == "="}
        with self.work() as work:
            if query.record in (Message, Checkpoint) or (query.record is Artifact and same["session_id"]):
                if not self._may_remove(work, same["session_id"], fence, deleted_too=deleted_too):
                    return 0
            elif fence is not None:
                work.require_fences([same["session_id"]], fence)
            if query.record is Checkpoint:
                work.head("checkpoint", same["session_id"], same["namespace"])
            found = list(self._found(query))
            count = 0
            work.fetch(map(key_of, found))
            for record in found:
                if work.document(key_of(record)) is not None:
                    self._remove_one(work, record)
                    count += 1
            if count and query.record is Checkpoint:
                self.sweep(work, same["session_id"], same["namespace"], set(map(key_of, found)))
        return count

    def _remove_one(self, work: UnitOfWork, record: Any) -> None:
        match record:
            case Message():
                work.head("message", record.session_id).count -= 1
            case Checkpoint():
                work.head("checkpoint", record.session_id, record.namespace).count -= 1
            case MemoryRecord():
                work.remove(memory_place(record))
        work.remove(key_of(record))

    def truncate(self, session_id: str, after_id: str, fence: int | None = None) -> int:
        with self.work() as work:
            is_there = self._may_remove(work, session_id, fence)
            last = work.get(Message, "message", session_id, after_id) if is_there else None
            if last is None:
                raise Refused(Reason.MISSING, Message, after_id)
            gone = work.remove_found(self.walk(series_of("message", session_id), above=place_of(last.seq_num)))
            work.head("message", session_id).count -= gone
        return gone

    def prune(
        self, session_id: str, keep_last: int, run_ids: Sequence[str] | None = None, fence: int | None = None
    ) -> int:
        count = 0
        with self.work() as work:
            if not self._may_remove(work, session_id, fence):
                return 0
            for namespace in [head.key[-1] for head in self.walk(("head", "checkpoint", session_id))]:
                head = work.head("checkpoint", session_id, namespace)
                found = self.walk(series_of("checkpoint", session_id, namespace), reverse=True)
                if run_ids is not None:
                    found = (each for each in found if decode(Checkpoint, each.body).run_id in run_ids)
                gone = list(islice(found, keep_last, None))
                head.count -= work.remove_found(gone)
                if gone:
                    self.sweep(work, session_id, namespace, {document.key for document in gone})
                count += len(gone)
        return count

    def _may_remove(self, work: UnitOfWork, session_id: str, fence: int | None, *, deleted_too: bool = False) -> bool:
        """Whether a session is there, of which something is to be removed.

        Raises:
            Refused: DELETED or STALE.
            LegalHold: it is under one.
        """
        if work.guard(session_id) is None:
            return False
        if not deleted_too:
            work.require_open(session_id)
            work.require_fences([session_id], fence)
        work.refuse_held(session_id)
        return True
