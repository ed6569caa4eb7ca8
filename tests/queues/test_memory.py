"""The queue in memory keeps the contract, and is shared by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chronos_storage.queues.memory import MemoryQueue
from chronos_storage.testing import EventQueueConformance
from chronos_storage.testing.queues.helpers import Collector, events


class TestMemoryQueue(EventQueueConformance):
    @pytest.fixture
    def event_queue(self) -> Iterator[MemoryQueue]:
        queue = MemoryQueue()
        yield queue
        queue.close()

    @pytest.fixture
    def event_queue_committed(self, event_queue: MemoryQueue) -> MemoryQueue:
        return event_queue


def test_queues_of_the_same_name_share_what_they_keep() -> None:
    one, same, other, nameless = MemoryQueue("a name"), MemoryQueue("a name"), MemoryQueue("another"), MemoryQueue()
    handler = Collector()
    same.subscribe("t", handler)
    cursor = one.publish("t", 1)
    assert handler.wait(1) == [1]
    one.ack("c", "t", cursor)
    assert same.get_cursor("c", "t") == cursor
    assert events(same.recover("t")) == [1]
    assert other.recover("t") == nameless.recover("t") == MemoryQueue().recover("t") == []
    one.close()
    same.publish("t", 2)
    assert handler.wait(2) == [1, 2]  # closing one leaves the other's subscriptions
    same.close()
