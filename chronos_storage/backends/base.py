"""`Backend`: who keeps the records. What each call means, `Storage` says once, for all of them.

A backend is given records that are checked, but for the length of their JSON where they have one field of it alone:
that is refused by `codec.dumps`, which makes its text, and by `Record.check_size`. It is given the rules that hold for
a write as data: the number expected, the fields that only go forward, what must be unset. It answers with what is
stored, or raises `refusals.Refused` with the reason, for which `Storage` has the words. It never changes a record it
is given, but those that `append` and `save_checkpoint` return are its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from io import BufferedReader
from typing import Any, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from ..chains.hashing import ZERO
from ..chains.permit import PurgePermit
from ..exceptions import NotSupported
from ..records import (
    Artifact,
    AuditLog,
    Blob,
    ChainHead,
    Checkpoint,
    Event,
    Fence,
    Health,
    Message,
    Record,
    Session,
    TokenUsage,
    Verdict,
)

R = TypeVar("R", bound=Record)
T = TypeVar("T")

#: "unless past" is for what expires: unset, or later than the value. "matches" is for metadata in a `select`: the value
#: is the tree of `filters.parse`.
Operator: TypeAlias = Literal["=", "in", "<", "<=", ">", ">=", "prefix", "unless past", "matches"]


class Condition(NamedTuple):
    """What a record must fulfil to be selected.

    Attributes:
        field: the record's field, or ``session.`` and a field of the session it belongs to; ``chain``, of an audit
            entry, is the name of its chain.
        value: of the field's type, checked; for "in" a list of them.
    """

    field: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Generic[R]):
    """Which records of a type, and in which order.

    Attributes:
        record: the type.
        where: the conditions, all of which hold.
        deleted: whether soft-deleted sessions, and what belongs to them, count too.
        order: fields that are unique together, all ascending, or with a leading "-" all descending; none for any order.
        after: the record to begin after, at its place in the order.
        limit: how many, at most; None for all.
        offset: how many are passed over first.
        current: whether it is worth a look past the caller's transaction, before there is said to be nothing: then what
            was committed since it began, and it can't see, is for `run` a reason to call again.
        whole: whether checkpoints are wanted with their states; if not, as they are kept: a state, or in its place the
            skeleton (see `checkpoints`) of what is kept apart from it.
        fields: those that are looked at, where not all are: the others may come empty, if that is less work.
    """

    record: type[R]
    where: tuple[Condition, ...] = ()
    deleted: bool = True
    order: tuple[str, ...] = ()
    after: R | None = None
    limit: int | None = None
    offset: int = 0
    current: bool = False
    whole: bool = True
    fields: tuple[str, ...] = ()


class SeriesHead(NamedTuple):
    """Where a numbered series ends, and a hash chain begins.

    Attributes:
        series: the session's id, or the name of a chain of audit entries.
        namespace: of a series of checkpoints.
        seq_num: the last number that was given.
        base_seq: the last that a purge removed, and its hash.
    """

    series: str
    namespace: str
    seq_num: int
    base_seq: int = 0
    base_hash: str = ZERO


#: A record as a line: the values that it is ordered by, and last the JSON object with the record under its kind's name.
Line = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What of a record changes, all at once.

    Attributes:
        values: the fields that are set.
        forward: times that are set unless they would go back.
        first: fields that are set unless they are already.
        merge: keys that are set in the metadata, whose others stay.
        once: fields that are set unless they hold something else already: then nothing changes, and the backend
            refuses with `Reason.CONDITION`.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    forward: Mapping[str, datetime] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    merge: Mapping[str, Any] | None = None
    once: Mapping[str, str] = field(default_factory=dict)


class Backend(ABC):
    """A store of records, as `Storage` needs it."""

    #: Whether `transaction` works: several calls as one.
    supports_transactions: bool = False
    #: Whether what was written can be found again.
    keeps: bool = True

    @property
    def using(self) -> str | None:
        """The alias of the Django database it writes to; None where that is none."""
        return None

    # Units of work

    @abstractmethod
    def run(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """What `call` returns; it is called again, a few times with jitter, where another writer was in the way.

        Args:
            again: called instead once a connection was lost: what was sent before may have been done.

        Raises:
            RetryTransaction: the last attempt failed too, or the caller has a transaction open.
            StoreFailure: the store can't do what it was asked, whoever asks.
        """

    @abstractmethod
    def transaction(self) -> AbstractContextManager[None]:
        """One transaction around several calls; inside the caller's own, part of it.

        Raises:
            NotSupported: the backend has none.
        """

    def snapshot(self) -> AbstractContextManager[bool]:
        """Within the block everything is read as it was at one moment, if the backend can: that is what it gives."""
        return nullcontext(False)

    @abstractmethod
    def after_commit(self, call: Callable[[], object]) -> None:
        """Call this once what was written is committed: at once, but in a transaction."""

    def in_transaction(self) -> bool:
        """Whether a transaction is open around what this thread writes, with which it may be taken back."""
        if not (self.supports_transactions and self.keeps):
            return False
        called: list[bool] = []
        self.after_commit(lambda: called.append(True))
        return not called

    def exclusively(self, record: type[Record], ids: Sequence[str], call: Callable[[], T], session_id: str = "") -> T:
        """What `call` returns, which looks at some records and then writes to them, and nobody else does in between.

        It is made in one transaction, or is called again where another was faster. A backend that can do neither calls
        it once, and trusts that nobody is.

        Args:
            ids: of the records, whether they are there or not.
            session_id: of what is unique within its session only, the session's.
        """

        def alone() -> T:
            with self.transaction() if self.supports_transactions else nullcontext():
                return call()

        return self.run(alone)

    # Reading

    @abstractmethod
    def select(self, query: Query[R]) -> list[R]:
        """The records that a query asks for."""

    @abstractmethod
    def iterate(self, query: Query[R]) -> Iterator[R]:
        """The same, in pages of its own and without an offset; a walk goes on where it was after a failure.

        A limit is how many the caller is likely to take, and ends nothing.
        """

    @abstractmethod
    def count(self, query: Query[Any]) -> int:
        """How many records a query finds."""

    @abstractmethod
    def token_usage(self, query: Query[Any]) -> TokenUsage:
        """The tokens of the messages that a query finds, added up."""

    @abstractmethod
    def last_number(self, record: type[Record], owner: str) -> int:
        """The last number given in the series of a session's messages or events; 0 before the first."""

    @abstractmethod
    def namespaces(self, session_id: str) -> Iterable[str]:
        """The namespaces in which a session has checkpoints, each once."""

    def content(self, artifact: Artifact, read: Callable[[], BufferedReader]) -> BufferedReader:
        """A file object with an artifact's bytes.

        Args:
            read: opens the file that has them.
        """
        return read()

    # Writing

    @abstractmethod
    def insert(self, session: Session, checkpoint: Checkpoint | None = None) -> None:
        """Store a new session, and the checkpoint it begins with, both complete.

        Raises:
            Refused: TAKEN.
        """

    @abstractmethod
    def put(self, given: Sequence[R], fresh: Set[str] = frozenset(), fence: int | None = None) -> list[R]:
        """Store complete containers, images or memories over what their ids, or natural keys, had; all or none.

        A known one keeps its id and its created_at. A memory whose id is stored under another natural key moves,
        before others take the place.

        Args:
            given: one at least, all of one type; no two have the same id or the same natural key.
            fresh: the ids that were made just now.
            fence: a token, which must be that of the (one) session that the memories name; None for any.

        Returns:
            The records as they are stored, in the order given.

        Raises:
            Refused: TAKEN, where a memory would move to; with a fence MISSING or STALE, the session.
        """

    @abstractmethod
    def patch(self, record: type[R], id: str, patch: Patch, fence: int | None = None) -> R:
        """Change some fields of a record; of a session only if it is not soft-deleted.

        Args:
            fence: the writer's token, which must be that of the session, or of a span's session; None for who has
                none, who can't change a session that requires a fence.

        Raises:
            Refused: MISSING, STALE or CONDITION.
            InvalidRecord: it would be too large.
        """

    @abstractmethod
    def append(
        self, record: type[R], given: Sequence[R], expected_seq: int | None = None, fence: int | None = None
    ) -> tuple[list[R], list[R]]:
        """Store what is appended: messages, events, audit entries, spans or one artifact, all with ids; all or none.

        All but spans are put at the end of their series, and get its next numbers. Messages move their sessions'
        last_activity_at forward. New spans without a trace_id get one by `spans.complete_trace_ids`. Artifacts are
        numbered, by version, within their `scope`; the blob of a new one's bytes is marked as used now.

        Args:
            expected_seq: the last number of the (one) series, if something new is to be appended.
            fence: the writer's token, which must be that of the (one) session; None for who has none. Without one
                sessions that require a fence take no messages, events and audit entries.

        Returns:
            The records as they are stored, in the order given, and those of them that are new.

        Raises:
            Refused: MISSING, DELETED or else STALE, naming a session; MISSING, a blob of which no file is kept.
            AlreadyExists, SequenceConflict: as `chains.numbering` says.
        """

    @abstractmethod
    def save_checkpoint(
        self, given: Checkpoint, *, fresh: bool = False, fence: int | None = None
    ) -> tuple[Checkpoint, bool]:
        """Store a checkpoint under the next number of its series, or under its own.

        Args:
            fresh: the id was made just now.
            fence: as of `append`.

        Returns:
            What is stored under the id, and whether it is new: if not, it may hold something else.

        Raises:
            Refused: MISSING, DELETED, STALE or NUMBER_TAKEN, the first of them.
        """

    @abstractmethod
    def delete(self, query: Query[Any], fence: int | None = None, *, deleted_too: bool = False) -> int:
        """Remove what a query finds; returns how many. Messages, checkpoints and artifacts are all of one session.

        Of a session under a legal hold, looked at under the lock that its writers take, nothing is removed.

        Args:
            fence: as of `append`, for messages, checkpoints and artifacts; for memories, which then are all of one
                session too, as of `put`.
            deleted_too: for who looks after the store: neither a deletion nor a fence keeps them out.

        Raises:
            Refused: DELETED or STALE, where they belong to a session; of memories MISSING or STALE.
            LegalHold: their session is under one.
        """

    @abstractmethod
    def truncate(self, session_id: str, after_id: str, fence: int | None = None) -> int:
        """Remove a session's messages after the one of this id; returns how many.

        Args:
            fence: as of `append`.

        Raises:
            Refused: MISSING, where the session has no such message, or DELETED, or STALE.
            LegalHold: the session is under one.
        """

    @abstractmethod
    def prune(
        self, session_id: str, keep_last: int, run_ids: Sequence[str] | None = None, fence: int | None = None
    ) -> int:
        """Remove all but the last checkpoints of each of a session's namespaces; returns how many.

        Args:
            run_ids: the runs whose checkpoints alone are counted and removed; None for all.
            fence: as of `append`.

        Raises:
            Refused: DELETED or STALE.
            LegalHold: the session is under one.
        """

    @abstractmethod
    def change_blob(self, sha256: str, change: Callable[[Blob, Callable[[], bool]], T]) -> T:
        """Change what is known of some bytes, a new blob where that is nothing, and no one else can meanwhile.

        Args:
            change: changes the blob in place, of which nothing is stored any more where no file is left in it. It is
                given a function that tells whether an artifact has these bytes, and may be called again.

        Returns:
            What `change` returns.
        """

    # Sessions; `fence` is as of `patch`

    @abstractmethod
    def close_session(self, id: str, at: datetime, fence: int | None = None) -> bool:
        """Soft-delete a session, which takes no more from now on; whether it was there.

        Raises:
            Refused: STALE.
        """

    @abstractmethod
    def open_session(self, id: str, at: datetime, fence: int | None = None) -> Session:
        """Undo a soft deletion.

        Raises:
            Refused: MISSING, where none is deleted, or STALE.
        """

    @abstractmethod
    def remove_session(self, id: str, fence: int | None = None, *, erasing: bool = False) -> AuditLog | None:
        """Remove a session and all that belongs to it, and append the audit entry that says so.

        Of its fence the last token stays, from which a session made later under its id goes on.

        Args:
            erasing: whether no trace of its id is to stay, neither in the entry nor of its fence, which is not asked
                for then.

        Returns:
            The entry; None where there was no such session.

        Raises:
            Refused: STALE.
            LegalHold: the session is under one; it is as it was.
        """

    @abstractmethod
    def hold(self, id: str, held: bool, at: datetime, log: AuditLog) -> tuple[Session, AuditLog]:
        """Put a session, soft-deleted or not, under a legal hold or lift it, and append the entry that says so.

        Args:
            log: checked, with an id and of no session; stored already where the call is made again.

        Returns:
            Both, as they are stored.

        Raises:
            Refused: MISSING.
        """

    # Fences: a session's token is 0 until the first is acquired, also where an earlier session of its id had some

    @abstractmethod
    def acquire(self, session_id: str, holder: str, ttl: timedelta | None, force: bool, key: str) -> Fence:
        """Give a session's next token, higher than any that a session of its id has given.

        Args:
            ttl: how long another holder is kept out from now on, by the store's own clock where it has one.
            force: whether the session is taken from another holder whose time is not over.
            key: made for this call: where the last fence was given for the same key, it is returned.

        Raises:
            Refused: MISSING, DELETED or HELD.
        """

    @abstractmethod
    def renew(self, session_id: str, token: int, ttl: timedelta | None) -> Fence:
        """Keep others out for so long from now on: None for as long as before, 0 for not at all.

        The token stays the session's.

        Raises:
            Refused: MISSING, DELETED or STALE.
        """

    @abstractmethod
    def fence(self, session_id: str) -> Fence | None:
        """The last that a session, soft-deleted or not, has given; None if there is none."""

    # The ledger

    @abstractmethod
    def verify(self, record: type[Record], chain: str) -> Verdict:
        """Walk a chain of events or audit entries to its first row that is not as it was appended."""

    @abstractmethod
    def chains(self, record: type[Record]) -> Iterator[ChainHead]:
        """The head of every chain of events or of audit entries."""

    def heads(self, record: type[Record], series: str | None = None) -> Iterator[SeriesHead]:
        """Where every series of messages, events, audit entries or checkpoints ends, or one alone.

        A backend that keeps heads of its own has them at once.
        """
        if record in (Event, AuditLog):
            for head in self.chains(record):
                if head.seq_num and series in (None, head.chain):
                    yield SeriesHead(head.chain, "", head.seq_num, head.base_seq, head.base_hash)
            return
        for id in (each.id for each in self.scan(Session, None, None)) if series is None else (series,):
            if record is Message:
                if number := self.last_number(record, id):
                    yield SeriesHead(id, "", number)
                continue
            for namespace in sorted(self.namespaces(id)):
                where = (Condition("session_id", "=", id), Condition("namespace", "=", namespace))
                order = ("-seq_num",)
                for last in self.select(Query(record=Checkpoint, where=where, order=order, limit=1, whole=False)):
                    yield SeriesHead(id, namespace, last.seq_num)

    def set_base(self, record: type[Record], chain: str, base_seq: int, base_hash: str) -> None:
        """Have a chain of events or audit entries begin after a number and its hash, unless it has begun.

        Raises:
            Refused: MISSING, its session.
            NotSupported: the backend can't: it takes chains from their beginning alone.
        """
        raise NotSupported

    @abstractmethod
    def purging(self, reason: str) -> AbstractContextManager[PurgePermit]:
        """Open the removal of ledger rows for one transaction, and write an audit entry of what went.

        The entry is the permit's `audit_log` once the block is over; what is left of a chain verifies, from where it
        now begins, and goes on with the next number.

        Raises:
            LegalHold: of a session whose chain would lose rows.
        """

    # Everything

    @abstractmethod
    def scan(self, record: type[R], user_id: str | None, after: R | None) -> Iterator[R]:
        """All records of a type, by id, or by series and number where they have one; see `Storage.scan`."""

    def lines(self, record: type[Record], after: Record | None) -> Iterator[list[Line]] | None:
        """All records of a type in `scan`'s order as lines of an export, by pages; None where `scan` gives them."""
        return None

    @abstractmethod
    def load(self, records: Iterable[Record]) -> int:
        """Write records as they are; see `Storage.load`."""

    @abstractmethod
    def migrate(self) -> None:
        """Make or bring up to date what is stored in; again, no change."""

    @abstractmethod
    def close(self) -> None:
        """Release connections; the backend can still be used."""

    @abstractmethod
    def health(self) -> Health:
        """Whether the store can be reached and is ready for use; does not raise."""

    def apart(self) -> AbstractContextManager[Backend]:
        """An empty backend like this one, over the same store, but apart from what that keeps: for the tests of it.

        What it has kept is removed at the end of the block.

        Raises:
            NotSupported: the backend has none to give.
        """
        raise NotSupported
