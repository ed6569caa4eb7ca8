"""How news gets about: on PostgreSQL, through Redis, after a fork, and while connections are lost."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest
from django.db import connections

from chronos_storage.exceptions import ConfigurationError
from chronos_storage.queues import readers
from chronos_storage.queues.notifiers.base import Notifier, StopEvent
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.testing.queues.helpers import PATIENCE, Collector, events, publish, read, take
from tests import servers
from tests.conftest import ONLY_SQLITE, each_database

on_postgresql = pytest.mark.parametrize(
    "alias", each_database(without=["default", "postgres15", "mariadb"]), indirect=True
)


@pytest.fixture
def without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is not told hears nothing."""
    monkeypatch.setattr(Notifier, "interval", 3600.0)


def backends(queue: OrmQueue, condition: str) -> list[int]:
    """The server's processes for other connections with this database."""
    with connections[queue.alias].cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            f" AND datname = current_database() AND pid <> pg_backend_pid() AND {condition}"
        )
        return [pid for (pid,) in cursor.fetchall()]


def wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < until
        time.sleep(0.01)
    return found


@on_postgresql
def test_lost_connections_lose_nothing(event_queue_committed: OrmQueue, without_looking: None) -> None:
    queue, handler = event_queue_committed, Collector()
    queue.subscribe("t", handler)
    for number in range(6):
        publish(queue, "t", 20, first=20 * number)
        # of the listener, and then of those who read too
        condition = "query LIKE 'LISTEN%%'" if number < 3 else "application_name <> 'none'"
        with connections[queue.alias].cursor() as cursor:
            for pid in wait_for(partial(backends, queue, condition)):
                cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    publish(queue, "t", 20, first=120)
    assert handler.wait(140) == list(range(140))


@pytest.mark.one_node  # Citus has connections of its own
@on_postgresql
def test_one_connection_listens_for_all_while_they_wait(
    event_queue_committed: OrmQueue, without_looking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_LINGER", 0.1)
    queue = event_queue_committed

    async def follow() -> None:
        async def one() -> list[Any]:
            async with aclosing(queue.stream("t")) as stream:
                return events(await take(stream, 1))

        streams = [asyncio.create_task(one()) for _ in range(100)]
        await asyncio.sleep(0)
        await asyncio.to_thread(wait_for, lambda: len(queue._notifier._waiting.get("t", ())) == 100)
        # those who have read have let go of their connections
        await asyncio.to_thread(elsewhere, wait_for, lambda: len(backends(queue, "true")) == 1)
        await asyncio.to_thread(elsewhere, queue.publish, "t", "news")
        assert await asyncio.gather(*streams) == [["news"]] * 100

    connections.close_all()
    asyncio.run(asyncio.wait_for(follow(), PATIENCE))
    assert queue._notifier._waiting == {}
    wait_for(lambda: not backends(queue, "true"))


def elsewhere(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, called in this thread, whose connections are closed then."""
    try:
        return function(*arguments)
    finally:
        connections.close_all()


def test_a_stream_that_is_cancelled_leaves_nothing(event_queue_committed: OrmQueue) -> None:
    queue = event_queue_committed

    async def follow() -> None:
        task = asyncio.create_task(read(queue, "t", None, 1))
        await asyncio.to_thread(wait_for, lambda: queue._notifier._waiting)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(follow())
    assert queue._notifier._waiting == {}


# A fork while another thread is inside SQLite leaves SQLite's own locks held in the child (see README).
@pytest.mark.parametrize("alias", each_database(without=["default", "postgres15"]), indirect=True)
def test_a_forked_child_listens_for_itself(event_queue_committed: OrmQueue) -> None:
    queue, handler = event_queue_committed, Collector()
    queue.subscribe("t", handler)
    publish(queue, "t", 1)
    assert handler.wait(1) == [0]
    connections.close_all()
    child = os.fork()
    if not child:
        status = 1
        try:
            publish(queue, "t", 1, first=1)
            own = Collector()
            queue.subscribe("t", own)
            publish(queue, "t", 1, first=2)
            status = 0 if own.wait(1) == [2] and len(handler.entries) == 1 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert handler.wait(3) == [0, 1, 2]


# Redis

redis_url = servers.redis()


@pytest.fixture
def through_redis(alias: str, settings, transactional_db: None, monkeypatch) -> Iterator[OrmQueue]:
    from chronos_storage.queues.notifiers.redis import RedisNotifier

    monkeypatch.setattr(RedisNotifier, "interval", 3600.0)
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
        "redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url},
    }
    queue = OrmQueue(using=alias, redis_cache="redis")
    yield queue
    queue.close()


@pytest.mark.skipif(redis_url is None, reason="there is no Redis")
@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_redis_tells(through_redis: OrmQueue, alias: str) -> None:
    from django_redis import get_redis_connection

    queue, handler = through_redis, Collector()
    queue.subscribe("t", handler)
    publish(queue, "t", 1)
    assert handler.wait(1) == [0]
    # as from another process: another queue, which shares nothing with the first
    other = OrmQueue(using=alias, redis_cache="redis")
    publish(other, "t", 50, first=1)
    assert handler.wait(51) == list(range(51))
    client = get_redis_connection("redis")
    client.client_kill_filter(_type="pubsub")
    publish(other, "t", 1, first=51)
    wait_for(lambda: client.pubsub_numsub("chronos_queue")[0][1] or None)
    publish(other, "t", 1, first=52)
    assert handler.wait(53) == list(range(53))


def test_a_cache_that_is_no_redis_is_refused(alias: str) -> None:
    for cache in ("default", "unheard of"):
        with pytest.raises(ConfigurationError, match="REDIS_CACHE"):
            OrmQueue(using=alias, redis_cache=cache)


def test_nothing_is_left_running(event_queue_committed: OrmQueue) -> None:
    queue = event_queue_committed
    queue.subscribe("t", Collector())
    queue.close()
    queue.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("chronos-queue")]


def test_a_thread_that_sees_the_stop_may_close_it_at_once() -> None:
    class Seen(StopEvent):
        """A thread sees at once that it is set."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if name == "is_set" and value:
                self.close()

    stop = Seen()
    stop.set()
    assert stop.is_set
