from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from functools import partial
from typing import Any

from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.db.models.query import QuerySet

from ... import codec
from ...chains.numbering import following
from ...exceptions import AlreadyExists, NotFound
from ...ledger.heads import lock_heads
from ...ledger.mapping import CHECKPOINTS, SESSIONS
from ...models import Head
from ...records import Checkpoint, Session
from ...snapshots import current, unless_unseen
from ...transactions import attempt, retried
from ..arguments import filters, identified, required
from ..changes import first_of, fork_of, new_session, require_same_checkpoint
from .base import sliced
from .pages import iterate
from .sessions import SessionMethods


class CheckpointMethods(SessionMethods):
    def save_checkpoint(self, checkpoint: Checkpoint) -> Checkpoint:
        checkpoint = Checkpoint.of(checkpoint, "checkpoint")
        given = identified(checkpoint)
        first = partial(self._save, given, has_fresh_id=given is not checkpoint)
        return attempt(self.alias, first, again=partial(self._save, given))

    def _save(self, checkpoint: Checkpoint, *, has_fresh_id: bool = False) -> Checkpoint:
        given = checkpoint.cleaned()
        new = copy(given)
        new.complete()
        with unless_unseen(), self.transaction():
            head = lock_heads(self.alias, Head.Kind.CHECKPOINT, [new.session_id], new.namespace)[new.session_id]
            rows = current(self.rows(CHECKPOINTS).filter(session_id=new.session_id))
            stored = None if has_fresh_id else self.one(CHECKPOINTS, rows.filter(checkpoint_id=new.id))
            if stored is not None:
                return require_same_checkpoint(given, stored)
            new.seq_num = given.seq_num or following(head.seq_num)
            same_number = rows.filter(namespace=new.namespace, seq_num=new.seq_num)
            if new.seq_num <= head.seq_num and same_number.exists():
                raise AlreadyExists(f"session {new.session_id!r} has a checkpoint of number {new.seq_num} already")
            CHECKPOINTS.row(new).save(using=self.alias, force_insert=True)
            if new.seq_num > head.seq_num:
                head.seq_num = new.seq_num
                head.save(using=self.alias, update_fields=["seq_num"])
        self.written(new)
        return new

    @retried
    def get_checkpoint(self, id: str, *, session_id: str | None = None) -> Checkpoint | None:
        return self.one_of_session(CHECKPOINTS, id, session_id)

    @retried
    def get_latest_checkpoint(
        self, session_id: str, *, namespace: str = "", run_id: str | None = None
    ) -> Checkpoint | None:
        return self.one(CHECKPOINTS, self._checkpoints_of(session_id, namespace, run_id).order_by("-seq_num"))

    @retried
    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str = "",
        run_id: str | None = None,
        before_seq: int | None = None,
        limit: int | None = None,
    ) -> list[Checkpoint]:
        rows = self._checkpoints_of(session_id, namespace, run_id)
        if before_seq is not None:
            rows = rows.filter(seq_num__lt=codec.integer(before_seq, "before_seq"))
        return CHECKPOINTS.fetch(sliced(rows.order_by("-seq_num"), limit))

    def iter_checkpoints(
        self, session_id: str, *, namespace: str = "", run_id: str | None = None
    ) -> Iterator[Checkpoint]:
        return iterate(CHECKPOINTS, self._checkpoints_of(session_id, namespace, run_id), "-seq_num")

    def _checkpoints_of(self, session_id: str, namespace: str, run_id: str | None = None) -> QuerySet[Any]:
        return self.rows(CHECKPOINTS).filter(
            **required(session_id=session_id, namespace=namespace), **filters(run_id=run_id)
        )

    @retried
    def delete_checkpoint(self, id: str, *, session_id: str | None = None) -> bool:
        found = self.get_checkpoint(id, session_id=session_id)
        if found is None:
            return False
        with self.transaction():
            lock_heads(self.alias, Head.Kind.CHECKPOINT, [found.session_id], found.namespace)
            rows = self.rows(CHECKPOINTS).filter(session_id=found.session_id, checkpoint_id=found.id)
            count: int = rows.delete()[0]
        return count > 0

    @retried
    def delete_checkpoints(self, session_id: str, *, keep_last: int) -> int:
        keep_last = codec.integer(keep_last, "keep_last")
        session_id = codec.string(session_id, "session_id")
        rows = self.rows(CHECKPOINTS).filter(session_id=session_id)
        if not self.rows(SESSIONS).filter(pk=session_id).exists():
            return 0
        with self.transaction():
            lock_heads(self.alias, Head.Kind.CHECKPOINT, [session_id])
            place = Window(RowNumber(), partition_by=F("namespace"), order_by=F("seq_num").desc())
            old = rows.annotate(place=place).filter(place__gt=keep_last)
            count: int = rows.filter(pk__in=list(old.values_list("pk", flat=True))).delete()[0]
        return count

    def fork_session(self, checkpoint_id: str, /, *, session_id: str | None = None, **session_fields: Any) -> Session:
        find = partial(self.one_of_session, CHECKPOINTS, checkpoint_id, session_id, "checkpoint_id")
        source = attempt(self.alias, find)
        if source is None:
            raise NotFound(f"there is no checkpoint {checkpoint_id!r}")
        origin = self.get_session(source.session_id, include_deleted=True)
        assert origin is not None
        fork = new_session(fork_of(source, origin, session_fields))
        return self.once(fork, partial(self._fork, fork, source))

    def _fork(self, fork: Session, source: Checkpoint) -> Session:
        with self.transaction():
            fork = self._create(fork)
            self._save(identified(first_of(fork, source)), has_fresh_id=True)
        return fork
