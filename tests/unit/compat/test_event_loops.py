"""Undocumented parts of asgiref that `compat.event_loops` uses: that they are there, and do what they did."""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context, copy_context

from asgiref.local import Local
from asgiref.sync import async_to_sync, sync_to_async

from chronos_storage.compat.event_loops import call_in, waiting_thread


def test_the_thread_that_waits_for_a_coroutine_is_found_in_its_tasks_too():
    async def look() -> threading.Thread | None:
        return waiting_thread()

    async def look_everywhere() -> list[threading.Thread | None]:
        loop, called = asyncio.get_running_loop(), asyncio.Event()
        found = [await look(), await asyncio.create_task(look())]

        def by_itself() -> None:
            found.append(waiting_thread())
            called.set()

        loop.call_soon(by_itself, context=Context())
        await called.wait()
        return found

    assert async_to_sync(look_everywhere)() == [threading.current_thread()] * 3
    assert asyncio.run(look_everywhere()) == [None] * 3


def test_a_thread_that_waits_no_more_is_none_that_waits():
    tasks: list[asyncio.Task[threading.Thread | None]] = []

    async def look(after: asyncio.Event) -> threading.Thread | None:
        await after.wait()
        return waiting_thread()

    async def outer() -> threading.Thread | None:
        event = asyncio.Event()

        async def begin() -> None:
            tasks.append(asyncio.create_task(look(event)))

        await sync_to_async(async_to_sync(begin), thread_sensitive=False)()
        event.set()
        return await tasks.pop()

    assert asyncio.run(outer()) is None
    assert async_to_sync(outer)() is threading.current_thread()


def test_a_call_in_another_thread_has_the_locals_and_the_loop_of_a_coroutine():
    local = Local()

    async def look() -> tuple[object, asyncio.AbstractEventLoop]:
        return local.given, asyncio.get_running_loop()

    async def work(given: object) -> tuple[object, asyncio.AbstractEventLoop]:
        local.given = given
        context, loop = copy_context(), asyncio.get_running_loop()
        found = await loop.run_in_executor(None, call_in, context, loop, async_to_sync(look))
        assert found == (given, loop)
        return found

    async def both() -> None:
        await asyncio.gather(work(1), work(2))

    asyncio.run(both())
