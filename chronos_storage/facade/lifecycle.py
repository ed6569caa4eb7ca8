from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar

from .. import codec, records, signals
from ..async_variants import async_iterator, async_variant, hop
from ..backends.base import Condition, Query
from ..chains.numbering import chain_of
from ..chains.permit import PurgePermit, purge_reason
from ..records import AuditLog, ChainHead, Event, Health, Record, Verdict
from ..redaction import counted
from .arguments import choice, of_any_kind, page_slice
from .base import FacadeBase, in_our_words

P = ParamSpec("P")
T = TypeVar("T")

#: What is chained, by kind.
_CHAINED: dict[str, type[Any]] = {"event": Event, "audit_log": AuditLog}


class LifecycleMethods(FacadeBase):
    def verify_events(self, session_id: str) -> Verdict:
        """Whether a session's events are as they were appended, or the first that is not."""
        return self._run(partial(self.backend.verify, Event, codec.string(session_id, "session_id")))

    @async_variant(verify_events)
    def averify_events(self) -> Any: ...

    def verify_audit_logs(self, session_id: str | None = None, *, agent_id: str | None = None) -> Verdict:
        """Whether a session's audit entries, or those of an agent without a session, are as they were appended."""
        return self._run(partial(self.backend.verify, AuditLog, chain_of(session_id, agent_id)))

    @async_variant(verify_audit_logs)
    def averify_audit_logs(self) -> Any: ...

    def verify_all(self) -> Iterator[Verdict]:
        """The verdict of every chain in the store, one after the other."""
        for head in self.chain_heads():
            yield self._run(partial(self.backend.verify, _CHAINED[head.kind], head.chain))

    @async_iterator(verify_all)
    def averify_all(self) -> Any: ...

    def chain_heads(self) -> Iterator[ChainHead]:
        """Where every chain in the store ends: those of events first, then those of audit entries."""
        for record in _CHAINED.values():
            yield from self.backend.chains(record)

    @async_iterator(chain_heads)
    def achain_heads(self) -> Any: ...

    def list_chain(self, kind: str, chain: str, after_seq: int = 0, *, limit: int | None = None) -> list[Any]:
        """A chain's rows with a number above `after_seq`, ascending, as they are stored, without upcasters.

        Args:
            kind: ``event`` or ``audit_log``.
            chain: its name, as `chain_heads` gives it.
        """
        name, after = codec.string(chain, "chain", codec.MAX_TOPIC), codec.integer(after_seq, "after_seq")
        part = page_slice(limit)
        record = choice(kind, "kind", _CHAINED)
        of_chain = Condition("session_id" if record is Event else "chain", "=", name)
        where = (of_chain, Condition("seq_num", ">", after))
        return self._stored(Query(record=record, where=where, order=("seq_num",), **part))

    @async_variant(list_chain)
    def alist_chain(self) -> Any: ...

    @contextmanager
    def purge_permit(self, *, reason: str) -> Iterator[PurgePermit]:
        """Open deletion of ledger rows for one transaction, and write an audit entry of what went and why."""
        with self.backend.purging(purge_reason(reason)) as permit:
            try:
                yield permit
            finally:
                permit.ended = True
        if permit.audit_log is not None:
            self._tell(signals.ledger_purged, AuditLog, audit_log=permit.audit_log)

    def scan(self, kind: str, *, user_id: str | None = None, after: Record | None = None) -> Iterator[Any]:
        """All records of a kind, a name of `records.KINDS`: owned or not, soft-deleted and expired ones too.

        They come ordered by id, or by session and number where they have one, so that a walk can go on later.

        Args:
            user_id: only what belongs to this user, or to a session of theirs; containers and images have no owner.
            after: the last record of a walk that was broken off.
        """
        record = choice(kind, "kind", records.KINDS)
        user_id = None if user_id is None else codec.string(user_id, "user_id")
        return self.backend.scan(record, user_id, None if after is None else record.of(after, "after").cleaned())

    @async_iterator(scan)
    def ascan(self) -> Any: ...

    def load(self, records: Iterable[Record]) -> int:
        """Write records as they are, numbers, times and hashes included, all or none; returns how many were new.

        What is stored already with the same content is passed over.

        Raises:
            InvalidRecord: an event or audit entry whose number or hash doesn't continue its chain.
            AlreadyExists: an id that is taken by other content.
            NotFound: a message, event or checkpoint whose session isn't there.
        """
        return in_our_words(self.backend.load, counted(of_any_kind(records)))

    @async_variant(load)
    def aload(self) -> Any: ...

    def migrate(self) -> None:
        """Make or bring up to date what the backend stores in; again, no change.

        Raises:
            ConfigurationError: the settings or the server do not let it; the message says what would.
            StoreFailure: the database can't be reached, or refuses it.
        """
        self.backend.migrate()

    @async_variant(migrate)
    def amigrate(self) -> Any: ...

    def close(self) -> None:
        """Release connections; again, no change. The storage can still be used: it opens new ones."""
        self.backend.close()

    @async_variant(close)
    def aclose(self) -> Any: ...

    def atomic(self) -> AbstractContextManager[None]:
        """One transaction around several calls; inside the caller's own, part of it.

        Raises:
            NotSupported: the backend has no transactions.
        """
        return self.backend.transaction()

    async def arun_atomic(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call the synchronous `function` in one transaction, which no other task's work can get into."""

        def run() -> T:
            with self.atomic():
                return function(*args, **kwargs)

        return await hop(self, run)

    def health(self) -> Health:
        """Whether the store can be reached and is ready for use; does not raise."""
        return self.backend.health()

    @async_variant(health)
    def ahealth(self) -> Any: ...
