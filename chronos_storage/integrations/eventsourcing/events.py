"""The package's stored events as events of the ledger, and back."""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any
from uuid import UUID

from eventsourcing.persistence import IntegrityError, Notification, StoredEvent

from ... import codec
from ...backends.base import Condition
from ...ids import composite_id
from ...records import Event

#: Digits of a version in an event's id: ids of one aggregate sort by version.
_DIGITS = len(str(codec.MAX_INTEGER))


def _id(originator_id: UUID | str, version: int) -> str:
    """What the ids of an aggregate's events begin with, a ``~`` that no aggregate's has, and the version."""
    beginning = composite_id(str(originator_id))
    if len(beginning) > codec.MAX_INDEXED - 1 - _DIGITS:
        beginning = f"%~{sha256(beginning.encode()).hexdigest()}"  # no other begins like that
    return f"{beginning}~{codec.integer(version, 'originator_version'):0{_DIGITS}}"


def to_events(stored: list[StoredEvent], session_id: str, attempt: str) -> list[Event]:
    """The events of one insertion.

    Args:
        attempt: something that no other insertion has: what is stored already then differs from what is given, and is
            refused and not passed over.

    Raises:
        IntegrityError: two have one version of an aggregate.
    """
    events = [
        Event(
            id=_id(event.originator_id, event.originator_version),
            session_id=session_id,
            type=event.topic,
            payload={
                "originator_id": str(event.originator_id),
                "is_uuid": isinstance(event.originator_id, UUID),
                "originator_version": event.originator_version,
                **_state(event.state),
                "attempt": attempt,
            },
        )
        for event in stored
    ]
    if len({event.id for event in events}) < len(events):
        raise IntegrityError("several of the events have one version of an aggregate")
    return events


def _state(state: bytes) -> dict[str, str]:
    """Text where it is text, to be read in the admin and by whoever follows the ledger."""
    try:
        return {"state": codec.string(state.decode(), "state", codec.MAX_JSON_BYTES)}
    except ValueError:  # compressed, or encrypted
        return {"state_base64": b64encode(state).decode()}


def fields_of(event: Event) -> dict[str, Any]:
    """The fields of a stored event."""
    payload = event.payload
    originator_id = payload["originator_id"]
    return {
        "originator_id": UUID(originator_id) if payload["is_uuid"] else originator_id,
        "originator_version": payload["originator_version"],
        "topic": event.type,
        "state": payload["state"].encode() if "state" in payload else b64decode(payload["state_base64"]),
    }


def notification(event: Event) -> Notification:
    return Notification(id=event.seq_num, **fields_of(event))


def of_aggregate(originator_id: UUID | str, gt: int | None, lte: int | None) -> tuple[Condition, ...]:
    """That an event is an aggregate's, with a version above `gt` and up to `lte`."""
    return (
        Condition("id", ">=", _id(originator_id, 0 if gt is None else gt + 1)),
        Condition("id", "<=", _id(originator_id, codec.MAX_INTEGER if lte is None else lte)),
    )
