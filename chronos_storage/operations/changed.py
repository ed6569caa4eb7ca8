"""What is stored already of records that may change, and whether it or what is given is the later one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from ..backends.base import Condition, Patch, Query
from ..facade import Storage
from ..facade.changes import update_of
from ..records import KINDS, Record, Session, Trace

#: What may be changed after it was stored first.
_KINDS: tuple[type[Record], ...] = tuple(KINDS[kind] for kind in ("session", "container", "image", "memory", "trace"))
_TRACE_FIXED = ("id", "started_at")


def stored_of(storage: Storage, given: Iterable[Any]) -> dict[tuple[type[Record], str], Any]:
    """What is stored of those of these records that may change, by their types and ids."""
    found: dict[tuple[type[Record], str], Any] = {}
    for record in _KINDS:
        if ids := [each.id for each in given if type(each) is record]:
            query: Query[Any] = Query(record=record, where=(Condition("id", "in", ids),))
            found |= {(record, each.id): each for each in storage.backend.select(query)}
    return found


def is_later(one: Any, other: Any) -> bool:
    """Whether two are the same thing, and one of them as it became later."""
    if isinstance(one, Trace):
        return one.started_at == other.started_at and one.ended_at is not None and other.ended_at is None
    return bool(one.created_at == other.created_at and _changed_at(one) > _changed_at(other))


def _changed_at(record: Any) -> datetime:
    times: Iterable[datetime | None] = (
        getattr(record, name, None) for name in ("updated_at", "last_activity_at", "deleted_at")
    )
    return max(time for time in times if time is not None)


def bring_up(storage: Storage, stored: Any, given: Any) -> None:
    """Write a later one over what is stored; a session that is soft-deleted here stays as it is.

    A session comes under a legal hold where it is later under one; none is lifted.

    Raises:
        AlreadyExists, InvalidRecord: it can't be: of a session the user is another one.
    """
    backend = storage.backend
    if isinstance(given, Trace):
        values = {each.name: getattr(given, each.name) for each in fields(given) if each.name not in _TRACE_FIXED}
        backend.patch(Trace, given.id, Patch(values=values))
    elif not isinstance(given, Session):
        backend.put([given])
    elif stored.deleted_at is None:
        fence = backend.fence(given.id)
        token = fence.token if fence else 0
        patch = update_of(given)
        values = {**patch.values, "updated_at": given.updated_at, "legal_hold": stored.legal_hold or given.legal_hold}
        backend.patch(Session, given.id, replace(patch, values=values), token)
        if given.deleted_at is not None:
            backend.close_session(given.id, given.deleted_at, token)
