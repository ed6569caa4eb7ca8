"""Streams and subscriptions."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import pytest

from ...compat.connections import close_connections
from ...exceptions import CursorExpired, InvalidRecord
from ...queues.base import EventQueue
from ...records import QueueEntry
from .helpers import PATIENCE, Clock, Collector, events, publish, read, take


def run(coroutine: Any) -> Any:
    """What the coroutine returns; it is given up after a while."""
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


class StreamContract:
    def test_what_was_missed_and_then_what_is_new(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        cursors = publish(queue, "t", 250)

        async def follow() -> None:
            async with aclosing(queue.stream("t")) as stream:
                assert events(await take(stream, 250)) == list(range(250))
                await in_thread(publish, queue, "t", 3, 250)
                assert events(await take(stream, 3)) == [250, 251, 252]
            assert events(await read(queue, "t", cursors[247], 5)) == list(range(248, 253))

        run(follow())

    def test_only_what_is_new(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        publish(queue, "t", 3)

        async def follow() -> None:
            async with aclosing(queue.stream("t", queue_last)) as stream:
                first = asyncio.ensure_future(anext(stream))
                await in_thread(publish, queue, "t", 1, 3)
                assert (await first).event == 3

        queue_last = queue.last_cursor("t")
        run(follow())

    def test_a_topic_that_nobody_has_heard_of_yet(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed

        async def follow() -> list[QueueEntry]:
            waiting = asyncio.ensure_future(read(queue, "t", None, 2))
            await asyncio.sleep(0)
            await in_thread(publish, queue, "t", 2)
            return await waiting

        assert events(run(follow())) == [0, 1]

    def test_no_gap_and_no_repeat_while_others_publish(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        publishers, each = 4, 25

        async def follow() -> None:
            tasks = [in_thread(publish_own, queue, number, each) for number in range(publishers)]
            publishing = asyncio.gather(*tasks)
            readers = await asyncio.gather(*(read(queue, "t", None, publishers * each) for _ in range(5)))
            await publishing
            for entries in readers:
                cursors = [entry.cursor for entry in entries]
                assert cursors == sorted(set(cursors))
                for number in range(publishers):
                    assert [event[1] for event in events(entries) if event[0] == number] == list(range(each))

        run(follow())

    def test_quick_reconnects_get_each_once(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed

        async def follow() -> list[Any]:
            publishing = asyncio.ensure_future(in_thread(publish, queue, "t", 60))
            got: list[QueueEntry] = []
            for count in (10, 1, 14, 5, 30):
                got += await read(queue, "t", got[-1].cursor if got else None, count)
            await publishing
            return events(got)

        assert run(follow()) == list(range(60))

    def test_streams_of_several_event_loops(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        with ThreadPoolExecutor(4) as pool:
            following = [pool.submit(run, read(queue, "t", None, 20)) for _ in range(4)]
            publish(queue, "t", 20)
            for each in following:
                assert events(each.result(PATIENCE)) == list(range(20))

    def test_an_expired_cursor(self, event_queue_committed: EventQueue, monkeypatch: pytest.MonkeyPatch) -> None:
        queue, clock = event_queue_committed, Clock(monkeypatch)
        cursors = publish(queue, "t", 3)
        clock.move(hours=25)
        publish(queue, "t", 1, first=3)
        queue.cleanup()
        with pytest.raises(CursorExpired):
            run(read(queue, "t", cursors[0], 1))
        assert events(run(read(queue, "t", None, 1))) == [3]

    def test_a_cursor_that_was_not_given(self, event_queue_committed: EventQueue) -> None:
        later = publish(event_queue_committed, "longer", 1)[-1]
        with pytest.raises(InvalidRecord):
            run(read(event_queue_committed, "t", later, 1))

    def test_it_ends_when_the_queue_is_closed(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        publish(queue, "t", 1)

        async def follow() -> list[Any]:
            got = []
            async for entry in queue.stream("t"):
                got.append(entry.event)
                asyncio.get_running_loop().call_later(0.05, closing)
            return got

        pool = ThreadPoolExecutor(1)
        closing = lambda: pool.submit(queue.close)  # noqa: E731
        assert run(follow()) == [0]
        pool.shutdown()
        publish(queue, "t", 1, first=1)
        assert events(run(read(queue, "t", None, 2))) == [0, 1]

    def test_asynchronous_variants(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed

        async def use() -> None:
            cursor = await queue.apublish("t", {"n": 1}, user_id="u", key="k")
            assert await queue.apublish("t", {"n": 1}, user_id="u", key="k") == cursor
            await queue.aack("c", "t", cursor)
            assert await queue.aget_cursor("c", "t") == await queue.alast_cursor("t") == cursor
            assert await queue.aunread_count("c", "t") == 0
            assert events(await queue.arecover("t")) == [{"n": 1}]
            assert await queue.acleanup() == 0
            handler = Collector()
            unsubscribe = await queue.asubscribe("t", handler)
            await queue.apublish("t", 2)
            assert await in_thread(handler.wait, 1) == [2]
            await in_thread(unsubscribe)
            await queue.aclose()

        run(use())


async def in_thread(function: Any, *arguments: Any) -> Any:
    """What the function returns, called in a thread of its own, whose connection is closed then."""

    def call() -> Any:

        try:
            return function(*arguments)
        finally:
            close_connections()

    return await asyncio.to_thread(call)


def publish_own(queue: EventQueue, publisher: int, count: int) -> None:
    for number in range(count):
        queue.publish("t", [publisher, number])


class SubscriptionContract:
    def test_what_is_published_from_now_on(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        publish(queue, "t", 3)
        handler = Collector()
        unsubscribe = queue.subscribe("t", handler)
        cursor = queue.publish("t", {"n": 3}, user_id="ada")
        queue.publish("other", 1)
        queue.publish("t", 4)
        assert handler.wait(2) == [{"n": 3}, 4]
        [entry, _] = handler.entries
        assert (entry.cursor, entry.topic, entry.user_id) == (cursor, "t", "ada")
        unsubscribe()
        queue.publish("t", 5)
        unsubscribe()
        again = Collector()
        queue.subscribe("t", again)
        queue.publish("t", 6)
        assert again.wait(1) == [6]
        assert len(handler.entries) == 2

    def test_a_burst_to_many(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        handlers = [Collector() for _ in range(25)]
        for handler in handlers:
            queue.subscribe("t", handler)
        publish(queue, "t", 100)
        for handler in handlers:
            assert handler.wait(100) == list(range(100))
        queue.close()
        assert {len(handler.entries) for handler in handlers} == {100}

    def test_a_failing_handler_goes_on(
        self, event_queue_committed: EventQueue, caplog: pytest.LogCaptureFixture
    ) -> None:
        queue, handler = event_queue_committed, Collector()

        def fail(entry: QueueEntry) -> None:
            handler(entry)
            if entry.event == 0:
                raise LookupError("on purpose")

        queue.subscribe("t", fail)
        publish(queue, "t", 2)
        assert handler.wait(2) == [0, 1]
        queue.close()
        assert "on purpose" in caplog.text

    def test_no_call_runs_after_the_end(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        entered, leave, left = threading.Event(), threading.Event(), threading.Event()

        def handler(entry: QueueEntry) -> None:
            entered.set()
            leave.wait(PATIENCE)
            left.set()

        unsubscribe = queue.subscribe("t", handler)
        publish(queue, "t", 5)
        assert entered.wait(PATIENCE)
        threading.Timer(0.1, leave.set).start()
        unsubscribe()
        assert left.is_set()

    def test_a_handler_may_end_its_own_subscription(self, event_queue_committed: EventQueue) -> None:
        queue, handler, ended = event_queue_committed, Collector(), threading.Event()

        def once(entry: QueueEntry) -> None:
            handler(entry)
            unsubscribe()
            ended.set()

        unsubscribe = queue.subscribe("t", once)
        publish(queue, "t", 3)
        assert ended.wait(PATIENCE)
        queue.close()
        assert events(handler.entries) == [0]

    def test_a_handler_may_publish(self, event_queue_committed: EventQueue) -> None:
        queue, answers = event_queue_committed, Collector()
        queue.subscribe("question", lambda entry: queue.publish("answer", entry.event + 1))
        queue.subscribe("answer", answers)
        publish(queue, "question", 3)
        assert answers.wait(3) == [1, 2, 3]
