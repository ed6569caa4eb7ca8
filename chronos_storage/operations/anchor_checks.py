"""Comparing a store with the heads that were signed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ..chains.erasing import nameless
from ..chains.numbering import ACTOR, session_of
from ..facade import Storage
from ..records import Verdict
from .anchors import Anchor


@dataclass
class Compared:
    """How a store compares with the heads that were signed.

    Attributes:
        heads: how many were compared.
        purged: how many of these rows a purge has removed since, and deleted how many a hard deletion of their
            session; the audit log says why.
        broken: what is wrong with the others.
    """

    heads: int = 0
    purged: int = 0
    deleted: int = 0
    broken: list[dict[str, str]] = field(default_factory=list)

    def note(self, head: dict[str, Any], problem: str) -> None:
        """Report a chain as broken."""
        self.broken.append({"kind": head["kind"], "chain": head["chain"], "problem": problem})

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        return "The ledger is not what was anchored." if self.broken else ""

    def as_dict(self) -> dict[str, Any]:
        """The counts and the broken chains, as JSON's types."""
        return asdict(self)

    def __str__(self) -> str:
        since = "".join(f" {count:,} {what} since," for what, count in self._since() if count)
        return f"Heads: {self.heads:,} compared,{since} {len(self.broken):,} broken."

    def _since(self) -> Iterator[tuple[str, int]]:
        yield "purged", self.purged
        yield "deleted", self.deleted


def compare(storage: Storage, anchored: Anchor, *, progress: Callable[[Compared], object] | None = None) -> Compared:
    """Verify each anchored chain of a store, and whether it still has the row that was its last.

    Args:
        progress: called after each chain with the report as far as it is.
    """
    report, purges = Compared(), _Purges(storage, anchored.created_at)
    for head in anchored.heads:
        report.heads += 1
        # Before the chain is verified, so that a purge or a deletion meanwhile shows there.
        row = next(iter(storage.list_chain(head["kind"], head["chain"], head["seq_num"] - 1, limit=1)), None)
        verdict = _verify(storage, head["kind"], head["chain"])
        if not verdict.intact:
            report.note(head, verdict.problem)
        elif problem := _difference(head, row, verdict):
            if verdict.base_seq >= head["seq_num"] and purges.has(head):
                report.purged += 1
            elif _deleted_since(storage, head, anchored.created_at):
                report.deleted += 1
            else:
                report.note(head, problem)
        if progress is not None:
            progress(report)
    return report


def _difference(head: dict[str, Any], row: Any, verdict: Verdict) -> str:
    """What tells a chain, which is intact, from the one that was anchored; empty if nothing does."""
    number = head["seq_num"]
    if verdict.base_seq >= number:
        return f"begins after number {verdict.base_seq}, and no audit entry says that number {number} was purged"
    if verdict.last_seq < number:
        return f"ends with number {verdict.last_seq}; number {number} was anchored"
    if row is None or (row.seq_num, row.hash) != (number, head["hash"]):
        return f"number {number} is another row than was anchored"
    return ""


class _Purges:
    """What the audit log says was purged since a time."""

    def __init__(self, storage: Storage, since: datetime) -> None:
        self._storage = storage
        self._since = since
        self._through: defaultdict[tuple[str, str], int] = defaultdict(int)

    def has(self, head: dict[str, Any]) -> bool:
        """Whether a chain's row of this number went."""
        chain, number = (head["kind"], head["chain"]), head["seq_num"]
        if self._through[chain] < number:
            self._read()
        return self._through[chain] >= int(number)

    def _read(self) -> None:
        for log in self._storage.iter_audit_logs(actor=ACTOR, action="ledger.purge", since=self._since):
            for each in log.detail.get("chains", ()):
                chain = each["kind"], each["chain"]
                self._through[chain] = max(self._through[chain], each["through_seq"])


def _verify(storage: Storage, kind: str, chain: str) -> Verdict:
    if kind == "event":
        return storage.verify_events(chain)
    session_id = session_of(chain)
    if session_id is not None:
        return storage.verify_audit_logs(session_id)
    return storage.verify_audit_logs(agent_id=chain.removeprefix("agent:"))


def _deleted_since(storage: Storage, head: dict[str, Any], when: datetime) -> bool:
    """Whether the audit log says that the session of this chain was removed since."""
    session_id = head["chain"] if head["kind"] == "event" else session_of(head["chain"])
    if session_id is None:
        return False
    removals = {"session.delete": session_id, "session.erase": nameless(session_id)}
    return any(
        storage.list_audit_logs(action=action, resource=resource, since=when, limit=1)
        for action, resource in removals.items()
    )
