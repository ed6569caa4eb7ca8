"""What of a session may be changed, what a fork takes, and what the same checkpoint is."""

from __future__ import annotations

import dataclasses
from typing import Any

from .. import records
from ..backends.base import Patch
from ..exceptions import AlreadyExists, InvalidRecord
from ..records import Checkpoint, Session, require_same
from ..redaction import redacted

_FIELDS = tuple(field.name for field in dataclasses.fields(Session))
#: What no update and no patch changes.
_FIXED = frozenset({"id", "created_at", "updated_at", "deleted_at", "legal_hold"})

_INHERITED = ("agent_id", "user_id", "author", "title", "container_id", "image_id")


def patch_of(changes: dict[str, Any]) -> Patch:
    """The changes of a patch, checked."""
    for name in changes:
        if name in _FIXED:
            raise InvalidRecord(name, "can't be changed by a patch")
        _require_field(name)
    changed = redacted(Session(**changes))
    return _patch({name: getattr(changed, name) for name in changes})


def update_of(session: Session) -> Patch:
    """What an update with a whole record, checked, changes; a user_id that it leaves empty stays."""
    left_out = _FIXED if session.user_id else _FIXED | {"user_id"}
    return _patch({name: getattr(session, name) for name in _FIELDS if name not in left_out})


def _patch(values: dict[str, Any]) -> Patch:
    latest = values.pop("last_activity_at", None)
    return Patch(
        once={name: values.pop(name) for name in ("user_id",) if name in values},
        forward={} if latest is None else {"last_activity_at": latest},
        values=values | {"updated_at": records.now()},
    )


def fork_of(source: Checkpoint, origin: Session, session_fields: dict[str, Any]) -> Session:
    """The session that starts from `source`, a checkpoint of `origin`."""
    for name in session_fields:
        _require_field(name)
    fork = redacted(Session(**{name: getattr(origin, name) for name in _INHERITED} | session_fields))
    fork.metadata |= _origin(source)
    return fork


def first_of(fork: Session, source: Checkpoint) -> Checkpoint:
    """The checkpoint that a fork of `source` begins with, under an id of its own: the source's stays the source's."""
    metadata = source.metadata | _origin(source)
    first = dataclasses.replace(source, id="", session_id=fork.id, seq_num=1, parent_id="", metadata=metadata)
    first.complete()
    first.check_size()  # which what it says of its source may have made too large
    return first


def _origin(source: Checkpoint) -> dict[str, Any]:
    names = {"session_id": source.session_id, "namespace": source.namespace, "seq_num": source.seq_num}
    return {"forked_from": {"checkpoint_id": source.id, **names}}


def new_session(session: Session) -> Session:
    """The session as `create_session` stores it."""
    session = redacted(Session.of(session, "session"))
    if session.deleted_at is not None:
        raise InvalidRecord("deleted_at", "is set by delete_session alone")
    if session.legal_hold:
        raise InvalidRecord("legal_hold", "is set by set_legal_hold alone")
    session.complete()
    return session


def require_same_checkpoint(given: Checkpoint, stored: Checkpoint) -> Checkpoint:
    """`stored`, if it is what `given` says; the namespace counts even where it is empty."""
    if given.namespace != stored.namespace:
        raise AlreadyExists(f"Checkpoint {given.id!r} is stored already, with another namespace")
    return require_same(given, stored)


def _require_field(name: str) -> None:
    if name not in _FIELDS:
        raise InvalidRecord(name, f"is no field of a session; its fields are {', '.join(_FIELDS)}")
