"""The permit to remove rows of chains: what every store gives, and what every one of them asks for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

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
    #: The sessions of which events were emptied, and their numbers.
    emptied_events: tuple[tuple[str, int], ...] = ()

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

    def erase_events(self, session_id: str, seq_nums: Iterable[int]) -> int:
        """Empty those of a session's events that have these numbers; returns how many were not empty before.

        Each keeps its number, its hash and a digest of what was there, and the chain still verifies.
        """
        self.require_open()
        id, numbers = codec.string(session_id, "session_id"), _numbers(seq_nums)
        self.emptied_events += tuple((id, number) for number in numbers)
        return self._erase(Event, id, numbers)

    def erase_audit_logs(
        self, session_id: str | None = None, *, agent_id: str | None = None, seq_nums: Iterable[int]
    ) -> int:
        """Empty audit entries of a session, or of an agent without a session; see `erase_events`."""
        self.require_open()
        return self._erase(AuditLog, chain_of(session_id, agent_id), _numbers(seq_nums))

    @abstractmethod
    def _erase(self, record: type[Record], chain: str, seq_nums: list[int]) -> int:
        """Empty the records of a chain of these that have these numbers; returns how many were not empty before."""

    @abstractmethod
    def _purge(self, record: type[Record], chain: str, through_seq: int | None) -> int:
        """Remove the first records of a chain of these, up to a number or all; returns how many."""


def _number(through_seq: int | None) -> int | None:
    return None if through_seq is None else codec.integer(through_seq, "through_seq")


def _numbers(seq_nums: Iterable[int]) -> list[int]:
    given: object = seq_nums
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise InvalidRecord("seq_nums", f"must be a list of numbers, not {type(seq_nums).__name__}")
    return sorted({codec.integer(number, "seq_nums") for number in seq_nums})


def purge_reason(reason: str) -> str:
    """The reason of a purge, checked."""
    if not (reason := codec.string(reason, "reason", codec.MAX_TEXT)):
        raise InvalidRecord("reason", "is empty; the audit entry must say why rows are removed")
    return reason
