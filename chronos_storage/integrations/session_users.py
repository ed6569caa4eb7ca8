"""Whose the session is that an adapter opens."""

from __future__ import annotations

from ..exceptions import AlreadyExists
from ..facade import Storage
from ..records import Session


def is_owned(storage: Storage, session: Session) -> bool:
    """Whether there is such a session yet, which then is the given user's, or nobody's.

    Asks nothing of the storage where no user is given: who gives none takes it on himself whose sessions he opens.

    Raises:
        AlreadyExists: it belongs to another user.
    """
    if not session.user_id:
        return True
    known = storage.get_session(session.id, include_deleted=True)
    if known is not None and known.user_id not in ("", session.user_id):
        raise AlreadyExists(f"session {session.id!r} belongs to another user than {session.user_id!r}")
    return known is not None
