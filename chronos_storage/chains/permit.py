"""The permit to remove rows of chains: what every store gives, and what every one of them asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .. import codec
from ..exceptions import InvalidRecord


class PurgePermit(ABC):
    """What `Storage.purge_permit` gives for its one transaction: the way to remove ledger rows."""

    @abstractmethod
    def purge_events(self, session_id: str, *, through_seq: int | None = None) -> int:
        """Remove a session's events up to and including `through_seq`, or all; returns how many.

        The next event still gets the next number, and the chain verifies from where it now begins.
        """

    @abstractmethod
    def purge_audit_logs(
        self, session_id: str | None = None, *, agent_id: str | None = None, through_seq: int | None = None
    ) -> int:
        """Remove a session's audit entries, or those of an agent without a session; see `purge_events`."""


def purge_reason(reason: str) -> str:
    """The reason of a purge, checked."""
    if not (reason := codec.string(reason, "reason", codec.MAX_TEXT)):
        raise InvalidRecord("reason", "is empty; the audit entry must say why rows are removed")
    return reason
