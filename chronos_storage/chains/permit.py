"""The permit to remove rows of chains: what every store gives, and what every one of them asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .. import codec
from ..exceptions import AppendOnlyError, InvalidRecord
from ..records import AuditLog, Event, Record
from .numbering import chain_of


class PurgePermit(ABC):
    """What `Storage.purge_permit` gives for its one transaction: the way to remove ledger rows."""

    #: The entry that says what went and why, once the block is over, where anything went.
    audit_log: AuditLog | None = None
    #: Whether its block is over.
    ended: bool = False

    def require_open(self) -> None:
        """Refuse what comes after the block with `AppendOnlyError`."""
        if self.ended:
            raise AppendOnlyError("this purge permit ended with its block")

    def purge_events(self, session_id: str, *, through_seq: int | None = None) -> int:
        """Remove a session's events up to and including `through_seq`, or all; returns how many.

        The next event still gets the next number, and the chain verifies from where it now begins.
        """
        self.require_open()
        return self._purge(Event, codec.string(session_id, "session_id"), _number(through_seq))

    def purge_audit_logs(
        self, session_id: str | None = None, *, agent_id: str | None = None, through_seq: int | None = None
    ) -> int:
        """Remove a session's audit entries, or those of an agent without a session; see `purge_events`."""
        self.require_open()
        return self._purge(AuditLog, chain_of(session_id, agent_id), _number(through_seq))

    @abstractmethod
    def _purge(self, record: type[Record], chain: str, through_seq: int | None) -> int:
        """Remove the first records of a chain of these, up to a number or all; returns how many."""


def _number(through_seq: int | None) -> int | None:
    return None if through_seq is None else codec.integer(through_seq, "through_seq")


def purge_reason(reason: str) -> str:
    """The reason of a purge, checked."""
    if not (reason := codec.string(reason, "reason", codec.MAX_TEXT)):
        raise InvalidRecord("reason", "is empty; the audit entry must say why rows are removed")
    return reason
