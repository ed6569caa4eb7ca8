"""Every error this package raises on purpose. A class's docstring is its message where none is given."""

from __future__ import annotations

from datetime import datetime


class ChronosError(Exception):
    """The storage could not do what it was asked."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class ConfigurationError(ChronosError):
    """The storage is not configured correctly."""


class NotInitialized(ChronosError):
    """The adapter is not ready: call initialize() first."""


class InvalidRecord(ChronosError, ValueError):
    """A field holds what no backend can keep.

    Attributes:
        field: the field's name, with the path inside it (``payload.items[3].price``).
        problem: what is wrong and what would be right.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}")

    def __reduce__(self) -> tuple[type[InvalidRecord], tuple[str, str]]:
        return type(self), (self.field, self.problem)


class NotFound(ChronosError, LookupError):
    """Nothing is stored under this id."""


class AlreadyExists(ChronosError):
    """This id is taken by a record with other content."""


class AmbiguousId(ChronosError, LookupError):
    """This id stands in several sessions: name the session too."""


class SequenceConflict(ChronosError):
    """The session's last number is not the expected one.

    Attributes:
        expected: the last number the caller expected (0: nothing appended yet).
        actual: the last number that is stored.
    """

    def __init__(self, expected: int, actual: int) -> None:
        self.expected = expected
        self.actual = actual
        super().__init__(f"expected the last number to be {expected}, it is {actual}")

    def __reduce__(self) -> tuple[type[SequenceConflict], tuple[int, int]]:
        return type(self), (self.expected, self.actual)


class StaleWriter(ChronosError):
    """The session was acquired by another writer since, or takes no writer without a fence.

    Attributes:
        session_id: the session's id.
        given: the writer's token; None for a writer without one.
        current: the session's token; 0 where it has given none.
    """

    def __init__(self, session_id: str, given: int | None, current: int) -> None:
        self.session_id = session_id
        self.given = given
        self.current = current
        super().__init__(
            f"session {session_id!r} requires a fence: acquire() gives one"
            if given is None
            else f"session {session_id!r} has the token {current}; who writes with {given} may not any more"
        )

    def __reduce__(self) -> tuple[type[StaleWriter], tuple[str, int | None, int]]:
        return type(self), (self.session_id, self.given, self.current)


class FenceHeld(ChronosError):
    """Another holder keeps the session for the time being.

    Attributes:
        session_id: the session's id.
        holder: who holds it.
        expires_at: until when, unless it is renewed or released.
    """

    def __init__(self, session_id: str, holder: str, expires_at: datetime) -> None:
        self.session_id = session_id
        self.holder = holder
        self.expires_at = expires_at
        super().__init__(f"session {session_id!r} is held by {holder!r} until {expires_at.isoformat()}")

    def __reduce__(self) -> tuple[type[FenceHeld], tuple[str, str, datetime]]:
        return type(self), (self.session_id, self.holder, self.expires_at)


class LegalHold(ChronosError):
    """The session is under a legal hold: nothing that belongs to it can be removed.

    Attributes:
        session_id: the session's id.
    """

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"session {session_id!r} is under a legal hold: nothing of it is removed until that is lifted")

    def __reduce__(self) -> tuple[type[LegalHold], tuple[str]]:
        return type(self), (self.session_id,)


class OutcomeUnknown(ChronosError):
    """A step has begun, and whether it was done is not known: see `SessionHandle.settle`.

    A function that `SessionHandle.once` calls may raise it too, where it can't tell.

    Attributes:
        session_id: the session's id.
        key: the step's key.
        begun_at: when it began.
        holder: who began it.
    """

    def __init__(self, session_id: str = "", key: str = "", begun_at: datetime | None = None, holder: str = "") -> None:
        self.session_id = session_id
        self.key = key
        self.begun_at = begun_at
        self.holder = holder
        super().__init__(
            f"step {key!r} of session {session_id!r} was begun by {holder!r}"
            + (f" at {begun_at.isoformat()}" if begun_at else "")
            + ", and whether it was done is not known: find out, and say so by settle()"
            if key
            else None
        )

    def __reduce__(self) -> tuple[type[OutcomeUnknown], tuple[str, str, datetime | None, str]]:
        return type(self), (self.session_id, self.key, self.begun_at, self.holder)


class ResultNotKept(ChronosError):
    """A step was done, and what came of it could not be kept; the error's cause says why.

    Attributes:
        session_id: the session's id.
        key: the step's key.
        result: what the function returned.
    """

    def __init__(self, session_id: str, key: str, result: object) -> None:
        self.session_id = session_id
        self.key = key
        self.result = result
        super().__init__(
            f"step {key!r} of session {session_id!r} was done, and its result could not be kept:"
            " say by settle() what is to be kept of it"
        )

    def __reduce__(self) -> tuple[type[ResultNotKept], tuple[str, str, object]]:
        return type(self), (self.session_id, self.key, self.result)


class CursorExpired(ChronosError, LookupError):
    """Retention has removed entries after this cursor; without a cursor, reading starts where the topic now begins."""


class AppendOnlyError(ChronosError):
    """Ledger rows are only ever appended: they can't be changed or removed."""


class RetryTransaction(ChronosError):
    """The database ended the transaction (deadlock, serialization failure or a lock held too long): run it again."""


class StoreFailure(ChronosError):
    """The database can't do what it was asked: it is full, may only be read, or is damaged."""


class DamagedArtifact(StoreFailure):
    """An artifact's bytes are missing, or are not those that were stored."""


class TransactionOpen(ChronosError, RuntimeError):
    """The caller's thread has a transaction open, which a call that is made in another thread can't be part of."""


class NotSupported(ChronosError, NotImplementedError):
    """This backend has no such capability."""
