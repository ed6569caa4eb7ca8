"""Steps that are done once: their results are kept in the session's ledger, and given back on a resume.

A step's key says what the act is. Each attempt is two events of that key and the attempt's number: that it has begun,
which one writer alone can append, and what came of it. An attempt without the second is one that was cut off, or is
under way. Ids are made of the key, as UUIDs: an erasure that empties the events leaves them.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar
from uuid import UUID, uuid5

from .. import codec
from ..async_variants import async_variant, hop, unbroken
from ..exceptions import (
    AlreadyExists,
    ChronosError,
    InvalidRecord,
    NotFound,
    OutcomeUnknown,
    ResultNotKept,
    StaleWriter,
    TransactionOpen,
)
from ..ids import new_id
from ..records import Event

if TYPE_CHECKING:
    from .handles import SessionHandle

P = ParamSpec("P")
T = TypeVar("T")

#: The types of a step's events.
BEGUN, DONE, FAILED = "step_begun", "step_done", "step_failed"
#: What is left of a payload for all but the result, in bytes.
_REST = 128 * 1024
_NAMESPACE = UUID("0f6a4a3e-6f0c-5d0b-9f5e-2b8d1c7e4a90")


class StepMethods:
    def once(self: Any, key: str, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returned under this key: called now, or in this session before, in whatever process.

        The session is acquired for it, so that of two workers one at most calls the function; and who is overtaken
        while it runs still keeps its result. The result is kept as JSON and comes back as it is kept, the first time
        too: a tuple as a list, for instance (see `codec.storable`).

        Where the function raises an `Exception`, that is raised and no result is kept: the next call does it again. A
        function that can't tell whether it was done, as after a time-out, raises `OutcomeUnknown`. What is no
        `Exception` (a cancellation, an interrupt) may have come at any point, and leaves the outcome unknown, too.

        Args:
            key: what the act is ("charge order 7"), not where it stands in the code or in a run; at most 255
                characters.

        Raises:
            OutcomeUnknown: an attempt has begun and no outcome of it is known: its process was ended in between, or is
                at it still. Whether it was done is for the caller to find out, and to say by `settle`.
            ResultNotKept: the function has returned, and what it returned could not be kept.
            FenceHeld: another worker has the session.
            StaleWriter: the session was acquired by another one; the function is not called.
            TransactionOpen: in a transaction, which could take back what is recorded of what was done.
            TypeError: the function is asynchronous or a generator: it would do nothing.
        """
        step = _Step(self, key)
        _refuse_lazy(function, inspect.iscoroutinefunction)
        if (done := step.begin()) is None:
            try:
                result = function(*args, **kwargs)
                _refuse_undone(result)
            except OutcomeUnknown as error:
                raise step.unknown() from error
            except Exception as error:
                step.fail(error)
                raise
            done = step.keep(result)
        kept: T = _result_of(done)
        return kept

    async def aonce(
        self: Any, key: str, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`once` for an asynchronous function. A task that is cancelled while it is awaited leaves it unknown."""
        step = _Step(self, key)
        _refuse_lazy(function)
        try:
            done = await unbroken(hop(self, step.begin))
        except asyncio.CancelledError as error:
            if step.has_begun:  # and nothing was done yet
                await unbroken(hop(self, step.fail, error))
            raise
        if done is None:
            try:
                # One that is not asynchronous has done it by now, and is not to do it again.
                result: Any = function(*args, **kwargs)
                if inspect.isawaitable(result):
                    result = await result
                _refuse_undone(result)
            except OutcomeUnknown as error:
                raise step.unknown() from error
            except Exception as error:
                await unbroken(hop(self, step.fail, error))
                raise
            done = await unbroken(hop(self, step.keep, result))
        kept: T = _result_of(done)
        return kept

    def settle(self: Any, key: str, *, happened: bool, result: Any = None) -> None:
        """Say what came of a step whose outcome is unknown.

        Args:
            happened: whether it was done: then `once` gives back `result`, else it does it again.

        Raises:
            NotFound: no attempt of the step is without an outcome.
            AlreadyExists: its outcome is known by now; `once` goes by it.
            FenceHeld: another worker has the session, and may be at it.
            StaleWriter: the session was acquired by another one.
            TransactionOpen: in a transaction.
        """
        step = _Step(self, key)
        if not codec.boolean(happened, "happened") and result is not None:
            raise InvalidRecord("result", "is given of what did not happen")
        step.settle(codec.json_value(result, "result"), happened)

    @async_variant(settle)
    def asettle(self) -> Any: ...


class _Step:
    """The step of a key."""

    def __init__(self, handle: SessionHandle, key: str) -> None:
        self.handle, self.storage, self.session_id = handle, handle.storage, handle.id
        self.key = codec.string(key, "key")
        if not self.key:
            raise InvalidRecord("key", "is empty; say what is done")
        self.number = 0
        self.has_begun = False

    def begin(self) -> Event | None:
        """The event of an attempt that was done; else begin the next one."""
        self._acquire()
        if (done := self._find()) is not None:
            return done
        call = {"holder": self.handle.holder, "call": new_id()}
        event = self._event("begun", BEGUN, call)
        try:
            self.storage.append_event(event, fence=self.handle.fence)
        except AlreadyExists:
            attempt = self.number
            if (done := self._find()) is not None:
                return done
            if self.number == attempt:
                raise self.unknown() from None
            return self.begin()  # another thread's has failed meanwhile
        self.has_begun = True
        return None

    def keep(self, result: Any) -> Event:
        """Record that the attempt was done, and what came of it."""
        kept = codec.storable(result, limit=codec.MAX_JSON_BYTES - _REST)
        outcome = {"result": kept.value, **({"changed": kept.changes} if kept.changes else {})}
        try:
            return self._append(self._event("ended", DONE, outcome))
        except ChronosError as error:
            raise ResultNotKept(self.session_id, self.key, result) from error

    def fail(self, error: BaseException) -> None:
        """Record that the attempt was not done; the error is raised by the caller, whatever becomes of the record."""
        try:
            self._append(self._event("ended", FAILED, {"error": codec.error_text(error)}))
        except Exception as failure:
            error.add_note(f"that step {self.key!r} failed could not be recorded: {failure}")

    def settle(self, result: Any, happened: bool) -> None:
        self._acquire()
        if self._find() is not None:
            raise AlreadyExists(f"step {self.key!r} has its outcome: once() gives it back")
        if self._get("begun") is None:
            raise NotFound(f"no attempt of step {self.key!r} is without an outcome")
        outcome = {"result": result} if happened else {"error": "it did not happen"}
        event = self._event("ended", DONE if happened else FAILED, {**outcome, "settled": True})
        try:
            self.storage.append_event(event, fence=self.handle.fence)
        except AlreadyExists:
            raise AlreadyExists(f"step {self.key!r} has its outcome by now: once() goes by it") from None

    def unknown(self) -> OutcomeUnknown:
        """The error for an attempt without an outcome."""
        begun = self._get("begun")
        payload = (begun.payload if begun else None) or {}
        return OutcomeUnknown(self.session_id, self.key, begun.created_at if begun else None, payload.get("holder", ""))

    def _acquire(self) -> None:
        if self.storage.backend.in_transaction():
            raise TransactionOpen(
                "a step that is done once can't be in a transaction: what is recorded of it could be taken back"
            )
        self.handle.acquire()

    def _find(self) -> Event | None:
        """The event of an attempt that was done; else set `number` to the first attempt that has no outcome.

        A step may have failed a thousand times: their numbers are gone through in doubled, then halved strides.
        """
        low, self.number = 0, 1
        high = 0  # the first number known to have no outcome
        while high - low != 1:
            ended = self._get("ended")
            if ended is not None and ended.type != FAILED:
                return ended
            if ended is None:
                high = self.number
            else:
                low = self.number
            self.number = (low + high) // 2 if high else low * 2
        self.number = high
        return None

    def _get(self, what: str) -> Event | None:
        return self.storage.get_event(self._id(what), session_id=self.session_id)

    def _id(self, what: str) -> str:
        return str(uuid5(_NAMESPACE, f"{what} {self.number} {self.key}"))

    def _event(self, what: str, type: str, fields: dict[str, Any]) -> Event:
        payload = {"key": self.key, "attempt": self.number, **fields}
        return Event(id=self._id(what), session_id=self.session_id, type=type, payload=payload)

    def _append(self, event: Event) -> Event:
        """Append what came of the attempt, even if the session was acquired by another one since.

        It is a fact, which overtakes nobody: whoever is first to say what came of an attempt has said it.
        """
        token = None if self.handle.fence is None else self.handle.fence.token
        while True:
            try:
                return self.storage.append_event(event, fence=token)
            except StaleWriter as stale:
                token = stale.current


def _result_of(done: Event) -> Any:
    return (done.payload or {}).get("result")  # an erasure leaves no payload


def _refuse_lazy(function: Any, *also: Callable[[Any], bool]) -> None:
    """Refuse what a call of would only make."""
    if any(is_lazy(function) for is_lazy in (inspect.isgeneratorfunction, inspect.isasyncgenfunction, *also)):
        raise TypeError(f"{function!r} does nothing when it is called: once() needs a function that does it all")


def _refuse_undone(result: Any) -> None:
    """Refuse what a function gave that it has not done yet; that is known to have failed then."""
    if inspect.isgenerator(result) or inspect.iscoroutine(result):
        result.close()
    elif not (inspect.isasyncgen(result) or inspect.isawaitable(result)):
        return
    raise TypeError(f"the function gave a {type(result).__name__}, which has done nothing yet")
