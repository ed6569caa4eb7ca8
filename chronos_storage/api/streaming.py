"""Server-sent events: the body of a response that goes on until its reader goes, or may not read any more."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import IO, Any, TypeVar

from asgiref.sync import sync_to_async

from .. import conf
from ..exceptions import ChronosError
from ..queues.subscriptions import DELAY, FAILURES
from ..sending import PART, SentResponse, close_connections, reading
from .json_media import encode

logger = logging.getLogger("chronos_storage.api")

#: Seconds between two signs of life, and between two looks whether the reader may still read.
HEARTBEAT = 30
#: Milliseconds after which a reader that was cut off comes back.
RETRY = 1000

#: What an event's name may look like: nothing that ends a line, and no name that EventSource itself uses.
_NAME = re.compile(r"(?!(?:open|error|message)\Z)[A-Za-z0-9_.:-]+\Z")

T = TypeVar("T")
#: Messages, and the position after them.
Part = tuple[IO[bytes], Any]
#: Gives what comes after a position, as soon as it is there.
Source = Callable[[Any], AsyncGenerator[Part, None]]


def message(id: object, data: Any, name: str = "") -> bytes:
    """An event as it is sent: JSON, under its name if it can have that, else as a plain "message"."""
    named = f"event: {name}\n" if _NAME.match(name) else ""
    return f"id: {id}\n{named}data: {encode(data)}\n\n".encode()


def stream_response(
    source: Source, position: Any, check: Callable[[], object], release: Callable[[], None]
) -> SentResponse:
    """The response that streams what comes after a position.

    Args:
        position: also the id of the last message, as far as it is known, else None.
        check: raises what tells that the reader may not read any more; called in a thread.
        release: called when it is over.
    """
    response = SentResponse(_Stream(source, position, check).run(), release, content_type="text/event-stream")
    response["Cache-Control"] = "private, no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"  # nginx would collect it
    response["Content-Encoding"] = "identity"  # and Django's GZipMiddleware compress it
    return response


class _Stream:
    """Messages, and comments where there are none for a while. Reads no further than its reader takes it."""

    def __init__(self, source: Source, position: Any, check: Callable[[], object]) -> None:
        self._source, self._position, self._check = source, position, check
        self._beat: int = conf.section("API").get("HEARTBEAT", HEARTBEAT)

    async def run(self) -> AsyncGenerator[bytes, None]:
        """The parts of the response's body."""
        await sync_to_async(close_connections)()  # the request's own thread stays until the response is over
        # With an id right away, who is cut off before the first event goes on from here too.
        position = "" if self._position is None else f"id: {self._position}\n"
        yield f"retry: {RETRY}\n{position}\n".encode()
        async with aclosing(self._lasting()) as messages:
            following: asyncio.Future[IO[bytes] | None] | None = None
            due = time.monotonic() + self._beat
            try:
                while True:
                    following = following or asyncio.ensure_future(anext(messages, None))
                    await asyncio.wait([following], timeout=max(0.0, due - time.monotonic()))
                    if time.monotonic() >= due:
                        if not await self._allowed():
                            return
                        due = time.monotonic() + self._beat
                        if not following.done():
                            yield b":\n\n"
                    if following.done():
                        file, following = following.result(), None
                        if file is None:
                            return
                        with file:
                            while part := file.read(PART):
                                yield part
            finally:
                if following:
                    following.cancel()
                    await asyncio.wait([following])

    async def _lasting(self) -> AsyncGenerator[IO[bytes], None]:
        """What the source gives, which is made again where the database fails; ends where something is lost."""
        position = self._position
        while True:
            try:
                async with aclosing(self._source(position)) as parts:
                    async for messages, following in parts:
                        position = following
                        yield messages
                    return
            except FAILURES as error:
                await _wait_for_database(error)
            except ChronosError as error:
                # The reader comes back, and is answered what the matter is.
                logger.info("A stream ends: %s", error)
                return

    async def _allowed(self) -> bool:
        while True:
            try:
                await reading(self._check)
            except FAILURES as error:
                await _wait_for_database(error)
            except Exception:
                return False
            else:
                return True


async def _wait_for_database(error: Exception) -> None:
    logger.warning("A stream can't read; trying again: %s", error)
    await asyncio.sleep(DELAY)
