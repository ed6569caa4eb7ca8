from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ...ledger.heads import lock_heads, lock_sessions, refuse_held, require_fence
from ...ledger.item_log import count_removed, sweep
from ...ledger.mapping import MESSAGES
from ...models import Head
from ...records import Artifact, Checkpoint, Message, Record
from ...refusals import Reason, Refused
from ...snapshots import current
from ..base import Query
from .base import OrmBase
from .conditions import rows_of

_KINDS: dict[type[Record], Head.Kind] = {Message: Head.Kind.MESSAGE, Checkpoint: Head.Kind.CHECKPOINT}


class DeletionMethods(OrmBase):
    def delete(self, query: Query[Any], fence: int | None = None, *, deleted_too: bool = False) -> int:
        rows = rows_of(query, self.using)
        kind = _KINDS.get(query.record)
        given = {field: value for field, operator, value in query.where if operator == "="}
        if query.record is Artifact and given["session_id"]:
            with self._atomic():
                if not deleted_too:
                    require_fence(self._lock_open(given["session_id"]), fence)
                for session in lock_sessions(self.using, [given["session_id"]]).values():
                    refuse_held(session)
                return rows.delete()[0]
        if kind is None:
            if fence is None:
                return rows.delete()[0]
            with self._atomic():
                self._require_fence(given["session_id"], fence)
                return rows.delete()[0]
        namespace = given.get("namespace", "")
        with self._closed_to_others(kind, given["session_id"], namespace, fence, deleted_too=deleted_too) as head:
            count: int = rows.delete()[0] if head else 0
            if head and count and kind is Head.Kind.CHECKPOINT:
                self._removed(head, count)
        return count

    def _removed(self, head: Head, count: int) -> None:
        """So many checkpoints were removed from a series; once that is committed, what only they used goes too."""
        count_removed(self.using, head, count)
        sweeping = partial(sweep, self.using, head.owner, head.namespace)
        self.after_commit(partial(self.run, sweeping))

    def truncate(self, session_id: str, after_id: str, fence: int | None = None) -> int:
        rows = self._rows(MESSAGES).filter(session_id=session_id)
        with self._closed_to_others(Head.Kind.MESSAGE, session_id, fence=fence):
            last = self._one(MESSAGES, current(rows.filter(message_id=after_id)))
            if last is None:
                raise Refused(Reason.MISSING, Message, after_id)
            return rows.filter(seq_num__gt=last.seq_num).delete()[0]

    @contextmanager
    def _closed_to_others(
        self,
        kind: Head.Kind,
        session_id: str,
        namespace: str = "",
        fence: int | None = None,
        *,
        deleted_too: bool = False,
    ) -> Iterator[Head | None]:
        """Around the removal of what belongs to a session, in a transaction: its head; None if the session isn't there.

        Raises:
            Refused: DELETED or STALE.
            LegalHold: it is under one.
        """
        head = None
        with self._atomic():
            try:
                heads = lock_heads(
                    self.using, kind, [session_id], namespace, fence=fence, deleted_too=deleted_too, removing=True
                )
                head = heads[session_id]
            except Refused as refused:
                if refused.reason is not Reason.MISSING:
                    raise
            yield head
