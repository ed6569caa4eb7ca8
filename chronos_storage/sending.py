"""Responses that are sent while they are made: in parts, by no thread that waits for a reader, nor with a connection.

The REST API's exports and streams are sent so, and the admin's exports.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, aclosing
from functools import partial
from typing import IO, Any, Protocol, TypeVar

from asgiref.sync import async_to_sync, sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

from . import conf
from .compat.connections import in_transaction, open_connections
from .queues.following import READERS

T = TypeVar("T")

#: Bytes after which a part is sent, and that may wait in memory for their reader; what is more waits on the disk.
PART = 64 * 1024
#: Seconds after which a reader that takes nothing is cut off, where the server is ASGI's.
STALL_TIMEOUT = 60


class Turns(Protocol):
    """What is waited for, as it may be had by few at a time."""

    def turn(self) -> AbstractContextManager[None]: ...

    def aturn(self) -> AbstractAsyncContextManager[None]: ...


def streamed(
    request: HttpRequest,
    pieces: Iterable[bytes | None],
    *,
    turns: Turns | None = None,
    release: Callable[[], None] = lambda: None,
    **options: Any,
) -> SentResponse:
    """A response of these pieces, which are made while it is sent.

    Args:
        pieces: None before one that takes a turn, where there are any.
        release: called when it is over.
        options: of Django's StreamingHttpResponse.
    """
    chunks = _in_parts(pieces)
    # Under ASGI Django would read a synchronous iterator to its end before it sends anything.
    how: Any = _in_threads if isinstance(request, ASGIRequest) else _in_this_thread
    return SentResponse(how(chunks, turns), release, **options)


def _in_parts(pieces: Iterable[bytes | None]) -> Iterator[bytes | None]:
    """The pieces, several as one; None comes as it is, when it is asked for, and so may be a sign between two."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        if piece is None:
            yield None
            continue
        waiting.append(piece)
        size += len(piece)
        if size >= PART:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _in_this_thread(chunks: Iterator[bytes | None], turns: Turns | None) -> Iterator[bytes]:
    while (chunk := next(chunks, b"")) != b"":
        if chunk is None:
            assert turns is not None
            with turns.turn():
                chunk = next(chunks)
        assert chunk is not None
        close_connections()
        yield chunk


async def _in_threads(chunks: Iterator[bytes | None], turns: Turns | None) -> AsyncGenerator[bytes, None]:
    await sync_to_async(close_connections)()
    following = partial(_following, chunks)
    while (chunk := await reading(following)) != b"":
        if chunk is None:
            assert turns is not None
            async with turns.aturn():
                chunk = await reading(following)
        if isinstance(chunk, Exception):
            raise chunk
        assert chunk is not None
        yield chunk


def _following(chunks: Iterator[bytes | None]) -> bytes | Exception | None:
    """The next chunk, b"" after the last; or the error, which `reading` would answer with another call: what has failed
    once gives nothing more, and so would seem to be complete.
    """
    try:
        return next(chunks, b"")
    except Exception as error:
        close_connections()
        return error


async def reading(job: Callable[[], T]) -> T:
    """What `job` returns, which only reads, called in one of the few threads that all streams share.

    Not in Django's own: under ASGI it has one for each request, and so a connection.
    """
    return await asyncio.wrap_future(READERS.submit(job))


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
    for connection in open_connections():
        if in_transaction(connection):  # as ATOMIC_REQUESTS makes one, which ends before the answer is sent
            transaction.on_commit(close_connections, using=connection.alias)
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
