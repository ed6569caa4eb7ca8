"""Checking the hash chains of a store."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, TypeVar

from django.db import connections

from ..chains.numbering import session_of
from ..compat.connections import pool_of
from ..exceptions import InvalidRecord, NotFound
from ..facade import Storage
from ..records import ChainHead, Verdict
from ..sqlite_files import in_memory
from ..threads import Threads

T = TypeVar("T")

#: Chains that are begun with ahead of the one whose verdict is wanted, for each of those at work.
_AHEAD = 4
#: Seconds that an idle thread waits for the next one.
_LINGER = 10.0


@dataclass
class Verified:
    """What a check of hash chains found.

    Attributes:
        chains: how many were checked.
        rows: how many rows they have.
        erased: how many of these were emptied by an erasure.
        broken: the verdicts of those that are not as they were appended.
    """

    chains: int = 0
    rows: int = 0
    erased: int = 0
    broken: list[Verdict] = field(default_factory=list)

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        return "The ledger is not as it was appended." if self.broken else ""

    def as_dict(self) -> dict[str, Any]:
        """The counts and the broken chains, as JSON's types."""
        return asdict(self)

    def __str__(self) -> str:
        erased = f", {self.erased:,} erased" if self.erased else ""
        return f"Chains: {self.chains:,} checked, {len(self.broken):,} broken. Rows: {self.rows:,}{erased}."


def verify(
    storage: Storage,
    session_id: str | None = None,
    *,
    jobs: int = 1,
    progress: Callable[[Verified, Verdict], object] | None = None,
) -> Verified:
    """Check every hash chain of a store, or a session's two alone.

    Args:
        jobs: how many chains of a store are checked at once, each over a connection of its own, which sees no
            transaction of the caller's; no more than the database's pool can give besides the caller's. The report is
            the same.
        progress: called after each chain, with the report as far as it is and the chain's verdict.

    Raises:
        InvalidRecord: `jobs` is below 1.
        NotFound: there is no such session, and no audit entry of it.
    """
    if jobs < 1:
        raise InvalidRecord("jobs", f"is {jobs}; give 1 or more")
    jobs = _possible(storage, jobs)
    report = Verified()
    if session_id is not None:
        verdicts = _of(storage, session_id)
    else:
        verdicts = storage.verify_all() if jobs == 1 else _at_once(storage, jobs)
    for verdict in verdicts:
        report.chains += 1
        report.rows += verdict.checked
        report.erased += verdict.erased
        if not verdict.intact:
            report.broken.append(verdict)
        if progress is not None:
            progress(report, verdict)
    return report


def _of(storage: Storage, session_id: str) -> Iterator[Verdict]:
    """The verdicts of one session, which may be deleted, or be named by audit logs alone."""
    verdicts = [storage.verify_events(session_id), storage.verify_audit_logs(session_id)]
    empty = not any(verdict.last_seq or verdict.checked for verdict in verdicts)
    if empty and storage.get_session(session_id, include_deleted=True) is None:
        raise NotFound(f"There is no session {session_id!r}.")
    yield from verdicts


def _at_once(storage: Storage, jobs: int) -> Iterator[Verdict]:
    """The verdicts of all chains in their order, some of which are worked out meanwhile."""

    def verdict(head: ChainHead) -> Verdict:
        if head.kind == "event":
            return storage.verify_events(head.chain)
        if (session_id := session_of(head.chain)) is not None:
            return storage.verify_audit_logs(session_id)
        return storage.verify_audit_logs(agent_id=head.chain.removeprefix("agent:"))

    threads = Threads("chronos-verify", jobs, linger=_LINGER)
    waiting: deque[Future[Verdict]] = deque()
    try:
        for head in storage.chain_heads():
            waiting.append(_begin(threads, partial(verdict, head)))
            if len(waiting) >= _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        threads.close()


def _begin(threads: Threads, call: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as error:  # which belongs to who waits
                future.set_exception(error)

    threads.add(run)
    return future


def _possible(storage: Storage, jobs: int) -> int:
    """How many of these can be at work: one in SQLite's database in memory, which no other connection has."""
    if (alias := storage.backend.using) is None:
        return jobs
    if in_memory(connections[alias]):
        return 1
    pool = pool_of(connections[alias])
    return jobs if pool is None else max(1, min(jobs, pool.max_size - 1))
