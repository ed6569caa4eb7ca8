from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

from .. import codec, records, signals
from ..async_variants import async_iterator, async_variant
from ..backends.base import Patch, Query
from ..exceptions import AlreadyExists, InvalidRecord, NotFound, RetryTransaction
from ..ids import new_id
from ..records import AuditLog, Fence, Session
from ..redaction import redacted
from ..refusals import Reason, Refused
from .arguments import choice, equal, identified, page_slice, required, start_after, token_of
from .base import FacadeBase, refusal_error
from .changes import new_session, patch_of, update_of

SessionOrder = Literal["-created_at", "-last_activity_at"]

_ORDERS = {name: (name, "-id") for name in ("-created_at", "-last_activity_at")}


class SessionMethods(FacadeBase):
    def create_session(self, session: Session) -> Session:
        """Store a new session.

        Raises:
            AlreadyExists: the id is taken, be it by a soft-deleted session; the error then says so.
        """
        session = new_session(session)
        return self._once(session, partial(self.backend.insert, session))

    @async_variant(create_session)
    def acreate_session(self) -> Any: ...

    def _once(self, session: Session, write: Callable[[], None]) -> Session:
        """Have a new session, complete, written; where a connection was lost it may be there already."""

        def write_again() -> None:
            try:
                write()
            except Refused as refused:
                if refused.stored != session:
                    raise

        self._run(write, write_again)
        self._written(session)
        return session

    def ensure_session(self, session: Session) -> Session:
        """The session of this id as it is stored, untouched; where there is none, this one is stored.

        Raises:
            AlreadyExists: the stored one is soft-deleted, or belongs to another user than the one given.
        """
        session = new_session(session)
        known = self.get_session(session.id, include_deleted=True)
        if known is None:
            try:
                return self._once(session, partial(self.backend.insert, session))
            except AlreadyExists:  # made by another writer in between
                known = self.get_session(session.id, include_deleted=True)
                if known is None:  # in a transaction that doesn't see it
                    raise RetryTransaction from None
        if known.deleted_at is not None:
            raise refusal_error(Refused(Reason.TAKEN, Session, known.id, known))
        if session.user_id and known.user_id not in ("", session.user_id):
            raise AlreadyExists(f"session {known.id!r} is stored already, with another user_id")
        return known

    @async_variant(ensure_session)
    def aensure_session(self) -> Any: ...

    def save_session(self, session: Session, *, fence: Fence | int | None = None) -> Session:
        """Store a session, new or known; a known one keeps its created_at and its newest last_activity_at.

        Raises:
            NotFound: the session is soft-deleted; with a fence, or not there.
            StaleWriter: the session was acquired again, or requires a fence.
        """
        session = redacted(Session.of(session, "session"))
        if not session.id and fence is None:
            return self.create_session(session)
        session = identified(session)
        token = token_of(fence, [session.id])

        def save() -> Session:
            try:
                return self._update(session, token)
            except Refused as refused:
                if refused.reason is not Reason.MISSING or token is not None:  # which a session gave that is gone
                    raise
                new = new_session(session)
                try:
                    self.backend.insert(new)
                except Refused:  # made by another writer in between, or soft-deleted, which the update says
                    return self._update(session, token)
            return new

        return self._changed(save)

    @async_variant(save_session)
    def asave_session(self) -> Any: ...

    def get_session(self, id: str, *, include_deleted: bool = False) -> Session | None:
        """The session, or None."""
        query = Query(record=Session, where=required(id=id), deleted=include_deleted, limit=1)
        found = self._select(query)
        return found[0] if found else None

    @async_variant(get_session)
    def aget_session(self) -> Any: ...

    def update_session(self, session: Session, *, fence: Fence | int | None = None) -> Session:
        """Write the whole record over the stored one; never un-deletes, never lowers last_activity_at.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            StaleWriter: the session was acquired again, or requires a fence.
        """
        session = redacted(Session.of(session, "session"))
        return self._changed(partial(self._update, session, token_of(fence, [session.id])))

    @async_variant(update_session)
    def aupdate_session(self) -> Any: ...

    def patch_session(self, id: str, /, *, fence: Fence | int | None = None, **changes: Any) -> Session:
        """Write only the fields named in `changes`; user_id can be set once.

        Raises:
            InvalidRecord: an unknown field, one that can't be changed, or a second user_id.
            NotFound: no such session, or it is soft-deleted.
            StaleWriter: the session was acquired again, or requires a fence.
        """
        id, patch = codec.string(id, "id"), patch_of(changes)
        return self._changed(partial(self.backend.patch, Session, id, patch, token_of(fence, [id])))

    @async_variant(patch_session)
    def apatch_session(self) -> Any: ...

    def patch_session_metadata(self, id: str, changes: dict[str, Any], *, fence: Fence | int | None = None) -> Session:
        """Merge `changes` into the top level of the metadata, so that writers of different keys both win.

        Raises:
            NotFound: no such session, or it is soft-deleted.
            StaleWriter: the session was acquired again, or requires a fence.
        """
        id, merge = codec.string(id, "id"), codec.filterable_object(changes, "changes")
        merge = redacted(Session(metadata=merge)).metadata
        patch = Patch(merge=merge, values={"updated_at": records.now()})
        return self._changed(partial(self.backend.patch, Session, id, patch, token_of(fence, [id])))

    @async_variant(patch_session_metadata)
    def apatch_session_metadata(self) -> Any: ...

    def _update(self, session: Session, token: int | None) -> Session:
        return self.backend.patch(Session, session.id, update_of(session), token)

    def _changed(self, write: Callable[[], Session]) -> Session:
        session = self._run(write)
        self._written(session)
        return session

    def list_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        limit: int | None = 100,
        offset: int = 0,
        after: Session | None = None,
        include_deleted: bool = False,
    ) -> list[Session]:
        """Sessions that match every filter given, newest first by the time that `order` names."""
        where = equal(agent_id=agent_id, user_id=user_id, status=status, container_id=container_id, image_id=image_id)
        by = choice(order, "order", _ORDERS)
        query = Query(record=Session, where=where, deleted=include_deleted, order=by, **page_slice(limit, offset))
        return self._select(start_after(query, after))

    @async_variant(list_sessions)
    def alist_sessions(self) -> Any: ...

    def iter_sessions(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        status: str | None = None,
        container_id: str | None = None,
        image_id: str | None = None,
        order: SessionOrder = "-created_at",
        include_deleted: bool = False,
    ) -> Iterator[Session]:
        """`list_sessions`, page by page."""
        where = equal(agent_id=agent_id, user_id=user_id, status=status, container_id=container_id, image_id=image_id)
        by = choice(order, "order", _ORDERS)
        return self._iterate(Query(record=Session, where=where, deleted=include_deleted, order=by))

    @async_iterator(iter_sessions)
    def aiter_sessions(self) -> Any: ...

    def delete_session(self, id: str, *, hard: bool = False, fence: Fence | int | None = None) -> bool:
        """Hide a session from get and list, and refuse writes to it; what belongs to it stays readable.

        `hard=True` removes it, soft-deleted or not, and all that belongs to it, ledger included, in one transaction,
        and leaves an audit entry with the session in `resource`.

        Returns:
            Whether something was deleted: False for an unknown session and for a second soft delete.

        Raises:
            StaleWriter: the session was acquired again, or requires a fence.
            LegalHold: it is to be removed, and is under a legal hold; it stays as it is.
        """
        id = codec.string(id, "id")
        token = token_of(fence, [id])
        if hard:
            log = self._run(partial(self.backend.remove_session, id, token))
            deleted = log is not None
            if log is not None:
                self._tell(signals.ledger_purged, AuditLog, audit_log=log)
        else:
            deleted = self._run(partial(self.backend.close_session, id, records.now(), token))
        if deleted:
            self._tell(signals.session_deleted, Session, session_id=id, hard=hard)
        return deleted

    @async_variant(delete_session)
    def adelete_session(self) -> Any: ...

    def erase_session(self, id: str) -> bool:
        """Remove a session as `delete_session` does with ``hard=True``, with all trace of its id.

        The audit entry has ``sha256:`` and the SHA-256 of the id in `resource`. Nobody's fence keeps it from going, and
        one of the id that is made later begins with the first token.

        Returns:
            Whether it was there.

        Raises:
            LegalHold: it is under a legal hold; it stays as it is.
        """
        id = codec.string(id, "id")
        log = self._run(partial(self.backend.remove_session, id, erasing=True))
        if log is not None:
            self._tell(signals.ledger_purged, AuditLog, audit_log=log)
            self._tell(signals.session_deleted, Session, session_id=id, hard=True)
        return log is not None

    @async_variant(erase_session)
    def aerase_session(self) -> Any: ...

    def restore_session(self, id: str, *, fence: Fence | int | None = None) -> Session:
        """Undo a soft delete: the session is shown and takes writes again, with all that belongs to it.

        Raises:
            NotFound: no session of this id is soft-deleted.
            StaleWriter: the session was acquired again, or requires a fence.
        """
        id, timestamp = codec.string(id, "id"), records.now()
        restore = partial(self.backend.open_session, id, timestamp, token_of(fence, [id]))

        def restore_again() -> Session:
            try:
                return restore()
            except Refused:
                known = self.get_session(id)
                if known is None or known.updated_at is None or known.updated_at < timestamp:
                    raise
                return known  # this call has restored it

        try:
            session = self._run(restore, restore_again)
        except NotFound:
            raise NotFound(f"no session {id!r} is deleted") from None
        self._written(session)
        return session

    @async_variant(restore_session)
    def arestore_session(self) -> Any: ...

    def set_legal_hold(self, session_id: str, held: bool, *, actor: str, reason: str) -> Session:
        """Put a session, soft-deleted or not, under a legal hold, or lift it: nothing else does either.

        Nothing that belongs to a session under a legal hold can be removed: the session itself for good, its messages,
        checkpoints and artifacts, its events and audit entries. It still takes what is new, can be changed, and can be
        soft-deleted. Who set or lifted it and why is an audit entry of the same transaction, one for each call, with
        the action ``session.legal_hold`` and the session in `resource`, in the chain of no session, which stays when
        the session goes.

        Args:
            actor: who wants it.
            reason: why.

        Raises:
            NotFound: no such session.
        """
        id, held = codec.string(session_id, "session_id"), codec.boolean(held, "held")
        given = {"actor": codec.string(actor, "actor"), "reason": codec.string(reason, "reason", codec.MAX_TEXT)}
        for name, value in given.items():
            if not value:
                raise InvalidRecord(name, "is empty; the audit entry must say who wants it and why")
        detail = {"legal_hold": held, "reason": reason}
        # Its id is given here, so that an attempt that is made again finds it.
        log = AuditLog(id=new_id(), actor=actor, action="session.legal_hold", resource=id, detail=detail)
        session, entry = self._run(partial(self.backend.hold, id, held, records.now(), redacted(log)))
        self._written(session)
        self._written(entry)
        return session

    @async_variant(set_legal_hold)
    def aset_legal_hold(self) -> Any: ...
