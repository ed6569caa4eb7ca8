from __future__ import annotations

from collections.abc import Iterable
from copy import copy

from ...chains.numbering import following
from ...checkpoints.outlines import outline
from ...records import Checkpoint
from ...refusals import Reason, Refused
from .driver import Key
from .indexes import key_of, place_of, series_of
from .item_log import ItemLogMethods
from .unit_of_work import Head, UnitOfWork, guard_key, head_key, head_of


class CheckpointMethods(ItemLogMethods):
    def save_checkpoint(
        self, given: Checkpoint, *, fresh: bool = False, fence: int | None = None
    ) -> tuple[Checkpoint, bool]:
        with self.work() as work:
            return self._save(work, given, fresh, fence)

    def _save(self, work: UnitOfWork, given: Checkpoint, fresh: bool, fence: int | None) -> tuple[Checkpoint, bool]:
        new = copy(given)
        new.complete()
        parts = outline(new.state)
        needed = [guard_key(new.session_id), head_key("checkpoint", new.session_id, new.namespace)]
        named = [] if fresh else [key_of(new)]
        if not work.recall(needed, named):
            work.fetch([*needed, *named])
        work.require_open(new.session_id)
        work.require_fences([new.session_id], fence)
        stored = None if fresh else work.get(Checkpoint, "checkpoint", new.session_id, new.id)
        if stored is not None:
            return self.whole_now(stored), False
        head = self._series_head(work, new)
        new.seq_num = given.seq_num or following(head.seq_num)
        series = series_of("checkpoint", new.session_id, new.namespace)
        if new.seq_num <= head.seq_num and self._is_taken(series, new.seq_num):
            raise Refused(Reason.NUMBER_TAKEN, Checkpoint, new.session_id)
        head.seq_num = max(head.seq_num, new.seq_num)
        head.count += 1
        work.put(self.keep(work, new, parts), fresh=fresh)
        return new, True

    def namespaces(self, session_id: str) -> Iterable[str]:
        heads = self.walk(("head", "checkpoint", session_id))
        return [head.key[-1] for head in heads if head_of(head).count]

    def _series_head(self, work: UnitOfWork, checkpoint: Checkpoint) -> Head:
        """The head of a checkpoint's series; a new one is known to whoever deletes the session meanwhile."""
        if work.document(head_key("checkpoint", checkpoint.session_id, checkpoint.namespace)) is None:
            work.touch_guard(checkpoint.session_id)
        return work.head("checkpoint", checkpoint.session_id, checkpoint.namespace)

    def _is_taken(self, series: Key, seq_num: int) -> bool:
        """Whether a series has a record of this number."""
        return any(self.walk(series, above=place_of(seq_num - 1), below=place_of(seq_num + 1), page=1))
