"""Removing the first rows of chains, some at a time."""

from __future__ import annotations

from functools import partial

from ..chains.numbering import session_of
from ..exceptions import LegalHold
from ..facade import Storage
from ..transactions import again
from .pruned import Line, Pace


class Purge:
    """What is to go of chains of one kind: some rows at a time, each time under one permit and with one audit entry.

    Args:
        kind: ``event`` or ``audit_log``.
        reason: for the audit entries.
        line: where what went, and what is held, is counted.
    """

    def __init__(self, storage: Storage, kind: str, reason: str, line: Line, pace: Pace) -> None:
        self._storage = storage
        self._kind = kind
        self._reason = reason
        self._line = line
        self._pace = pace
        #: By chain, the last number that goes, and how many rows do.
        self._due: dict[str, tuple[int, int]] = {}

    def add(self, chain: str, through_seq: int, count: int) -> None:
        """Have so many rows of a chain go, up to this number."""
        _, before = self._due.get(chain, (0, 0))
        self._due[chain] = through_seq, before + count
        if sum(count for _, count in self._due.values()) >= self._pace.size:
            self.carry_out()

    def carry_out(self) -> None:
        """Remove what is due."""
        while self._due:
            try:
                self._line.add(self._pace.timed(partial(again, self._storage.backend.using, self._purged)))
            except LegalHold as error:  # which came in between
                held = [chain for chain in self._due if error.session_id in (chain, session_of(chain))]
                self._line.add(sum(self._due.pop(chain)[1] for chain in held), held=True)
            else:
                self._due.clear()

    def _purged(self) -> int:
        removed = 0
        with self._storage.purge_permit(reason=self._reason) as permit:
            for chain, (through, _) in sorted(self._due.items()):
                if self._kind == "event":
                    removed += permit.purge_events(chain, through_seq=through)
                elif (id := session_of(chain)) is not None:
                    removed += permit.purge_audit_logs(id, through_seq=through)
                else:
                    agent_id = chain.removeprefix("agent:")
                    removed += permit.purge_audit_logs(agent_id=agent_id, through_seq=through)
        return removed
