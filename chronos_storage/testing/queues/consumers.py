"""Acknowledging."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from ...exceptions import InvalidRecord
from ...queues.base import EventQueue
from ...records import now
from .helpers import publish


class ConsumerContract:
    def test_what_is_acknowledged_is_read(self, event_queue: EventQueue) -> None:
        cursors = publish(event_queue, "t", 5)
        assert event_queue.get_cursor("c", "t") is None
        assert event_queue.unread_count("c", "t") == 5
        event_queue.ack("c", "t", cursors[1])
        assert event_queue.get_cursor("c", "t") == cursors[1]
        assert event_queue.unread_count("c", "t") == 3
        event_queue.ack("c", "t", cursors[4])
        assert event_queue.unread_count("c", "t") == 0
        event_queue.publish("t", 5)
        assert event_queue.unread_count("c", "t") == 1

    def test_each_consumer_s_lag(self, event_queue: EventQueue) -> None:
        event_queue.ack("c", "nothing yet", event_queue.last_cursor("nothing yet"))
        assert event_queue.lags() == []
        for topic in ("t", "T"):
            cursors = publish(event_queue, topic, 3)
            event_queue.ack("c", topic, cursors[0])
            event_queue.ack("C", topic, cursors[2])
        found = [(lag.topic, lag.consumer, lag.unread) for lag in event_queue.lags()]
        assert found == [("T", "C", 0), ("T", "c", 2), ("t", "C", 0), ("t", "c", 2)]
        assert all(abs(lag.seen_at - now()) < timedelta(hours=1) for lag in event_queue.lags())

    def test_it_never_moves_back(self, event_queue: EventQueue) -> None:
        cursors = publish(event_queue, "t", 5)
        event_queue.ack("c", "t", cursors[3])
        event_queue.ack("c", "t", cursors[1])
        assert event_queue.get_cursor("c", "t") == cursors[3]

    def test_consumers_and_topics_are_told_apart(self, event_queue: EventQueue) -> None:
        cursors = publish(event_queue, "t", 3)
        publish(event_queue, "T", 3)
        event_queue.ack("c", "t", cursors[0])
        event_queue.ack("C", "t", cursors[1])
        event_queue.ack("c ", "t", cursors[2])
        assert [event_queue.get_cursor(name, "t") for name in ("c", "C", "c ", "d")] == [*cursors, None]
        assert event_queue.get_cursor("c", "T") is None

    def test_a_topic_without_entries_has_none_unread(self, event_queue: EventQueue) -> None:
        assert event_queue.unread_count("c", "t") == 0
        event_queue.ack("c", "t", event_queue.last_cursor("t"))
        publish(event_queue, "t", 2)
        assert event_queue.unread_count("c", "t") == 2

    def test_a_cursor_that_was_not_given_is_refused(self, event_queue: EventQueue) -> None:
        publish(event_queue, "t", 2)
        later = publish(event_queue, "longer", 3)[-1]
        for topic in ("t", "unheard of"):
            with pytest.raises(InvalidRecord) as refused:
                event_queue.ack("c", topic, later)
            assert refused.value.field == "cursor"
            assert event_queue.get_cursor("c", topic) is None
            with pytest.raises(InvalidRecord) as refused:
                event_queue.recover(topic, later)
            assert refused.value.field == "after"

    def test_threads_never_move_it_back(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed
        cursors = publish(queue, "t", 80)

        def acknowledge(number: int) -> list[str]:
            mine = cursors[number::4]
            random.Random(number).shuffle(mine)  # noqa: S311
            seen: list[str] = []
            for cursor in mine:
                queue.ack("c", "t", cursor)
                seen.append(queue.get_cursor("c", "t") or "")
            queue.close()
            return seen

        with ThreadPoolExecutor(4) as pool:
            for seen in pool.map(acknowledge, range(4)):
                assert seen == sorted(seen)
        assert queue.get_cursor("c", "t") == cursors[-1]
