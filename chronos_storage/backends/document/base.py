"""What every group of methods of `DocumentBackend` stands on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from functools import partial
from typing import Any, TypeVar

from ... import records
from ...batches import batches
from ...exceptions import NotSupported, RetryTransaction
from ...ids import new_id
from ..base import Backend
from .apart import Apart
from .driver import Document, Driver, Key, Unavailable
from .indexes import KIND_OF
from .line import Line
from .serialization import decode
from .unit_of_work import Base, Conflict, Head, UnitOfWork, base_key, base_of, head_key, head_of

R = TypeVar("R", bound=records.Record)
T = TypeVar("T")

#: Documents of a page, and characters of their bodies, at most; one document may have more.
_PAGE, SIZE = 500, 2 * 1024 * 1024
#: Seconds that a write is attempted for while other writers are always faster.
_PATIENCE = 30
#: Seconds before a further attempt where there is no turn to wait for, on average: the first, and the longest.
_SHORTEST, _LONGEST = 0.0005, 0.032
#: Those before each further attempt where the store was away or busy.
_DELAYS = (0.02, 0.1, 0.5)


class DocumentBase(Backend):
    """Records over a driver of documents."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self._line = Line()
        self._calls = threading.local()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.driver!r}>"

    def run(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        if self._seen is not None:  # then all of the call around this one is made again
            return call()
        deadline = time.monotonic() + _PATIENCE
        held: frozenset[Key] = frozenset()
        pause = _SHORTEST
        with ExitStack() as end, ExitStack() as place, ExitStack() as turn:
            end.callback(setattr, self._calls, "must_ask", False)
            while True:
                try:
                    return self._asked(call, again)
                except Conflict as conflict:
                    if (left := deadline - time.monotonic()) <= 0:
                        raise RetryTransaction from None
                    if conflict.was_recalled:
                        self._calls.must_ask = True
                        continue  # perhaps nobody is there now who is faster
                    wanted = conflict.keys
                turn.close()
                if wanted <= held:
                    _wait(pause)
                    pause = min(2 * pause, _LONGEST)
                else:
                    held |= wanted
                    place.close()
                    place.enter_context(self._line.turn(held, left))
                if held:  # anew in any case, as a turn that took long has lapsed
                    turn.enter_context(self.driver.turn(held, left))

    def _asked(self, call: Callable[[], T], again: Callable[[], T] | None = None) -> T:
        """What `call` returns, which is called a few times while the store is away or busy.

        Within another such call it is simply called: that other one is made again, as a whole.
        """
        if getattr(self._calls, "are_under_way", False):
            return call()
        delays = iter(_DELAYS)
        self._calls.are_under_way = True
        try:
            while True:
                try:
                    return call()
                except Unavailable:
                    if (delay := next(delays, None)) is None:
                        raise
                call = again or call
                _wait(delay)
        finally:
            self._calls.are_under_way = False

    def exclusively(
        self, record: type[records.Record], ids: Sequence[str], call: Callable[[], T], session_id: str = ""
    ) -> T:
        within = (session_id,) if session_id else ()
        keys = [(KIND_OF[record], *within, id) for id in ids]

        def alone() -> T:
            found = self.read(keys)
            seen = self._calls.seen = {key: found.get(key) for key in keys}
            try:
                return call()
            except Exception:
                # What it looked at in several steps may never have been there together: then it is no reason to refuse.
                UnitOfWork(self.driver, must_ask=True, _was=seen).require_unchanged()
                raise
            finally:
                self._calls.seen = None

        return self.run(alone)

    @property
    def _seen(self) -> dict[Key, Document | None] | None:
        """What this thread's next write finds unchanged, or else is refused."""
        seen: dict[Key, Document | None] | None = getattr(self._calls, "seen", None)
        return seen

    def transaction(self) -> AbstractContextManager[None]:
        raise NotSupported

    def after_commit(self, call: Callable[[], object]) -> None:
        call()

    @contextmanager
    def apart(self) -> Iterator[Backend]:
        driver, other = Apart(self.driver, new_id()), copy(self)
        other.driver = driver

        def remove(keys: list[Key]) -> None:
            with other.work() as work:
                work.remove_found(other.read(keys).values())

        try:
            yield other
        finally:
            for keys in batches(driver.written()):
                other.run(partial(remove, keys))

    @contextmanager
    def work(self) -> Iterator[UnitOfWork]:
        """Reads and writes that are committed as one at the end of the block."""
        seen = self._seen or {}
        work = UnitOfWork(self.driver, getattr(self._calls, "must_ask", False), dict(seen))
        try:
            yield work
        except Exception:
            # What was read in several steps may never have been there together: then it is no reason to refuse.
            work.require_unchanged()
            raise
        if work.commit():
            seen.clear()  # it was there as it was, and what comes after this is our own

    def head(self, kind: str, owner: str) -> Head:
        """A series' head as it is now; of a series without any, a new one."""
        return head_of(self.read_one(head_key(kind, owner)))

    def base(self, kind: str, owner: str) -> Base:
        """Where a chain begins now; read before its head, it is never older than that."""
        return base_of(self.read_one(base_key(kind, owner)))

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        """The documents that are there under these keys, for who reads without a unit of work."""
        return self._asked(partial(self.driver.read, list(keys)))

    def read_one(self, key: Key) -> Document | None:
        """What is there under a key."""
        return self.read([key]).get(key)

    def live(self, documents: Iterable[Document]) -> list[Document]:
        """Those of what belongs to sessions, by keys whose second part is the session's id, that no deleted one has."""
        documents = list(documents)
        sessions = self.read({("session", document.key[1]) for document in documents})
        deleted = {
            key[1] for key, session in sessions.items() if decode(records.Session, session.body).deleted_at is not None
        }
        return [document for document in documents if document.key[1] not in deleted]

    def page(self, partition: Key, **bounds: Any) -> list[tuple[str, Document]]:
        """The first documents of a partition, each after its place; the bounds are those of `Driver.scan`."""
        return self._asked(partial(self.driver.scan, partition, **bounds))

    def walk(
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        page: int = _PAGE,
        size: int = SIZE,
    ) -> Iterator[Document]:
        """The documents of a partition, in pages that each begin after the last and are larger, up to 500.

        Args:
            size: characters with which a page ends early.
        """
        while True:
            found = self.page(partition, above=above, below=below, reverse=reverse, limit=page, size=size)
            for _, document in found:
                yield document
            if len(found) < page and sum(len(document.body) for _, document in found) < size:
                return
            if reverse:
                below = found[-1][0]
            else:
                above = found[-1][0]
            del found, document  # before the next page is there
            page = min(2 * page, _PAGE)

    def records(self, kind: type[R], partition: Key, **bounds: Any) -> Iterator[R]:
        """The records of a partition, as `walk` finds them."""
        return (decode(kind, document.body) for document in self.walk(partition, **bounds))


def _wait(seconds: float) -> None:
    time.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311
