"""Publishing, and reading what was published."""

from __future__ import annotations

from datetime import UTC

import pytest

from ... import records
from ...queues.base import EventQueue
from ..conformance.helpers import exactly
from .helpers import Clock, events, publish


class PublishContract:
    def test_what_is_published_is_there(self, event_queue: EventQueue) -> None:
        before = records.now()
        cursor = event_queue.publish("t", {"b": [1.0, None], "a": "é"}, user_id="ada")
        [entry] = event_queue.recover("t")
        assert (entry.cursor, entry.topic, entry.user_id) == (cursor, "t", "ada")
        assert exactly(entry.event) == exactly({"b": [1.0, None], "a": "é"})
        assert entry.created_at is not None
        assert entry.created_at.tzinfo is UTC
        assert before <= entry.created_at <= records.now()

    def test_any_json_is_an_event(self, event_queue: EventQueue) -> None:
        given = [None, "", 0, False, [], {}, "text", 1.5, -(2**63), {"": {}}, "l" * 100_000]
        for event in given:
            event_queue.publish("t", event)
        assert exactly(events(event_queue.recover("t"))) == exactly(given)

    def test_the_caller_s_event_stays_as_it_is(self, event_queue: EventQueue) -> None:
        event = {"list": [1]}
        event_queue.publish("t", event)
        [entry] = event_queue.recover("t")
        entry.event["list"].append(2)
        assert event == {"list": [1]}
        assert events(event_queue.recover("t")) == [event]

    def test_cursors_sort_in_the_order_of_publishing(
        self, event_queue: EventQueue, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock(monkeypatch)
        cursors = [event_queue.last_cursor("t")]
        for number in range(120):
            clock.move(hours=-1 if number % 2 else 0.5)
            cursors.append(event_queue.publish("t", number))
            assert event_queue.last_cursor("t") == cursors[-1]
        assert sorted(set(cursors), key=str.encode) == cursors
        assert len({len(cursor) for cursor in cursors}) == 1
        assert [entry.cursor for entry in event_queue.recover("t")] == cursors[1:]

    def test_topics_are_told_apart_bytewise(self, event_queue: EventQueue) -> None:
        topics = ["t", "T", "t ", "é", "e\u0301", "a:b", "a", "%", "_", "1", "01"]
        for topic in topics:
            event_queue.publish(topic, topic)
        for topic in topics:
            assert events(event_queue.recover(topic)) == [topic]

    def test_the_topic_of_the_longest_session_id_is_one(self, event_queue: EventQueue) -> None:
        topic = "session:" + "\N{SLIGHTLY SMILING FACE}" * 255
        event_queue.publish(topic, 1)
        assert events(event_queue.recover(topic)) == [1]

    def test_recovery_goes_on_behind_a_cursor(self, event_queue: EventQueue) -> None:
        cursors = publish(event_queue, "t", 10)
        publish(event_queue, "other", 3)
        assert events(event_queue.recover("t")) == list(range(10))
        assert events(event_queue.recover("t", cursors[3])) == list(range(4, 10))
        assert events(event_queue.recover("t", cursors[3], limit=2)) == [4, 5]
        assert events(event_queue.recover("t", limit=2)) == [0, 1]
        assert event_queue.recover("t", cursors[-1]) == []
        assert event_queue.recover("t", limit=0) == event_queue.recover("t", cursors[0], 0) == []
        assert len(event_queue.recover("t", limit=None)) == 10
        assert event_queue.recover("unheard of") == []
        assert event_queue.recover("unheard of", event_queue.last_cursor("unheard of")) == []

    def test_recovery_gives_a_thousand_at_most(self, event_queue: EventQueue) -> None:
        publish(event_queue, "t", 1001)
        assert events(event_queue.recover("t")) == list(range(1000))
