"""What is stored along with events, in the transaction that appends them, by who stands above the storage.

The queue is told of events this way: it needs the storage, and so the storage can't call it by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from django.db import transaction

from ...records import Event


class Outbox(Protocol):
    """Who stores more with events."""

    def is_on(self) -> bool:
        """Whether there is something to store."""

    def store(self, using: str, events: Sequence[Event]) -> None:
        """Store what is to be stored with events that were appended just now, in the same transaction."""

    def forget(self, using: str, session_id: str) -> None:
        """Remove what was stored with the events of a session that is being removed itself, in the same transaction."""


_outboxes: list[Outbox] = []


def register(outbox: Outbox) -> None:
    """Have an outbox called with each appended event; once more is no change."""
    if outbox not in _outboxes:
        _outboxes.append(outbox)


def joined(using: str) -> AbstractContextManager[None]:
    """Around appending and `appended`: one transaction, where an outbox has something to store."""
    return transaction.atomic(using=using) if any(outbox.is_on() for outbox in _outboxes) else nullcontext()


def appended(using: str, new: Sequence[Event]) -> None:
    """Tell the outboxes of events that were appended just now, in the same transaction."""
    for outbox in _outboxes:
        if new and outbox.is_on():
            outbox.store(using, new)


def removed(using: str, session_id: str) -> None:
    """Tell the outboxes that a session is being removed for good, in the same transaction."""
    for outbox in _outboxes:
        outbox.forget(using, session_id)
