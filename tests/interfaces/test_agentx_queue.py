"""AgentX' event queue: document 003's examples, and what its own features promise."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import Storage
from chronos_storage.exceptions import ConfigurationError, CursorExpired, InvalidRecord
from chronos_storage.interfaces.agentx import (
    Driver,
    Queue,
    QueueEntry,
    create_persistence,
    create_queue,
    fs_driver,
    memory_driver,
    mongodb_driver,
    redis_driver,
    sqlite_driver,
)
from chronos_storage.testing.queues.helpers import PATIENCE, Clock
from tests.databases import new_mongodb

NAME, TOPIC = "connection-1", "session-123"


@asynccontextmanager
async def queue_over(store: Storage, **options: int) -> AsyncIterator[Queue]:
    queue = await create_queue(store, **options)
    yield queue
    await queue.close()


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once this holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for knows nothing of an event
            await asyncio.sleep(0.002)


class Collector:
    """A handler that keeps what it is given."""

    def __init__(self) -> None:
        self.entries: list[QueueEntry] = []

    def __call__(self, entry: QueueEntry) -> None:
        self.entries.append(entry)

    async def wait(self, count: int) -> list[Any]:
        """The events, once there are so many."""

        await eventually(lambda: len(self.entries) >= count)
        return [entry.event for entry in self.entries]


async def publish(queue: Queue, count: int, first: int = 0) -> list[str]:
    return [await queue.publish(TOPIC, number) for number in range(first, first + count)]


async def recovered(queue: Queue, after: str | None = None) -> list[Any]:
    return [entry.event for entry in await queue.recover(TOPIC, after)]


# The examples of document 003


async def test_the_queue_s_example(store_committed: Storage) -> None:
    queue = await create_queue(store_committed)
    handler = Collector()
    unsubscribe = await queue.subscribe(TOPIC, handler)
    event = {"type": "text_delta", "data": {"text": "Hello"}}
    cursor = await queue.publish(TOPIC, event)
    assert await handler.wait(1) == [event]
    [entry] = handler.entries
    assert (entry.cursor, entry.topic) == (cursor, TOPIC)
    assert entry.timestamp is not None

    await queue.ack(NAME, TOPIC, cursor)
    later = [await queue.publish(TOPIC, {"type": "text_delta", "data": {"text": text}}) for text in ("a", "b")]
    last_cursor = await queue.get_cursor(NAME, TOPIC)
    assert last_cursor == cursor
    missed = await queue.recover(TOPIC, last_cursor)
    assert [entry.cursor for entry in missed] == later
    assert [entry.event["data"]["text"] for entry in missed] == ["a", "b"]
    assert await queue.unread_count(NAME, TOPIC) == 2

    await handler.wait(3)
    await unsubscribe()
    await queue.publish(TOPIC, "unheard")
    await queue.close()
    assert len(handler.entries) == 3


@pytest.mark.usefixtures("other_databases")
async def test_a_queue_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "data" / "queue.db"
    queue = await create_queue(path, retention_ms=86_400_000, cleanup_interval_ms=300_000)
    cursor = await queue.publish(TOPIC, {"n": 1})
    await queue.ack(NAME, TOPIC, cursor)
    await queue.close()
    assert path.exists()
    again = await create_queue(str(path))
    assert await again.get_cursor(NAME, TOPIC) == cursor
    assert await recovered(again) == [{"n": 1}]
    await again.close()


async def test_a_queue_in_memory() -> None:
    queue, other = await create_queue(":memory:"), await create_queue(":memory:")
    handler = Collector()
    unsubscribe = await queue.subscribe(TOPIC, handler)
    await publish(queue, 3)
    assert await handler.wait(3) == [0, 1, 2]
    unsubscribe()
    assert await recovered(other) == []
    for each in (queue, other):
        await each.close()
        await each.close()


@pytest.mark.django_db
async def test_a_queue_beside_the_default_storage() -> None:
    from chronos_storage import queue as default_queue
    from chronos_storage import storage

    async with queue_over(storage) as queue:
        cursor = await queue.publish(TOPIC, 1)
        assert await default_queue.alast_cursor(TOPIC) == cursor


# What its features promise


async def test_an_event_is_stored_before_anyone_hears_of_it(store_committed: Storage) -> None:
    async with queue_over(store_committed) as queue, queue_over(store_committed) as other:
        found: list[Any] = []

        async def look(entry: QueueEntry) -> None:
            found.append([each.event for each in await other.recover(TOPIC)])

        await queue.subscribe(TOPIC, look)
        cursor = await queue.publish(TOPIC, "first")
        assert [each.cursor for each in await other.recover(TOPIC)] == [cursor]
        await eventually(lambda: bool(found))
        assert found == [["first"]]


async def test_what_was_not_acknowledged_comes_again(store_committed: Storage) -> None:
    async with queue_over(store_committed) as queue:
        handler = Collector()
        unsubscribe = await queue.subscribe(TOPIC, handler)
        cursors = await publish(queue, 5)
        await handler.wait(5)
        await queue.ack(NAME, TOPIC, cursors[1])
        unsubscribe()
    async with queue_over(store_committed) as queue:  # after the connection was lost
        assert await recovered(queue, await queue.get_cursor(NAME, TOPIC)) == [2, 3, 4]
        assert await recovered(queue, await queue.get_cursor("someone new", TOPIC)) == [0, 1, 2, 3, 4]
        await queue.ack(NAME, TOPIC, cursors[4])
        await queue.ack(NAME, TOPIC, cursors[0])
        assert await recovered(queue, await queue.get_cursor(NAME, TOPIC)) == []


async def test_a_burst_to_fifty_subscribers(store_committed: Storage) -> None:
    async with queue_over(store_committed) as queue:
        handlers = [Collector() for _ in range(50)]
        for handler in handlers:
            await queue.subscribe(TOPIC, handler)
        event_queue = queue._queue

        def burst(first: int) -> list[str]:
            return [event_queue.publish(TOPIC, number) for number in range(first, first + 100)]

        cursors = [cursor for first in range(0, 400, 100) for cursor in await store_committed.arun_atomic(burst, first)]
        for handler in handlers:
            assert await handler.wait(400) == list(range(400))
        assert {len(handler.entries) for handler in handlers} == {400}
        assert [entry.cursor for entry in handlers[-1].entries] == cursors


async def test_five_quick_reconnects_deliver_each_once(store_committed: Storage) -> None:
    async with queue_over(store_committed) as queue:
        publishing = asyncio.create_task(publish(queue, 60))
        got: list[QueueEntry] = []
        for _ in range(5):
            async with queue_over(store_committed) as connection:
                await asyncio.sleep(0)
                missed = await connection.recover(TOPIC, await connection.get_cursor(NAME, TOPIC))
                got += missed
                if missed:
                    await connection.ack(NAME, TOPIC, missed[-1].cursor)
        await publishing
        got += await queue.recover(TOPIC, await queue.get_cursor(NAME, TOPIC))
        assert [entry.event for entry in got] == list(range(60))


async def test_it_is_cleaned_up_after_all_have_acknowledged(
    store_committed: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    async with queue_over(store_committed) as queue:
        cursors = await publish(queue, 4)
        clock.move(hours=20)
        await queue.ack("quick", TOPIC, cursors[3])
        await queue.ack("slow", TOPIC, cursors[0])
        clock.move(hours=5)
        assert await queue.cleanup() == 1
        assert await recovered(queue) == [1, 2, 3]
        await queue.ack("slow", TOPIC, cursors[3])
        assert await queue.cleanup() == 3
        assert await recovered(queue, cursors[3]) == []
        with pytest.raises(CursorExpired):
            await queue.recover(TOPIC, cursors[1])


async def test_a_day_is_kept_and_two_at_most(store_committed: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    async with queue_over(store_committed) as queue:
        await publish(queue, 1)
        clock.move(hours=23, minutes=59)
        assert await queue.cleanup() == 0
        clock.move(minutes=2)
        assert await queue.cleanup() == 1
        cursors = await publish(queue, 2, first=1)
        for _ in range(3):  # alive, but after
            await queue.ack(NAME, TOPIC, cursors[0])
            clock.move(hours=15, minutes=59)
        assert await queue.cleanup() == 1
        await queue.ack(NAME, TOPIC, cursors[0])
        assert await recovered(queue) == [2]
        clock.move(minutes=4)
        assert await queue.cleanup() == 1


async def test_a_consumer_silent_for_a_day_holds_nothing_back(
    store_committed: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    async with queue_over(store_committed) as queue:
        cursors = await publish(queue, 3)
        await queue.ack("abandoned", TOPIC, cursors[0])
        clock.move(hours=24, seconds=1)
        assert await queue.cleanup() == 3


# Its options and edges


async def test_its_own_retention_and_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    queue = await create_queue(":memory:", retention_ms=60_000, cleanup_interval_ms=5)
    await publish(queue, 2)
    clock.move(seconds=59)
    await publish(queue, 1, first=2)
    clock.move(seconds=2)
    await eventually(lambda: len(queue._queue.recover(TOPIC)) == 1)
    assert await recovered(queue) == [2]
    await queue.close()


async def test_handlers_may_be_asynchronous_fail_and_end_themselves(caplog: pytest.LogCaptureFixture) -> None:
    queue = await create_queue(":memory:", cleanup_interval_ms=0)
    slow, once = Collector(), Collector()

    async def handle(entry: QueueEntry) -> None:
        await asyncio.sleep(0)
        slow(entry)
        if entry.event == 0:
            raise LookupError("on purpose")

    def end(entry: QueueEntry) -> None:
        once(entry)
        unsubscribe()

    await queue.subscribe(TOPIC, handle)
    unsubscribe = await queue.subscribe(TOPIC, end)
    await publish(queue, 3)
    assert await slow.wait(3) == [0, 1, 2]
    assert "on purpose" in caplog.text
    assert len(once.entries) == 1
    await queue.close()


async def test_a_subscription_that_retention_overtook_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock(monkeypatch)
    queue = await create_queue(":memory:", cleanup_interval_ms=0)
    handler, going = Collector(), asyncio.Event()

    async def slowly(entry: QueueEntry) -> None:
        handler(entry)
        await going.wait()

    await queue.subscribe(TOPIC, slowly)
    await publish(queue, 1)
    await handler.wait(1)
    await publish(queue, 2, first=1)
    clock.move(hours=25)
    await publish(queue, 1, first=3)
    await queue.cleanup()
    going.set()
    assert await handler.wait(2) == [0, 3]
    assert "missed what was removed" in caplog.text
    await queue.close()


async def test_what_is_wrong_is_refused() -> None:
    queue = await create_queue(":memory:")
    for call, field in (
        (queue.subscribe(TOPIC, None), "handler"),
        (queue.publish("", 1), "topic"),
        (queue.ack(NAME, TOPIC, "x"), "cursor"),
        (queue.recover(TOPIC, "x"), "after"),
        (create_queue(":memory:", retention_ms=-1), "retention_ms"),
        (create_queue(":memory:", cleanup_interval_ms="5m"), "cleanup_interval_ms"),
    ):
        with pytest.raises(InvalidRecord) as refused:
            await call
        assert refused.value.field == field
    with pytest.raises(ConfigurationError, match="gopher"):
        await create_queue("gopher://x")
    await queue.close()


@pytest.fixture(params=["fs", "redis", "mongodb"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    """A driver of each store that several processes can share, and that is no SQL database."""
    redis = os.environ.get("TEST_REDIS_URL")
    match request.param:
        case "redis" if not redis:
            pytest.skip("no Redis is found")
        case "redis":
            yield redis_driver(str(redis), uuid.uuid4().hex)
        case "mongodb" if not os.environ.get("TEST_MONGODB_URL"):
            pytest.skip("MongoDB is not installed")
        case "mongodb":
            with new_mongodb() as (uri, database):
                yield mongodb_driver(uri, database, "agents")
        case _:
            yield fs_driver(tmp_path / "data")


async def test_each_driver_has_a_queue(driver: Driver) -> None:
    """Beside the persistence's records, in the same store."""
    persistence = await create_persistence(driver)
    queue, same, handler = await create_queue(driver), await create_queue(driver), Collector()
    await queue.subscribe(TOPIC, handler)
    cursors = await publish(same, 3)
    assert await handler.wait(3) == [0, 1, 2]
    assert await recovered(queue, cursors[0]) == [1, 2]
    await queue.ack(NAME, TOPIC, cursors[1])
    assert await same.get_cursor(NAME, TOPIC) == cursors[1]
    assert await persistence.sessions.find_all_sessions() == []
    for each in (queue, same, persistence):
        await each.close()


async def test_the_memory_driver_s_queue_is_its_own_or_shared_by_name() -> None:
    queues = [await create_queue(memory_driver(name)) for name in ("", "", "a queue's name", "a queue's name")]
    for queue in queues[::2]:
        await queue.publish(TOPIC, 1)
    assert [len(await queue.recover(TOPIC)) for queue in queues] == [1, 0, 1, 1]
    for queue in queues:
        await queue.close()


@pytest.mark.usefixtures("other_databases")
async def test_the_sqlite_driver_s_queue(tmp_path: Path) -> None:
    queue = await create_queue(sqlite_driver(tmp_path / "data" / "queue.db"))
    await queue.publish(TOPIC, 1)
    assert [entry.event for entry in await queue.recover(TOPIC)] == [1]
    await queue.close()


@pytest.mark.skipif(not os.environ.get("TEST_REDIS_URL"), reason="no Redis is found")
async def test_an_address_of_redis() -> None:
    address = f"{os.environ['TEST_REDIS_URL']}?base={uuid.uuid4().hex}"
    queue, same, handler = await create_queue(address), await create_queue(address), Collector()
    await queue.subscribe(TOPIC, handler)
    cursors = await publish(same, 3)
    assert await handler.wait(3) == [0, 1, 2]
    assert await recovered(queue, cursors[0]) == [1, 2]
    for each in (queue, same):
        await each.close()
