"""Responses that are sent while they are read: how many at once, and how long their reader may take nothing."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from typing import IO, Any

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from rest_framework.exceptions import APIException

from .. import conf
from ..compat.connections import in_transaction, open_connections
from ..forks import PerProcess
from ..parts import PART

#: Seconds after which a reader that takes nothing is cut off, where the server is ASGI's.
STALL_TIMEOUT = 60
#: Seconds after which it may be tried again.
_RETRY_AFTER = 5


class TooManyAtOnce(APIException):
    status_code = 429
    default_code = "too-many-at-once"
    wait = _RETRY_AFTER


class Places(PerProcess):
    """How many responses of a kind each user is being sent at once by this process.

    Args:
        what: their name.
        option: the option of ``CHRONOS_STORAGE["API"]`` that says how many they may be, if not `default`.
    """

    def __init__(self, what: str, option: str, default: int) -> None:
        self._what, self._option, self._default = what, option, default
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, user_id: str) -> Callable[[], None]:
        """Take a place for a user; returns what gives it back, once, however often it is called.

        Raises:
            TooManyAtOnce: there is none.
        """
        limit: int = conf.section("API").get(self._option, self._default)
        with self._lock:
            if self._taken[user_id] >= limit:
                raise TooManyAtOnce(f"{limit} {self._what} are on their way to you already, which is the most at once")
            self._taken[user_id] += 1
        taken = [user_id]

        def give_back() -> None:
            with self._lock:
                while taken:
                    self._taken -= Counter([taken.pop()])  # which drops what is 0 by then

        return give_back


class SentResponse(StreamingHttpResponse):
    """A response whose parts are made while it is sent.

    Args:
        parts: for an ASGI server asynchronous.
        release: called when the response is over, be it before its first part.
    """

    def __init__(
        self, parts: AsyncGenerator[bytes, None] | Iterator[bytes], release: Callable[[], None], **options: Any
    ) -> None:
        self._release = release
        super().__init__(_Closing(parts, release) if isinstance(parts, AsyncGenerator) else parts, **options)

    def close(self) -> None:
        super().close()
        self._release()


class _Closing:
    """Asynchronous parts that Django closes with the response: it leaves alone what was just sending one."""

    def __init__(self, parts: AsyncGenerator[bytes, None], release: Callable[[], None]) -> None:
        self._parts = unless_stalled(parts, release)

    def __aiter__(self) -> AsyncGenerator[bytes, None]:
        return self._parts

    def close(self) -> None:
        """Called in a thread."""
        async_to_sync(self._close)()

    async def _close(self) -> None:
        await self._parts.aclose()


async def unless_stalled(
    parts: AsyncGenerator[bytes, None], release: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    """The parts; the task that sends them is cancelled when it is busy with one for too long."""

    def cut(sender: asyncio.Task[Any]) -> None:
        release()  # Django 6.1 does not close the response of a task that is cancelled
        sender.cancel()

    seconds: int = conf.section("API").get("STALL_TIMEOUT", STALL_TIMEOUT)
    async with aclosing(parts):
        async for part in parts:
            sender = asyncio.current_task()
            assert sender
            timer = asyncio.get_running_loop().call_later(seconds, cut, sender)
            try:
                yield part
            finally:
                timer.cancel()


class _Kept(tempfile.SpooledTemporaryFile[bytes]):
    def __del__(self) -> None:
        self.close()  # whoever was to send it may be gone


def kept(parts: Iterable[bytes]) -> IO[bytes]:
    """A file, gone once it is closed, that has these parts, from its start on."""
    file = _Kept(max_size=PART)
    for part in parts:
        file.write(part)
    file.seek(0)
    return file


def let_go(request: HttpRequest, response: HttpResponse) -> SentResponse | None:
    """What to send in the place of a rendered response that is so large that it may have to wait for its reader.

    It waits without a database connection, and where the server is ASGI's not in memory, and not for ever.
    """
    size = len(response.content)
    if size <= PART or request.method == "HEAD":
        return None
    close_connections()
    if not isinstance(request, ASGIRequest):
        return None
    file = kept([response.content])
    sent = SentResponse(_parts(file), file.close, status=response.status_code, headers=response.headers)
    sent.cookies = response.cookies
    sent["Content-Length"] = str(size)
    return sent


async def _parts(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    while part := file.read(PART):  # of what was written just now: it does not wait for the disk
        yield part


def close_connections() -> None:
    """Give back what this thread has opened so far, before it waits for a reader."""
    for connection in open_connections():
        if not in_transaction(connection):
            connection.close()
