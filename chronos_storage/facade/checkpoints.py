from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from .. import codec, filters
from ..async_variants import async_iterator, async_variant
from ..backends.base import Condition, Query
from ..exceptions import InvalidRecord, NotFound
from ..records import Checkpoint, Fence, Session
from ..redaction import redacted
from ..upcasters import upcast
from .arguments import equal, fenced_session, identified, page_slice, required, token_of
from .changes import first_of, fork_of, new_session, require_same_checkpoint
from .sessions import SessionMethods

_ORDER = ("-seq_num",)


class CheckpointMethods(SessionMethods):
    def save_checkpoint(self, checkpoint: Checkpoint, *, fence: Fence | int | None = None) -> Checkpoint:
        """Store a state under the next number of its session and namespace, or under its own, which raises the counter.

        Args:
            fence: the session's.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            StaleWriter: the session was acquired again, or requires a fence.
            AlreadyExists: its id is taken by other content, or its number by another checkpoint.
        """
        checkpoint = Checkpoint.of(checkpoint, "checkpoint")
        fresh = not checkpoint.id
        given = redacted(identified(checkpoint))
        save = partial(self.backend.save_checkpoint, given, fence=token_of(fence, [given.session_id]))

        def save_again() -> tuple[Checkpoint, bool]:
            stored, is_new = save()
            return stored, is_new or fresh  # an id that no other call can have: the lost attempt has written it

        stored, is_new = self._run(partial(save, fresh=fresh), save_again)
        if not is_new:
            return require_same_checkpoint(given, stored)
        self._written(stored)
        return stored

    @async_variant(save_checkpoint)
    def asave_checkpoint(self) -> Any: ...

    def get_checkpoint(self, id: str, *, session_id: str | None = None) -> Checkpoint | None:
        """The checkpoint, or None; without `session_id` that of a soft-deleted session only where no other has the id.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a checkpoint of this id, as copies do.
        """
        found = self._one_of_session(Checkpoint, id, session_id)
        return None if found is None else upcast(found)

    @async_variant(get_checkpoint)
    def aget_checkpoint(self) -> Any: ...

    def get_latest_checkpoint(
        self, session_id: str, *, namespace: str = "", run_id: str | None = None
    ) -> Checkpoint | None:
        """The checkpoint with the highest number, or None."""
        found = self.list_checkpoints(session_id, namespace=namespace, run_id=run_id, limit=1)
        return found[0] if found else None

    @async_variant(get_latest_checkpoint)
    def aget_latest_checkpoint(self) -> Any: ...

    def list_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str = "",
        run_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        before_seq: int | None = None,
        limit: int | None = None,
    ) -> list[Checkpoint]:
        """Checkpoints with a number below `before_seq`, the latest first.

        Args:
            metadata: a filter of them, such as ``{"source": "loop", "step": {"$gt": 3}}``, in the grammar of vector
                stores' filters (see `chronos_storage.filters`).
        """
        return self._select(_listed(session_id, namespace, run_id, metadata, before_seq, **page_slice(limit)))

    @async_variant(list_checkpoints)
    def alist_checkpoints(self) -> Any: ...

    def iter_checkpoints(
        self,
        session_id: str,
        *,
        namespace: str = "",
        run_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        before_seq: int | None = None,
    ) -> Iterator[Checkpoint]:
        """`list_checkpoints`, page by page."""
        return self._iterate(_listed(session_id, namespace, run_id, metadata, before_seq))

    @async_iterator(iter_checkpoints)
    def aiter_checkpoints(self) -> Any: ...

    def list_namespaces(self, session_id: str) -> list[str]:
        """The namespaces in which a session has checkpoints, in their order by code points."""
        session_id = codec.string(session_id, "session_id")
        return sorted(self._run(lambda: list(self.backend.namespaces(session_id))))

    @async_variant(list_namespaces)
    def alist_namespaces(self) -> Any: ...

    def delete_checkpoint(self, id: str, *, session_id: str | None = None, fence: Fence | int | None = None) -> bool:
        """Remove one checkpoint; its number is not given again. Whether it was there.

        Raises:
            AmbiguousId: without `session_id`, when several sessions have a checkpoint of this id, and the fence's has
                none.
            NotFound: the session is soft-deleted.
        """
        sessions, namespace = fenced_session(fence, session_id), ""
        token = token_of(fence, sessions)
        if found := self._to_remove(Checkpoint, id, session_id, sessions):
            sessions, namespace = [found.session_id], found.namespace
            token_of(fence, sessions)
        where = [required(session_id=each, namespace=namespace, id=id) for each in sessions]
        return any(self._delete(Query(record=Checkpoint, where=each), token) for each in where)

    @async_variant(delete_checkpoint)
    def adelete_checkpoint(self) -> Any: ...

    def delete_checkpoints(
        self,
        session_id: str,
        *,
        keep_last: int | None = None,
        run_ids: Sequence[str] | None = None,
        fence: Fence | int | None = None,
    ) -> int:
        """Remove a session's checkpoints, of all namespaces; returns how many. Their numbers are not given again.

        Args:
            keep_last: how many, the last of each namespace, stay; without it none.
            run_ids: only those of these runs are removed, and counted by `keep_last`.

        Raises:
            InvalidRecord: neither is given.
            NotFound: the session is soft-deleted.
        """
        session_id = codec.string(session_id, "session_id")
        token = token_of(fence, [session_id])
        if keep_last is None and run_ids is None:
            raise InvalidRecord("keep_last", "is not given, and run_ids neither; keep_last=0 removes all")
        keep_last = 0 if keep_last is None else codec.integer(keep_last, "keep_last")
        run_ids = None if run_ids is None else codec.strings(run_ids, "run_ids")
        return self._run(partial(self.backend.prune, session_id, keep_last, run_ids, token))

    @async_variant(delete_checkpoints)
    def adelete_checkpoints(self) -> Any: ...

    def fork_session(self, checkpoint_id: str, /, *, session_id: str | None = None, **session_fields: Any) -> Session:
        """A new session that starts from a checkpoint's state; the source is untouched.

        Its first checkpoint is a copy under a fresh id, its agent, user, author, title, container and image are the
        source's unless `session_fields` says otherwise, and the metadata of both names the source under
        ``forked_from``. No messages or events are copied.

        Args:
            session_id: the session the checkpoint is in, needed where its id stands in several.
            session_fields: fields of the new session, such as its id.

        Raises:
            NotFound: no such checkpoint.
            AmbiguousId: without `session_id`, when several sessions have a checkpoint of this id.
            AlreadyExists: the new session's id is taken.
        """
        source = self._one_of_session(Checkpoint, checkpoint_id, session_id, "checkpoint_id", current=True)
        origin = None if source is None else self.get_session(source.session_id, include_deleted=True)
        if not self.backend.keeps:
            source, origin = Checkpoint(id=checkpoint_id), Session()
        if source is None or origin is None:  # or removed in between, and its checkpoints with it
            raise NotFound(f"there is no checkpoint {checkpoint_id!r}")
        fork = new_session(fork_of(source, origin, session_fields))
        first = first_of(fork, source)
        self._once(fork, partial(self.backend.insert, fork, first))
        self._written(first)
        return fork

    @async_variant(fork_session)
    def afork_session(self) -> Any: ...


def _listed(
    session_id: str,
    namespace: str,
    run_id: str | None,
    metadata: dict[str, Any] | None = None,
    before_seq: int | None = None,
    **part: Any,
) -> Query[Checkpoint]:
    where = required(session_id=session_id, namespace=namespace) + equal(run_id=run_id)
    if metadata is not None:
        where += (Condition("metadata", "matches", filters.parse(metadata, "metadata")),)
    if before_seq is not None:
        where += (Condition("seq_num", "<", codec.integer(before_seq, "before_seq")),)
    return Query(record=Checkpoint, where=where, order=_ORDER, **part)
