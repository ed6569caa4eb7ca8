"""A session as an agent's own code works with it: ``with storage.session(id) as session``."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .. import codec
from ..async_variants import async_variant, hop, unbroken
from ..exceptions import ChronosError
from ..ids import new_id
from ..records import Checkpoint, Event, Fence, MemoryRecord, Message, Session
from .base import FacadeBase
from .recording import Span
from .steps import StepMethods

if TYPE_CHECKING:
    from .storage import Storage

#: For how long others are kept out from the last sign of life, in seconds, where the caller does not say.
TTL = 60.0


class SessionHandle(StepMethods):
    """One session of a storage, for the code of an agent; threads and tasks may share it.

    Attributes:
        storage: the session's.
        session: the session as it was when the handle was made.
        id: its id.
        holder: the name under which the handle acquires the session.
        fence: what every write shows, once the handle has acquired the session; else None.
    """

    def __init__(self, storage: Storage, session: Session, holder: str, ttl: timedelta) -> None:
        self.storage: Storage = storage
        self.session: Session = session
        self.id: str = session.id
        self.holder: str = holder
        self.fence: Fence | None = None
        self._ttl = ttl
        self._renew_at = 0.0
        self._lock = threading.Lock()

    # Where an asynchronous variant's call belongs is the storage's to say.

    @property
    def alias(self) -> str:
        """The storage's."""
        return self.storage.alias

    @property
    def supports_transactions(self) -> bool:
        """Whether the storage does."""
        return self.storage.supports_transactions

    def say(
        self, /, role: str, content: Any = None, *, id: str = "", expected_seq: int | None = None, **fields: Any
    ) -> Message:
        """Add a message to the session; see `Storage.add_message`.

        Args:
            role: who speaks: ``user``, ``assistant``, ``system``, ``tool`` or another.
            content: a string, a list of parts, an object or None. What no store keeps is made storable, so that nothing
                a model said is lost: what was changed is in the metadata, under ``changed``.
            fields: further fields of `Message`, such as `tool_calls` or `usage`.
        """
        kept = codec.storable(content)
        if kept.changes:
            fields["metadata"] = {**fields.get("metadata", {}), "changed": kept.changes}
        message = Message(id=id, session_id=self.id, role=role, content=kept.value, **fields)
        return self.storage.add_message(message, expected_seq=expected_seq, fence=self._shown())

    @async_variant(say)
    def asay(self) -> Any: ...

    def event(
        self,
        type: str,
        payload: Any = None,
        *,
        id: str = "",
        expected_seq: int | None = None,
        schema: str = "",
        schema_version: int = 0,
    ) -> Event:
        """Append an event to the session's ledger; see `Storage.append_event`."""
        event = Event(
            id=id, session_id=self.id, type=type, payload=payload, schema=schema, schema_version=schema_version
        )
        return self.storage.append_event(event, expected_seq=expected_seq, fence=self._shown())

    @async_variant(event)
    def aevent(self) -> Any: ...

    def checkpoint(self, /, state: dict[str, Any], *, id: str = "", namespace: str = "", **fields: Any) -> Checkpoint:
        """Save a state of the agent's; see `Storage.save_checkpoint`.

        Args:
            fields: further fields of `Checkpoint`, such as `node_id` or `metadata`.
        """
        checkpoint = Checkpoint(id=id, session_id=self.id, namespace=namespace, state=state, **fields)
        return self.storage.save_checkpoint(checkpoint, fence=self._shown())

    @async_variant(checkpoint)
    def acheckpoint(self) -> Any: ...

    def remember(
        self, /, key: str, value: Any, *, kind: str = "long_term", expires_at: datetime | None = None, **fields: Any
    ) -> MemoryRecord:
        """Keep a fact of the session's agent about its user under a key; see `Storage.put_memory`.

        Args:
            kind: what is ``long_term`` is for every session of this agent and user, all else for this one alone.
            fields: further fields of `MemoryRecord`, or others than the session's, such as ``user_id=""``.
        """
        own = {"agent_id": self.session.agent_id, "user_id": self.session.user_id}
        own |= {} if kind == "long_term" else {"session_id": self.id}
        record = MemoryRecord(**{**own, "kind": kind, "key": key, "value": value, "expires_at": expires_at, **fields})
        # A fence is for what belongs to the session.
        return self.storage.put_memory(record, fence=self._shown() if record.session_id == self.id else None)

    @async_variant(remember)
    def aremember(self) -> Any: ...

    def span(
        self, /, name: str, kind: str = "node", *, input: Any = None, parent: Span | None = None, **fields: Any
    ) -> Span:
        """A span around a block, by ``with`` or ``async with``; see `Span`.

        Args:
            kind: ``node``, ``tool_call``, ``model_call``, ``approval``, ``graph`` or another.
            input: what the step is given.
            parent: the span that it is part of, where that is not the innermost one around it: in a new thread none is.
            fields: further fields of `Trace`.
        """
        return Span(self.storage, self.id, name, kind, input, parent, fields)

    def acquire(self) -> Fence:
        """The handle's fence, acquired now if it was not yet, and renewed where half of its time is over.

        Raises:
            FenceHeld: another holder has the session.
            StaleWriter: it was acquired by another one since.
        """
        if self.fence is None:
            with self._lock:
                if self.fence is None:
                    self._renew_at = self._half_time()
                    self.fence = self.storage.acquire(self.id, self.holder, ttl=self._ttl)
        elif time.monotonic() >= self._renew_at:
            # Outside the lock: a thread with a transaction open may keep this one waiting in the database.
            self._renew_at = self._half_time()
            self.fence = self.storage.renew(self.fence)
        return self.fence

    @async_variant(acquire)
    def aacquire(self) -> Any: ...

    def release(self) -> None:
        """Let other holders in; who has no fence, or was overtaken, does nothing."""
        fence, self.fence = self.fence, None
        if fence is not None:
            with suppress(ChronosError):  # others get in when its time is over
                self.storage.release(fence)

    @async_variant(release)
    def arelease(self) -> Any: ...

    def _shown(self) -> Fence | None:
        return None if self.fence is None else self.acquire()

    def _half_time(self) -> float:
        return time.monotonic() + self._ttl.total_seconds() / 2

    def __repr__(self) -> str:
        return f"<SessionHandle {self.id!r}>"


class OpenedSession:
    """What `Storage.session` gives: by ``with`` or ``async with`` a `SessionHandle`."""

    def __init__(self, make: Callable[[], SessionHandle], storage: Storage) -> None:
        self._make = make
        self._storage = storage
        self._handle: SessionHandle

    def __enter__(self) -> SessionHandle:
        self._handle = self._make()
        return self._handle

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.release()

    async def __aenter__(self) -> SessionHandle:
        # Cut off here, a task has no block that would release what was acquired for it.
        entering = asyncio.ensure_future(hop(self._storage, self.__enter__))
        try:
            return await unbroken(entering)
        except asyncio.CancelledError:
            if not (entering.cancelled() or entering.exception()):
                await self._handle.arelease()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await unbroken(self._handle.arelease())


class HandleMethods(FacadeBase):
    def session(
        self: Any, id: str = "", *, holder: str = "", ttl: timedelta | float = TTL, **fields: Any
    ) -> OpenedSession:
        """A handle of a session, by ``with`` or ``async with``, which makes the session if it is not there.

        Args:
            id: of the session; without one a new session is made.
            holder: acquires the session under this name for as long as the block lasts, so that every write shows its
                fence. Without one only `once` acquires it, under a name of this process.
            ttl: for how long from its last write others are kept out, a timedelta or seconds.
            fields: of a session that is made.

        Raises:
            AlreadyExists: on entering: the session is soft-deleted, or belongs to another user than the one given.
            FenceHeld: on entering: another holder has the session.
        """
        given = Session(id=codec.string(id, "id"), **fields)
        name, time_kept = codec.string(holder, "holder"), codec.duration(ttl, "ttl")

        def make() -> SessionHandle:
            own = name or f"{socket.gethostname()[:200]}:{os.getpid()}:{new_id()[-12:]}"
            handle = SessionHandle(self, self.ensure_session(given), own, time_kept)
            if name:
                handle.acquire()
            return handle

        return OpenedSession(make, self)
