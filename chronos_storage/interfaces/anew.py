"""A deleted session that is created once more: AgentOS and AgentX know no ids that stay taken."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ..async_variants import hop
from ..exceptions import AlreadyExists, LegalHold, NotFound
from ..facade import Storage
from ..facade.base import at_once
from ..records import Session
from ..transactions import again


async def begin_anew(storage: Storage, session: Session) -> Session | None:
    """Restore the soft-deleted session of this id as if it were new: without its messages, with these fields.

    Its ledger stays, as do its created_at, its user where none is given, and its last_activity_at unless that is
    earlier.

    Returns:
        The session as it is stored, or None where no session of this id is deleted.

    Raises:
        AlreadyExists: it is deleted, and another user's.
        LegalHold: its messages can't be removed; it stays deleted.
    """
    deleted = await storage.aget_session(session.id, include_deleted=True)
    if deleted is None or deleted.deleted_at is None:
        return None
    if session.user_id and deleted.user_id not in ("", session.user_id):
        raise AlreadyExists(f"session {session.id!r} is deleted, and another user's")
    if deleted.legal_hold:
        raise LegalHold(session.id)
    new = replace(session.cleaned(), user_id=session.user_id or deleted.user_id)
    new.complete()
    try:
        return await hop(storage, again, storage.backend.using, partial(_begin_anew, storage, new))
    except NotFound:  # another writer was faster
        return None


def _begin_anew(storage: Storage, session: Session) -> Session:
    with at_once(storage):
        storage.restore_session(session.id)
        storage.delete_messages(session.id)
        return storage.update_session(session)
