"""What every group of the storage's methods stands on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any, ParamSpec, TypeVar

from django.dispatch import Signal

from .. import codec, signals
from ..backends.base import Backend, Condition, Query
from ..compat.models import is_heard
from ..exceptions import (
    AlreadyExists,
    AmbiguousId,
    ChronosError,
    FenceHeld,
    InvalidRecord,
    NotFound,
    RetryTransaction,
    StaleWriter,
)
from ..ids import new_id
from ..records import KINDS, Artifact, Blob, Fence, MemoryRecord, Record, Session
from ..redaction import redacted
from ..refusals import Reason, Refused
from ..upcasters import upcast_all, upcast_each
from .arguments import last_number, required, token_of

P = ParamSpec("P")
R = TypeVar("R", bound=Record)
T = TypeVar("T")

#: What a record's type is called in errors.
_NAMES = {record: name.replace("_", " ") for name, record in {**KINDS, "blob": Blob}.items()}


class FacadeBase:
    """A storage over a backend."""

    def __init__(self, backend: Backend) -> None:
        given: Any = backend
        if not isinstance(given, Backend):
            raise TypeError(f"a {type(self).__name__} is made of a chronos_storage.Backend, not of {given!r}")
        self.backend = backend

    def _run(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """What the backend answers, or the error in our words."""
        return in_our_words(self.backend.run, call, again)

    # Reading

    def _select(self, query: Query[R]) -> list[R]:
        return upcast_all(self._stored(query))

    def _stored(self, query: Query[R]) -> list[R]:
        """What `_select` gives, as it is stored."""
        return self._run(partial(self.backend.select, query))

    def _iterate(self, query: Query[R]) -> Iterator[R]:
        return upcast_each(self.backend.iterate(query))

    def _count(self, query: Query[Any]) -> int:
        return self._run(partial(self.backend.count, query))

    def _last_number(self, record: type[Record], session_id: str) -> int:
        return self._run(partial(self.backend.last_number, record, codec.string(session_id, "session_id")))

    def _one(self, record: type[R], id: str) -> R | None:
        """The record of a globally unique id, or None."""
        found = self._select(Query(record=record, where=required(id=id), limit=1))
        return found[0] if found else None

    def _exists(self, record: type[Record], id: str) -> bool:
        return self._count(Query(record=record, where=required(id=id))) > 0

    def _one_of_session(
        self, record: type[R], id: str, session_id: str | None, argument: str = "id", **options: Any
    ) -> R | None:
        """The record of this id, the argument of that name, which is unique within a session only, as it is stored.

        Args:
            options: `current` and `whole` of a query.
        """
        where: tuple[Condition, ...] = (Condition("id", "=", codec.string(id, argument)),)
        if session_id is not None:
            where += required(session_id=session_id)
        query = Query(record=record, where=where, limit=2, **options)
        found = self._stored(query if session_id is not None else replace(query, deleted=False, current=False))
        if not found and session_id is None:
            found = self._stored(query)
        if len(found) > 1:
            raise AmbiguousId(f"{record.__name__} {id!r} stands in several sessions: name the session too")
        return found[0] if found else None

    def _to_remove(self, record: type[R], id: str, session_id: str | None, named: Sequence[str]) -> R | None:
        """The record of this id that is to be removed, the one of the session that is named before all others."""
        for each in named:
            if found := self._one_of_session(record, id, each, whole=False):
                return found
        return None if session_id is not None else self._one_of_session(record, id, None, whole=False)

    def _sessions_of(self, record: type[Any], id: str) -> list[str]:
        """The session, if any, that the record of a globally unique id names; none where there is no such record."""
        return [found.session_id for found in self._stored(Query(record=record, where=required(id=id), limit=1))]

    # Writing

    def _saved(self, given: R) -> R:
        """Store a container or an image over what its id had, with the updated_at that it has, or now."""
        record: Any = redacted(given)
        record.complete(touch=record.updated_at is None)
        stored: R = self._run(partial(self.backend.put, [record]))[0]
        self._written(stored)
        return stored

    def _appended(
        self,
        record: type[R],
        values: Sequence[R],
        expected_seq: int | None = None,
        fence: Fence | int | None = None,
    ) -> tuple[Sequence[R], Sequence[R]]:
        """Append records of one type; those without an id get one, by which a second attempt finds what it wrote.

        Returns:
            They as they are stored, and those of them that are new; a `Batch` is made of both.
        """
        given: list[Any] = [redacted(value) for value in values]
        if expected_seq is not None:
            expected_seq = last_number(expected_seq, given)
        token = None if fence is None else token_of(fence, [each.session_id for each in given])
        if not given:
            return (), ()
        made: set[str] = set()
        for own in given:
            if not own.id:
                own.id = new_id()
                made.add(own.id)
        append = partial(self.backend.append, record, given, expected_seq, token)

        def append_again() -> tuple[list[R], list[R]]:
            stored, new = append()
            # Where none is new the lost attempt has written them, those at least whose ids no other call can have.
            return stored, new or [each for each in stored if each.id in made]

        stored, new = self._run(append, append_again)
        self._written(*new)
        return stored, new

    def _delete(self, query: Query[Any], token: int | None = None) -> int:
        return self._run(partial(self.backend.delete, query, token))

    def _deleted(self, record: type[Record], id: str) -> bool:
        return self._delete(Query(record=record, where=required(id=id))) > 0

    # Telling

    def _written(self, *stored: Record) -> None:
        """Tell the receivers of `signals.records_written`, who get copies: what the caller has stays as stored."""
        if stored and is_heard(signals.records_written, type(stored[0])):
            self._tell(signals.records_written, type(stored[0]), records=deepcopy(stored))

    def _tell(self, signal: Signal, sender: type[Any], **details: Any) -> None:
        """Send a signal once what was written is committed."""
        if is_heard(signal, sender):
            self.backend.after_commit(partial(signal.send_robust, sender, using=self.backend.using, **details))


def in_our_words(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function of a backend's returns, whose refusals become errors in our words."""
    try:
        return function(*args, **kwargs)
    except Refused as refused:
        raise refusal_error(refused) from refused.__cause__


def at_once(storage: Any) -> AbstractContextManager[None]:
    """One transaction around several calls of a storage's where it has them; elsewhere each is done as it is made."""
    block: AbstractContextManager[None] = storage.atomic() if storage.supports_transactions else nullcontext()
    return block


def refusal_error(refused: Refused) -> ChronosError:
    """What a caller is told of a backend's refusal."""
    name, id, stored = _NAMES[refused.record], refused.id, refused.stored
    match refused.reason:
        case Reason.MISSING if refused.record is Blob:
            return RetryTransaction("an artifact's file was removed before there was the artifact: try again")
        case Reason.MISSING:
            return NotFound(f"there is no {name} {id!r}")
        case Reason.DELETED:
            return NotFound(f"session {id!r} is deleted")
        case Reason.TAKEN if isinstance(stored, Session) and stored.deleted_at is not None:
            return AlreadyExists(f"session {id!r} is deleted: restore_session({id!r}) undoes that")
        case Reason.TAKEN if refused.record is MemoryRecord:
            return AlreadyExists(f"memory {id!r} can't have this natural key: another one has it")
        case Reason.TAKEN:
            return AlreadyExists(f"{name} {id!r} is stored already")
        case Reason.NUMBER_TAKEN if refused.record is Artifact:
            return AlreadyExists("there is an artifact of this name and version already")
        case Reason.NUMBER_TAKEN:
            return AlreadyExists(f"session {id!r} has a {name} of this number already")
        case Reason.STALE:
            return StaleWriter(id, *stored)
        case Reason.HELD:
            return FenceHeld(id, stored.holder, stored.expires_at)
        case Reason.CONDITION:
            return InvalidRecord("user_id", "is set already; a session keeps its user")
