"""AgentX' event queue, over the queues of `chronos_storage.queues`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError, InterfaceError

from .. import codec, records
from ..backends.handler import DEFAULT_ALIAS
from ..dsn import MEMORY
from ..exceptions import CursorExpired, InvalidRecord
from ..facade import Storage
from ..facade.stores import storage as default_storage
from ..facade.stores import storages
from ..queues.base import EventQueue
from .agentx_drivers import Driver, memory_driver, opened
from .exchange import milliseconds

logger = logging.getLogger("chronos_storage.queue")

_DAY_MS = 24 * 60 * 60 * 1000
_FIVE_MINUTES_MS = 5 * 60 * 1000
#: Seconds before a subscription reads again after the database has failed.
_DELAY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """An event that was published on a topic."""

    cursor: str
    topic: str
    event: Any
    timestamp: int | None


#: Called with each entry; if that gives an awaitable, the next entry waits for it.
Handler = Callable[[QueueEntry], object]


class Queue:
    """AgentX' queue. Belongs to the event loop in which it was made.

    Args:
        queue: where events are kept.
        storage: beside whose data.
        retention_ms: how long; what a live consumer has not acknowledged is kept for 48 hours.
        cleanup_interval_ms: the time between two removals of what is older; 0 for none.
    """

    def __init__(self, queue: EventQueue, storage: Storage, *, retention_ms: int, cleanup_interval_ms: int) -> None:
        self._queue = queue
        self._storage = storage
        self._retention = timedelta(milliseconds=codec.integer(retention_ms, "retention_ms"))
        self._tasks: set[asyncio.Task[None]] = set()
        if seconds := codec.integer(cleanup_interval_ms, "cleanup_interval_ms") / 1000:
            self._start(self._clean_up_every(seconds))

    async def publish(self, topic: str, event: Any) -> str:
        """Store an event, any JSON, and then tell those who are subscribed; returns its cursor."""
        return await self._queue.apublish(topic, event)

    async def subscribe(self, topic: str, handler: Handler) -> Callable[[], asyncio.Future[Any]]:
        """Call `handler`, in this event loop, with every entry published from now on, in order, each once.

        What it raises is logged, and the subscription goes on with the next entry.

        Returns:
            A function that ends the subscription: no call begins after it. What it gives may be awaited.
        """
        if not callable(handler):
            raise InvalidRecord("handler", f"must be callable, not {type(handler).__name__}")
        task = self._start(self._follow(topic, handler, await self._queue.alast_cursor(topic)))

        def unsubscribe() -> asyncio.Future[Any]:
            task.cancel()
            return asyncio.gather(task, return_exceptions=True)

        return unsubscribe

    async def ack(self, consumer: str, topic: str, cursor: str) -> None:
        """Note that a consumer is done with the entries up to and including this one; it never moves back."""
        await self._queue.aack(consumer, topic, cursor)

    async def get_cursor(self, consumer: str, topic: str) -> str | None:
        """The cursor that a consumer has acknowledged, or None."""
        return await self._queue.aget_cursor(consumer, topic)

    async def recover(self, topic: str, after: str | None = None, limit: int | None = 1000) -> list[QueueEntry]:
        """The first entries after a cursor, ascending; without one, from where the topic now begins.

        Raises:
            CursorExpired: retention has removed entries after the cursor.
        """
        return [_entry(entry) for entry in await self._queue.arecover(topic, after, limit)]

    async def unread_count(self, consumer: str, topic: str) -> int:
        """How many of the topic's entries come after what the consumer has acknowledged."""
        return await self._queue.aunread_count(consumer, topic)

    async def cleanup(self) -> int:
        """Remove what is older than the retention; how many entries."""
        return await self._queue.acleanup(older_than=self._retention)

    async def close(self) -> None:
        """End the subscriptions and the cleaning, and release connections; again, no change. What is stored stays."""
        tasks = self._tasks - {asyncio.current_task()}  # a handler may call this
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._queue.aclose()
        await self._storage.aclose()

    def _start(self, work: Any) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _follow(self, topic: str, handler: Handler, after: str | None) -> None:
        while True:
            try:
                async with aclosing(self._queue.stream(topic, after)) as entries:
                    async for entry in entries:
                        if (task := asyncio.current_task()) and task.cancelling():
                            return  # by its own handler
                        after = entry.cursor
                        await _hand(handler, _entry(entry))
                return  # the queue was closed
            except CursorExpired:
                logger.error("A subscription of %r missed what was removed before it was handled", topic)
                after = None
            except (DatabaseError, InterfaceError) as error:
                logger.warning("A subscription of %r can't read; trying again: %s", topic, error)
                await asyncio.sleep(_DELAY)

    async def _clean_up_every(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.cleanup()
            except Exception:
                logger.exception("The queue's old entries can't be removed; trying again")


async def _hand(handler: Handler, entry: QueueEntry) -> None:
    try:
        result = handler(entry)
        if inspect.isawaitable(result):
            await result
    except Exception:
        logger.exception("A handler of %r failed at the entry %s", entry.topic, entry.cursor)


def _entry(entry: records.QueueEntry) -> QueueEntry:
    return QueueEntry(
        cursor=entry.cursor, topic=entry.topic, event=entry.event, timestamp=milliseconds(entry.created_at)
    )


async def create_queue(
    path: str | Path | Driver | Storage,
    *,
    retention_ms: int = _DAY_MS,
    cleanup_interval_ms: int = _FIVE_MINUTES_MS,
) -> Queue:
    """A queue in a database, or another store, made ready for use.

    Args:
        path: a SQLite file, another address that `connect` knows, ``:memory:`` for this process's memory, a driver, or
            a storage; beside the data of either events are then kept.

    Raises:
        ConfigurationError: the address can't be used, or is a file of AgentX' own.
    """
    queue, storage = await sync_to_async(_open)(path)
    return Queue(queue, storage, retention_ms=retention_ms, cleanup_interval_ms=cleanup_interval_ms)


def _open(place: str | Path | Driver | Storage) -> tuple[EventQueue, Storage]:
    from ..queues.beside import queue_beside

    if isinstance(place, str | Path):
        place = Driver(str(place), is_file="://" not in str(place)) if place != MEMORY else memory_driver()
    storage: Storage = opened(place) if isinstance(place, Driver) else place
    if storage is default_storage:  # which only stands for it
        storage = storages[DEFAULT_ALIAS]
    return queue_beside(storage), storage
