"""What of a session or a span may be changed, what a fork takes, and what the same checkpoint is, on every backend."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..exceptions import AlreadyExists, InvalidRecord, NotFound
from ..records import Checkpoint, Session, Trace, now, require_same
from .arguments import named

SESSION_FIELDS = tuple(field.name for field in dataclasses.fields(Session))
#: What no update and no patch changes.
FIXED = frozenset({"id", "created_at", "updated_at", "deleted_at"})

_INHERITED = ("agent_id", "user_id", "author", "title", "container_id", "image_id")


def patch_of(changes: dict[str, Any]) -> dict[str, Any]:
    """The changes of a patch, checked."""
    for name in changes:
        if name in FIXED:
            raise InvalidRecord(name, "can't be changed by a patch")
        _require_field(name)
    cleaned = Session(**changes).cleaned()
    return {name: getattr(cleaned, name) for name in changes}


def end_of(**given: Any) -> dict[str, Any]:
    """What the end of a span changes, checked; it always says when."""
    changes = named(**given)
    end = Trace(**changes).cleaned()
    end.ended_at = end.ended_at or now()
    return {name: getattr(end, name) for name in (*changes, "ended_at")}


def fork_of(source: Checkpoint, origin: Session, session_fields: dict[str, Any]) -> Session:
    """The session that starts from `source`, a checkpoint of `origin`."""
    for name in session_fields:
        _require_field(name)
    fork = Session(**{name: getattr(origin, name) for name in _INHERITED} | session_fields).cleaned()
    fork.metadata |= _origin(source)
    return fork


def first_of(fork: Session, source: Checkpoint) -> Checkpoint:
    """The checkpoint that a fork of `source` begins with, under an id of its own: the source's stays the source's."""
    metadata = source.metadata | _origin(source)
    return dataclasses.replace(source, id="", session_id=fork.id, seq_num=0, parent_id="", metadata=metadata)


def _origin(source: Checkpoint) -> dict[str, Any]:
    names = {"session_id": source.session_id, "namespace": source.namespace, "seq_num": source.seq_num}
    return {"forked_from": {"checkpoint_id": source.id, **names}}


def new_session(session: Session) -> Session:
    """The session as `create_session` stores it."""
    session = Session.of(session, "session").cleaned()
    if session.deleted_at is not None:
        raise InvalidRecord("deleted_at", "is set by delete_session alone")
    session.complete()
    return session


def taken(known: Session) -> AlreadyExists:
    """What a new session of a known one's id is refused with."""
    if known.deleted_at is None:
        return AlreadyExists(f"session {known.id!r} is stored already")
    return AlreadyExists(f"session {known.id!r} is deleted: restore_session({known.id!r}) undoes that")


def not_deleted(id: str) -> NotFound:
    """What restoring is refused with where there is nothing to restore."""
    return NotFound(f"no session {id!r} is deleted")


def require_same_checkpoint(given: Checkpoint, stored: Checkpoint) -> Checkpoint:
    """`stored`, if it is what `given` says; the namespace counts even where it is empty."""
    if given.namespace != stored.namespace:
        raise AlreadyExists(f"Checkpoint {given.id!r} is stored already, with another namespace")
    return require_same(given, stored)


def _require_field(name: str) -> None:
    if name not in SESSION_FIELDS:
        raise InvalidRecord(name, f"is no field of a session; its fields are {', '.join(SESSION_FIELDS)}")
