"""The backend that keeps nothing: it accepts every write and finds nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from datetime import datetime, timedelta
from typing import Any, TypeVar

from ..chains.numbering import following
from ..chains.permit import PurgePermit
from ..checkpoints.outlines import outline
from ..records import (
    Artifact,
    AuditLog,
    Blob,
    ChainHead,
    Checkpoint,
    Event,
    Fence,
    Health,
    Record,
    Session,
    TokenUsage,
    Trace,
    Verdict,
    now,
)
from ..spans import complete_trace_ids
from .base import Backend, Patch, Query

R = TypeVar("R", bound=Record)
T = TypeVar("T")

logger = logging.getLogger("chronos_storage")


class _NothingToPurge(PurgePermit):
    def _purge(self, record: type[Record], chain: str, through_seq: int | None) -> int:
        return 0

    def _erase(self, record: type[Record], chain: str, seq_nums: list[int]) -> int:
        return 0


class NoBackend(Backend):
    """For who wants no storage: every write returns the record as it would be stored, and nothing is kept.

    The first write is warned of in the log ``chronos_storage``. No signal is sent, as nothing was written.
    """

    supports_transactions = True
    keeps = False

    def __init__(self) -> None:
        self._warned = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _accept(self, *given: Record) -> None:
        """Warn of the first write, and refuse what others could not keep, which would measure what they write."""
        for record in given:
            record.check_size()
            if isinstance(record, Checkpoint):
                outline(record.state)
        if not self._warned:
            self._warned = True
            logger.warning("The storage backend is 'none': what agents write is accepted, and nothing of it is kept.")

    def run(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        return call()

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def after_commit(self, call: Callable[[], object]) -> None:
        """Nothing was written."""

    # There is nothing to find

    def select(self, query: Query[R]) -> list[R]:
        return []

    def iterate(self, query: Query[R]) -> Iterator[R]:
        return iter(())

    def count(self, query: Query[Any]) -> int:
        return 0

    def token_usage(self, query: Query[Any]) -> TokenUsage:
        return TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)

    def last_number(self, record: type[Record], owner: str) -> int:
        return 0

    def namespaces(self, session_id: str) -> Iterable[str]:
        return ()

    def scan(self, record: type[R], user_id: str | None, after: R | None) -> Iterator[R]:
        return iter(())

    def verify(self, record: type[Record], chain: str) -> Verdict:
        return Verdict(kind="event" if record is Event else "audit_log", chain=chain)

    def chains(self, record: type[Record]) -> Iterator[ChainHead]:
        return iter(())

    def set_base(self, record: type[Record], chain: str, base_seq: int, base_hash: str) -> None:
        """No chain is kept."""

    # What is written, or named by what is written, seems to be there

    def insert(self, session: Session, checkpoint: Checkpoint | None = None) -> None:
        self._accept(session, *([checkpoint] if checkpoint else []))

    def put(self, given: Sequence[R], fresh: Set[str] = frozenset(), fence: int | None = None) -> list[R]:
        self._accept(*given)
        return list(given)

    def patch(self, record: type[R], id: str, patch: Patch, fence: int | None = None) -> R:
        make: Any = record
        metadata = {} if patch.merge is None else {"metadata": dict(patch.merge)}
        patched: R = make(id=id, **metadata, **patch.values, **patch.once, **patch.forward, **patch.first)
        patched.complete()
        if isinstance(patched, Trace):
            complete_trace_ids([patched], lambda ids: {})
        self._accept(patched)
        return patched

    def append(
        self, record: type[R], given: Sequence[R], expected_seq: int | None = None, fence: int | None = None
    ) -> tuple[list[R], list[R]]:
        """The records, numbered on from what the caller takes for the last number."""
        self._accept(*given)
        new: list[Any] = list(map(copy, given))
        if record is Artifact:
            for each in new:
                each.complete()
                each.version = each.version or 1
            return new, new
        first = new[0].seq_num if record is not Trace else 0
        last = first - 1 if first else expected_seq or 0
        for each in new:
            each.complete()
            if record is not Trace:
                each.seq_num = last = each.seq_num or following(last)
        if record is Trace:
            complete_trace_ids(new, lambda ids: {})
        return new, new

    def save_checkpoint(
        self, given: Checkpoint, *, fresh: bool = False, fence: int | None = None
    ) -> tuple[Checkpoint, bool]:
        self._accept(given)
        new = copy(given)
        new.complete()
        new.seq_num = new.seq_num or 1
        return new, True

    def change_blob(self, sha256: str, change: Callable[[Blob, Callable[[], bool]], T]) -> T:
        return change(Blob(id=sha256), lambda: False)

    def open_session(self, id: str, at: datetime, fence: int | None = None) -> Session:
        return self.patch(Session, id, Patch(values={"updated_at": at}))

    def hold(self, id: str, held: bool, at: datetime, log: AuditLog) -> tuple[Session, AuditLog]:
        session = self.patch(Session, id, Patch(values={"legal_hold": held, "updated_at": at}))
        return session, self.append(AuditLog, [log])[0][0]

    def acquire(self, session_id: str, holder: str, ttl: timedelta | None, force: bool, key: str) -> Fence:
        return Fence(session_id=session_id, holder=holder, token=1, expires_at=_after(ttl))

    def renew(self, session_id: str, token: int, ttl: timedelta | None) -> Fence:
        return Fence(session_id=session_id, token=token, expires_at=_after(ttl))

    def fence(self, session_id: str) -> Fence | None:
        return None

    def load(self, records: Iterable[Record]) -> int:
        count = 0
        for record in records:
            self._accept(record.cleaned())
            count += 1
        return count

    # There is nothing to remove

    def delete(self, query: Query[Any], fence: int | None = None, *, deleted_too: bool = False) -> int:
        return 0

    def truncate(self, session_id: str, after_id: str, fence: int | None = None) -> int:
        return 0

    def prune(
        self, session_id: str, keep_last: int, run_ids: Sequence[str] | None = None, fence: int | None = None
    ) -> int:
        return 0

    def close_session(self, id: str, at: datetime, fence: int | None = None) -> bool:
        return False

    def remove_session(self, id: str, fence: int | None = None, *, erasing: bool = False) -> AuditLog | None:
        return None

    @contextmanager
    def purging(self, reason: str) -> Iterator[PurgePermit]:
        yield _NothingToPurge()

    # There is nothing to look after

    def migrate(self) -> None:
        """There is nothing to make."""

    def close(self) -> None:
        """There is no connection."""

    def health(self) -> Health:
        return Health(
            backend=f"{type(self).__module__}.{type(self).__qualname__}",
            store="nothing: the backend is 'none'",
            latency=0.0,
        )


def _after(ttl: timedelta | None) -> datetime | None:
    return now() + ttl if ttl else None
