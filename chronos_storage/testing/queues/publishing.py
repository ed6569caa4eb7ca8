"""Publishing, and reading what was published."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from typing import Any

import pytest

from ... import records
from ...exceptions import AlreadyExists
from ...queues.base import EventQueue
from ..conformance.helpers import case, exactly
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

    def test_a_repeat_under_a_key_finds_its_own(self, event_queue: EventQueue) -> None:
        first = event_queue.publish("t", {"a": 1, "b": [1.0]}, user_id="ada", key="one")
        other = event_queue.publish("t", {"a": 1, "b": [1.0]}, user_id="ada", key="two")
        assert event_queue.publish("t", {"b": [1.0], "a": 1}, user_id="ada", key="one") == first
        assert event_queue.publish("t", {"a": 1, "b": [1.0]}, user_id="ada", key="two") == other
        assert [entry.cursor for entry in event_queue.recover("t")] == [first, other]
        assert type(event_queue.recover("t")[0]) is records.QueueEntry

    def test_a_key_is_of_one_event_and_user(self, event_queue: EventQueue) -> None:
        event_queue.publish("t", 1, user_id="ada", key="one")
        different: list[tuple[Any, str]] = [(True, "ada"), (1.0, "ada"), (None, "ada"), (1, "bob"), (1, "")]
        for event, user_id in different:
            with case(event, user_id), pytest.raises(AlreadyExists, match="'one'"):
                event_queue.publish("t", event, user_id=user_id, key="one")
        assert events(event_queue.recover("t")) == [1]
        event_queue.publish("t", 2)  # what was refused has used no number, and left the caller's transaction usable
        assert len({entry.cursor for entry in event_queue.recover("t")}) == event_queue.unread_count("c", "t") == 2

    def test_a_key_is_of_one_topic_and_told_apart_bytewise(self, event_queue: EventQueue) -> None:
        keys = ["k", "K", "k ", "é", "e\u0301", "1", "01", "\N{SLIGHTLY SMILING FACE}" * 255]
        for topic in ("t", "session:" + "\N{SLIGHTLY SMILING FACE}" * 255):
            for key in keys:
                event_queue.publish(topic, key, key=key)
            assert events(event_queue.recover(topic)) == keys

    def test_without_a_key_each_call_publishes(self, event_queue: EventQueue, monkeypatch: pytest.MonkeyPatch) -> None:
        now = records.now()
        monkeypatch.setattr(records, "now", lambda: now)
        assert event_queue.publish("t", 1) != event_queue.publish("t", 1)
        assert events(event_queue.recover("t")) == [1, 1]

    def test_repeats_at_the_same_time_publish_once(self, event_queue_committed: EventQueue) -> None:
        queue = event_queue_committed

        def repeat(number: int) -> list[str]:
            cursors = [queue.publish("t", turn, key=f"{turn}") for turn in range(10)]
            queue.close()
            return cursors

        with ThreadPoolExecutor(4) as pool:
            first, *others = pool.map(repeat, range(4))
        assert others == [first] * 3
        assert [entry.cursor for entry in queue.recover("t")] == first

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
