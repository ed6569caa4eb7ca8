"""What is stored along with events, in the transaction that appends them, by who stands above the storage.

The queue is told of events this way: it needs the storage, and so the storage can't call it by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ...records import Event


class Outbox(Protocol):
    """Who stores more with events."""

    def is_on(self) -> bool:
        """Whether there is something to store."""

    def channel(self, using: str) -> str | None:
        """Who hears of an event that a function of the database appends and publishes (see `ledger.outbox`); None where
        `store` is to be called.
        """

    def store(self, using: str, events: Sequence[Event]) -> None:
        """Store what is to be stored with events that were appended just now, in the same transaction."""

    def forget(self, using: str, session_id: str) -> None:
        """Remove what was stored with the events of a session that is being removed itself, in the same transaction."""


_outboxes: list[Outbox] = []


def register(outbox: Outbox) -> None:
    """Have the outbox called with each appended event."""
    _outboxes[:] = [outbox]


def outbox() -> Outbox | None:
    """The outbox, where it has something to store."""
    for each in _outboxes:
        if each.is_on():
            return each
    return None


def removed(using: str, session_id: str) -> None:
    """Tell the outbox that a session is being removed for good, in the same transaction."""
    for each in _outboxes:
        each.forget(using, session_id)
