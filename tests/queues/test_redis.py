"""The queue over Redis' streams keeps the contract, wakes other processes, and goes on after its server was away."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import pytest

from chronos_storage.queues.redis import RedisQueue
from chronos_storage.testing import EventQueueConformance
from chronos_storage.testing.queues.helpers import Collector, events, publish
from tests import servers

URL = os.environ.get("TEST_REDIS_URL", "")
pytestmark = pytest.mark.skipif(not URL, reason="no Redis is found")


class TestRedisQueue(EventQueueConformance):
    @pytest.fixture
    def event_queue(self) -> Iterator[RedisQueue]:
        queue = RedisQueue(url=URL, base=uuid.uuid4().hex)
        yield queue
        queue.close()

    @pytest.fixture
    def event_queue_committed(self, event_queue: RedisQueue) -> RedisQueue:
        return event_queue


def test_another_process_s_news_is_heard_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronos_storage.queues.notifiers.redis.RedisNotifier.interval", 3600.0)
    base, handler = uuid.uuid4().hex, Collector()
    one, other = (RedisQueue(url=URL, base=base) for _ in range(2))
    one.subscribe("t", handler)
    publish(other, "t", 3)
    assert handler.wait(3) == [0, 1, 2]
    one.close()
    other.close()


def test_a_subscription_goes_on_after_its_server_was_away() -> None:
    server = servers.own_redis("--appendonly", "yes", "--appendfsync", "always")
    if server is None:
        pytest.skip("the server is not installed")
    server.start()
    queue, handler = RedisQueue(url=server.url), Collector()
    try:
        queue.subscribe("t", handler)
        publish(queue, "t", 2)
        assert handler.wait(2) == [0, 1]
        server.kill()
        server.start()
        publish(queue, "t", 2, first=2)
        assert handler.wait(4) == [0, 1, 2, 3]
        assert events(queue.recover("t")) == [0, 1, 2, 3]
    finally:
        queue.close()
        server.stop()
