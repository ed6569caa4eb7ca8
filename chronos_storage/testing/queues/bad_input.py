"""What is refused, and how."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ...exceptions import InvalidRecord
from ...queues.base import EventQueue
from ..conformance.helpers import case
from ..conformance.plain import check_plain, odd
from .helpers import publish

NO_STRINGS: list[Any] = [None, 1, b"t", ["t"], "a\x00b", "a\ud800"]
NO_CURSORS: list[Any] = [1, b"0", "", "0", "x", "00000000000000001", "000000000000000G", " 000000000000001", "f" * 16]


def refused(field: str, call: Any, *arguments: Any, **named: Any) -> None:
    with pytest.raises(InvalidRecord) as caught:
        call(*arguments, **named)
    assert caught.value.field.split(".")[0].split("[")[0] == field
    assert caught.value.problem


class BadQueueInputContract:
    def test_topics(self, event_queue: EventQueue) -> None:
        cursor = event_queue.last_cursor("t")
        for topic in [*NO_STRINGS, "", "t" * 264]:
            with case(topic):
                refused("topic", event_queue.publish, topic, {})
                refused("topic", event_queue.subscribe, topic, print)
                refused("topic", event_queue.stream, topic)
                refused("topic", event_queue.ack, "c", topic, cursor)
                refused("topic", event_queue.get_cursor, "c", topic)
                refused("topic", event_queue.recover, topic)
                refused("topic", event_queue.last_cursor, topic)
                refused("topic", event_queue.unread_count, "c", topic)

    def test_consumers(self, event_queue: EventQueue) -> None:
        for consumer in [*NO_STRINGS, "", "c" * 256]:
            with case(consumer):
                refused("consumer", event_queue.ack, consumer, "t", event_queue.last_cursor("t"))
                refused("consumer", event_queue.get_cursor, consumer, "t")
                refused("consumer", event_queue.unread_count, consumer, "t")
        for ask in (event_queue.get_cursor, event_queue.unread_count):
            refused("consumer", ask, "", "")  # the first that is wrong is named

    def test_cursors(self, event_queue: EventQueue) -> None:
        publish(event_queue, "t", 1)
        for cursor in NO_CURSORS:
            with case(cursor):
                refused("after", event_queue.recover, "t", cursor)
                refused("after", event_queue.stream, "t", cursor)
                refused("cursor", event_queue.ack, "c", "t", cursor)
        refused("cursor", event_queue.ack, "c", "t", None)

    def test_the_largest_limits_and_ages(self, event_queue: EventQueue) -> None:
        first, second = publish(event_queue, "t", 2)
        assert [entry.cursor for entry in event_queue.recover("t", first, limit=2**63 - 1)] == [second]
        assert event_queue.recover_page("t", limit=2**63 - 1)[1] is False
        for limit in (2**63, -1, "1", None):
            refused("limit", event_queue.recover_page, "t", limit=limit)
        refused("limit", event_queue.recover, "t", limit=2**63)
        assert event_queue.cleanup(older_than=timedelta.max) == 0
        refused("older_than", event_queue.cleanup, older_than=timedelta.min)
        refused("older_than", event_queue.cleanup, older_than=None)

    def test_subclasses_of_plain_types(self, event_queue: EventQueue) -> None:
        topic, consumer = odd("t"), odd("c")
        cursor = event_queue.publish(topic, odd({"n": [1, 1.5]}), user_id=odd("u"), key=odd("k"))
        [entry] = event_queue.recover(topic, limit=odd(1))
        check_plain([entry.cursor, entry.topic, entry.event, entry.user_id])
        assert (entry.cursor, entry.topic, entry.event, entry.user_id) == (cursor, "t", {"n": [1, 1.5]}, "u")
        event_queue.ack(consumer, topic, odd(cursor))
        assert event_queue.get_cursor("c", "t") == event_queue.get_cursor(consumer, topic) == cursor
        assert event_queue.unread_count(consumer, topic) == 0
        assert event_queue.recover(topic, odd(cursor)) == []

    def test_events(self, event_queue: EventQueue) -> None:
        wrong: list[Any] = [float("nan"), 2**63, {1: 2}, {"a": {"b": object()}}, ["\ud800"], b"", timedelta(1), (1,)]
        for event in [*wrong, "l" * 5_000_000]:
            with case(event):
                refused("event", event_queue.publish, "t", event)
        assert event_queue.recover("t") == []

    def test_deeply_nested_events(self, event_queue: EventQueue) -> None:
        event: Any = 1
        for _ in range(100):
            event = [event]
        event_queue.publish("t", event)
        refused("event", event_queue.publish, "t", [event])

    def test_keys(self, event_queue: EventQueue) -> None:
        for key in (*NO_STRINGS[1:], "", "k" * 256):
            with case(key):
                refused("key", event_queue.publish, "t", {}, key=key)
        assert event_queue.recover("t") == []

    def test_users_limits_and_handlers(self, event_queue: EventQueue) -> None:
        for user_id in (None, 1, "u" * 256, "\x00"):
            with case(user_id):
                refused("user_id", event_queue.publish, "t", {}, user_id=user_id)
        for limit in (-1, 1.5, "1", True):
            with case(limit):
                refused("limit", event_queue.recover, "t", limit=limit)
        refused("handler", event_queue.subscribe, "t", None)
