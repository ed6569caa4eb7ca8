"""Turns: what takes much memory a process does for one request at a time, and the others wait.

They wait in the order in which they came, without a database connection, and what is little passes them by. Exports and
streams, which have time, wait for a turn of their own.
"""

from __future__ import annotations

import asyncio
import gc
import math
import threading
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager

from rest_framework.exceptions import APIException

from ..forks import PerProcess
from ..sending import close_connections

#: Bytes that were read and written, after which the garbage is collected: it is many times as large, and one collection
#: takes as long as to parse some of them.
GARBAGE = 2 * 1024 * 1024
#: How many requests may wait, and for how many seconds.
WAITING, PATIENCE = 50, 30


class Busy(APIException):
    status_code = 503
    default_code = "busy"
    default_detail = "The server has more large requests than it can take: try again."
    wait = 5


class Much(Exception):
    """What is read next takes a turn."""


def refuse_much() -> None:
    """For `before_much`, where no turn can be waited for.

    Raises:
        Much: always.
    """
    raise Much


class Turns(PerProcess):
    """Those of one process: one has a turn at a time."""

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._free = True
        self._waiting: deque[Future[None]] = deque()
        self._garbage = 0

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @contextmanager
    def turn(self, patience: float | None = None) -> Iterator[None]:
        """The block has a turn.

        Args:
            patience: for how many seconds to wait for it; None: for as long as it takes.

        Raises:
            Busy: it would have to wait for longer.
        """
        mine = self._asked(math.inf if patience is None else WAITING)
        try:
            if not mine.done():
                close_connections()
            mine.result(patience)
        except TimeoutError:
            self._give_up(mine)
            raise Busy from None
        try:
            yield
        finally:
            self._pass_on()

    @asynccontextmanager
    async def aturn(self) -> AsyncGenerator[None, None]:
        """The same, for what is being sent already and may wait for as long as it takes."""
        mine = self._asked(math.inf)
        try:
            await asyncio.shield(asyncio.wrap_future(mine))
        except BaseException:
            self._give_up(mine)
            raise
        try:
            yield
        finally:
            self._pass_on()

    def collect(self, size: int) -> None:
        """Free what was made of so many bytes, sooner or later; to be called by whoever has a turn.

        Python itself would wait until there is a quarter more of what it counts, among which are no empty objects.
        """
        self._garbage += size
        if self._garbage > GARBAGE:
            gc.collect()
            self._garbage = 0

    def _asked(self, room: float) -> Future[None]:
        mine: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free = False
                mine.set_result(None)
            elif len(self._waiting) >= room:
                raise Busy
            else:
                self._waiting.append(mine)
        return mine

    def _give_up(self, mine: Future[None]) -> None:
        with self._lock:
            if mine in self._waiting:
                self._waiting.remove(mine)
                return
        self._pass_on()

    def _pass_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set_result(None)
            else:
                self._free = True


#: Those of requests, and those of what is being sent.
REQUESTS, SENDING = Turns(), Turns()
