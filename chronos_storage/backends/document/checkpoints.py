from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from itertools import islice
from typing import Any

from ... import codec
from ...chains.numbering import following
from ...exceptions import AlreadyExists, NotFound
from ...records import Checkpoint, Session
from ..arguments import filters, required
from ..changes import first_of, fork_of, new_session, require_same_checkpoint
from .driver import Key
from .places import key_of, place_of
from .sessions import SessionMethods
from .work import Head, Work, gate_key, head_key, retried


class CheckpointMethods(SessionMethods):
    @retried
    def save_checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        given = Checkpoint.of(checkpoint, "checkpoint").cleaned()
        with self.work() as work:
            return self._save(work, given)

    def _save(self, work: Work, given: Checkpoint) -> Checkpoint:
        new = copy(given)
        new.complete()
        work.fetch([gate_key(new.session_id), head_key("checkpoint", new.session_id, new.namespace)])
        work.require_open(new.session_id)
        stored = work.get(Checkpoint, "checkpoint", new.session_id, new.id) if given.id else None
        if stored is not None:
            return require_same_checkpoint(given, stored)
        head = self.series_head(work, new)
        new.seq_num = given.seq_num or following(head.seq_num)
        if new.seq_num <= head.seq_num and self.is_taken(_series(new.session_id, new.namespace), new.seq_num):
            raise AlreadyExists(f"session {new.session_id!r} has a checkpoint of number {new.seq_num} already")
        head.seq_num = max(head.seq_num, new.seq_num)
        head.count += 1
        work.put(new, fresh=not given.id)
        self.written(work, new)
        return new

    def series_head(self, work: Work, checkpoint: Checkpoint) -> Head:
        """The head of a checkpoint's series; a new one is known to whoever deletes the session meanwhile."""
        if work.document(head_key("checkpoint", checkpoint.session_id, checkpoint.namespace)) is None:
            work.touch_gate(checkpoint.session_id)
        return work.head("checkpoint", checkpoint.session_id, checkpoint.namespace)

    def is_taken(self, series: Key, seq_num: int) -> bool:
        """Whether a series has a record of this number."""
        return any(self.walk(series, above=place_of(seq_num - 1), below=place_of(seq_num + 1), page=1))

    def get_checkpoint(self, id: str, *, session_id: str | None = None) -> Checkpoint | None:
        return self.one_of_session(Checkpoint, id, session_id)

    def get_latest_checkpoint(
        self, session_id: str, *, namespace: str = "", run_id: str | None = None
    ) -> Checkpoint | None:
        return next(self._latest_first(session_id, namespace, run_id, limit=1), None)

    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str = "",
        run_id: str | None = None,
        before_seq: int | None = None,
        limit: int | None = None,
    ) -> list[Checkpoint]:
        below = None if before_seq is None else place_of(codec.integer(before_seq, "before_seq"))
        return list(self._latest_first(session_id, namespace, run_id, below=below, limit=limit))

    def iter_checkpoints(
        self, session_id: str, *, namespace: str = "", run_id: str | None = None
    ) -> Iterator[Checkpoint]:
        return self._latest_first(session_id, namespace, run_id)

    def _latest_first(self, session_id: str, namespace: str, run_id: str | None, **part: Any) -> Iterator[Checkpoint]:
        given = required(session_id=session_id, namespace=namespace) | filters(run_id=run_id)
        series = tuple(given.values())
        name = "series" if run_id is None else "run"
        return self.records(Checkpoint, ("checkpoint", name, *series), reverse=True, **part)

    @retried
    def delete_checkpoint(self, id: str, *, session_id: str | None = None) -> bool:
        found = self.get_checkpoint(id, session_id=session_id)
        if found is None:
            return False
        with self.work() as work:
            work.require_open(found.session_id)
            if work.document(key_of(found)) is None:  # somebody else was faster
                return False
            work.remove(key_of(found))
            work.head("checkpoint", found.session_id, found.namespace).count -= 1
        return True

    @retried
    def delete_checkpoints(self, session_id: str, *, keep_last: int) -> int:
        keep_last = codec.integer(keep_last, "keep_last")
        session_id, count = codec.string(session_id, "session_id"), 0
        if self.get_session(session_id, include_deleted=True) is None:
            return count
        with self.work() as work:
            work.require_open(session_id)
            for namespace in [head.key[-1] for head in self.walk(("head", "checkpoint", session_id))]:
                head = work.head("checkpoint", session_id, namespace)
                old = islice(self.walk(_series(session_id, namespace), reverse=True), keep_last, None)
                gone = work.remove_found(old)
                head.count -= gone
                count += gone
        return count

    @retried
    def fork_session(self, checkpoint_id: str, /, *, session_id: str | None = None, **session_fields: Any) -> Session:
        source = self.one_of_session(Checkpoint, checkpoint_id, session_id, "checkpoint_id")
        if source is None:
            raise NotFound(f"there is no checkpoint {checkpoint_id!r}")
        origin = self.get_session(source.session_id, include_deleted=True)
        if origin is None:  # removed in between, and its checkpoints with it
            raise NotFound(f"there is no checkpoint {checkpoint_id!r}")
        fork = new_session(fork_of(source, origin, session_fields))
        with self.work() as work:
            self.create(work, fork)
            self._save(work, first_of(fork, source))
        return fork


def _series(session_id: str, namespace: str) -> Key:
    return "checkpoint", "series", session_id, namespace
