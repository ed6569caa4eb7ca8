"""How long entries are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ...exceptions import CursorExpired, InvalidRecord
from ...queues.base import EventQueue
from ...queues.memory import MemoryQueue
from ..conformance.helpers import case
from .helpers import Clock, events, publish


class RetentionContract:
    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        return Clock(monkeypatch)

    def test_a_day_is_kept(self, event_queue: EventQueue, clock: Clock) -> None:
        publish(event_queue, "t", 3)
        publish(event_queue, "quiet", 1)
        clock.move(hours=23)
        publish(event_queue, "t", 2, first=3)
        assert event_queue.cleanup() == 0
        clock.move(hours=1, seconds=1)
        assert event_queue.cleanup() == 4
        assert events(event_queue.recover("t")) == [3, 4]
        assert event_queue.recover("quiet") == []
        assert event_queue.cleanup() == 0

    def test_another_age(self, event_queue: EventQueue, clock: Clock) -> None:
        publish(event_queue, "t", 2)
        clock.move(minutes=10)
        publish(event_queue, "t", 1, first=2)
        assert event_queue.cleanup(older_than=timedelta(minutes=11)) == 0
        assert event_queue.cleanup(older_than=timedelta(minutes=9)) == 2
        clock.move(hours=100)
        assert event_queue.cleanup(older_than=timedelta(hours=101)) == 0
        assert events(event_queue.recover("t")) == [2]

    def test_a_cursor_before_what_was_removed_has_expired(self, event_queue: EventQueue, clock: Clock) -> None:
        start = event_queue.last_cursor("t")
        cursors = publish(event_queue, "t", 3)
        clock.move(hours=25)
        cursors += publish(event_queue, "t", 2, first=3)
        event_queue.cleanup()
        for cursor in (start, *cursors[:2]):
            with pytest.raises(CursorExpired):
                event_queue.recover("t", cursor)
        # what was removed came before these
        assert events(event_queue.recover("t", cursors[2])) == [3, 4]
        assert events(event_queue.recover("t", cursors[3])) == [4]
        assert event_queue.recover("t", cursors[4]) == []
        clock.move(hours=25)
        event_queue.cleanup()
        with pytest.raises(CursorExpired):
            event_queue.recover("t", cursors[3])
        assert event_queue.recover("t", cursors[4]) == []

    def test_a_key_is_known_as_long_as_its_entry_is_kept(self, event_queue: EventQueue, clock: Clock) -> None:
        first = event_queue.publish("t", 1, key="one")
        clock.move(hours=23)
        event_queue.cleanup()
        assert event_queue.publish("t", 1, key="one") == first
        clock.move(hours=2)
        event_queue.cleanup()
        second = event_queue.publish("t", 2, key="one")
        assert second > first
        assert events(event_queue.recover("t", first)) == [2]

    def test_cursors_go_on_when_all_is_gone(self, event_queue: EventQueue, clock: Clock) -> None:
        first = publish(event_queue, "t", 3)
        clock.move(hours=25)
        event_queue.cleanup()
        assert event_queue.last_cursor("t") == first[-1]
        clock.move(hours=-50)
        assert event_queue.publish("t", 3) > first[-1]
        assert events(event_queue.recover("t", first[-1])) == [3]

    def test_a_live_consumer_holds_back_what_it_has_not_acknowledged(
        self, event_queue: EventQueue, clock: Clock
    ) -> None:
        cursors = publish(event_queue, "t", 4)
        publish(event_queue, "other", 1)
        clock.move(hours=20)
        event_queue.ack("slow", "t", cursors[1])
        event_queue.ack("quick", "t", cursors[3])
        clock.move(hours=5)
        assert event_queue.cleanup() == 3
        assert events(event_queue.recover("t")) == [2, 3]
        assert event_queue.unread_count("slow", "t") == 2
        event_queue.ack("slow", "t", cursors[2])
        assert event_queue.cleanup() == 1
        assert events(event_queue.recover("t", event_queue.get_cursor("slow", "t"))) == [3]

    def test_a_silent_consumer_holds_nothing_back(self, event_queue: EventQueue, clock: Clock) -> None:
        cursors = publish(event_queue, "t", 4)
        event_queue.ack("c", "t", cursors[1])
        clock.move(hours=24, seconds=1)
        assert event_queue.cleanup() == 4
        assert event_queue.get_cursor("c", "t") == cursors[1]
        assert event_queue.unread_count("c", "t") == 0
        with pytest.raises(CursorExpired):
            event_queue.recover("t", cursors[1])

    def test_any_acknowledgement_is_a_sign_of_life(self, event_queue: EventQueue, clock: Clock) -> None:
        cursors = publish(event_queue, "t", 4)
        event_queue.ack("c", "t", cursors[1])
        clock.move(hours=20)
        event_queue.ack("c", "t", cursors[0])
        clock.move(hours=20)
        assert event_queue.cleanup() == 2
        assert events(event_queue.recover("t")) == [2, 3]

    def test_after_two_days_no_consumer_holds_anything_back(self, event_queue: EventQueue, clock: Clock) -> None:
        cursors = publish(event_queue, "t", 2)
        for _ in range(3):
            event_queue.ack("c", "t", cursors[0])
            clock.move(hours=15)
        publish(event_queue, "t", 1, first=2)
        clock.move(hours=2)
        event_queue.ack("c", "t", cursors[0])
        assert event_queue.cleanup() == 1
        clock.move(hours=1, seconds=1)
        assert event_queue.cleanup() == 1
        assert events(event_queue.recover("t")) == [2]

    def test_a_thousand_at_most_are_recovered_and_more_removed(self, event_queue: EventQueue, clock: Clock) -> None:
        cursors = publish(event_queue, "t", 1100)
        assert events(event_queue.recover("t")) == list(range(1000))
        clock.move(hours=25)
        event_queue.ack("c", "t", cursors[1049])
        assert event_queue.cleanup() == 1050
        assert events(event_queue.recover("t")) == list(range(1050, 1100))

    def test_while_the_clock_was_back(self, event_queue: EventQueue, clock: Clock) -> None:
        """An entry that seems old stands after one that is not: it stays as long as that."""
        publish(event_queue, "t", 1)
        clock.move(hours=-30)
        publish(event_queue, "t", 1, first=1)
        clock.move(hours=31)
        assert event_queue.cleanup() == 0
        assert events(event_queue.recover("t")) == [0, 1]
        clock.move(hours=24)
        assert event_queue.cleanup() == 2

    def test_what_is_no_age(self, event_queue: EventQueue) -> None:
        for age in (1, None, "1h", timedelta(seconds=-1)):
            with case(age), pytest.raises(InvalidRecord) as refused:
                event_queue.cleanup(older_than=age)
            assert refused.value.field == "older_than"

    def test_what_is_kept_can_be_loaded_elsewhere(self, event_queue: EventQueue, clock: Clock) -> None:
        """Against: other cursors, by which consumers would miss entries or see them twice."""
        publish(event_queue, "t", 4)
        clock.move(days=3)
        event_queue.cleanup()
        event_queue.publish("t", 4, user_id="u", key="k")
        cursors = publish(event_queue, "t", 4, 5)
        event_queue.ack("c", "t", cursors[1])
        other = MemoryQueue()
        after: str | None = None
        while True:
            part = event_queue.kept("t", after, limit=2)
            assert other.load(part) == len(part.entries)
            if not part.entries:
                break
            after = part.entries[-1].cursor
        assert other.topics() == ["t"]
        assert other.recover("t") == event_queue.recover("t")
        assert other.get_cursor("c", "t") == cursors[1]
        for queue in (other, event_queue):
            with pytest.raises(CursorExpired):
                queue.recover("t", "0" * 16)

        expected = other.kept("t")
        whole = replace(expected, topic="copy", entries=[replace(entry, topic="copy") for entry in expected.entries])
        first = replace(whole, entries=whole.entries[:2])
        event_queue.publish("copy", "older")
        assert [event_queue.load(each) for each in (first, first, whole)] == [2, 0, 3]
        assert event_queue.topics() == ["copy", "t"]
        assert events(event_queue.recover("copy")) == [4, 5, 6, 7, 8]
        assert [entry.created_at for entry in event_queue.recover("copy")] == [
            each.created_at for each in whole.entries
        ]
        assert event_queue.get_cursor("c", "copy") == cursors[1]
        assert event_queue.publish("copy", 4, user_id="u", key="k") == whole.entries[0].cursor
        assert event_queue.publish("copy", 9) > cursors[-1]
        with pytest.raises(InvalidRecord, match="entries"):
            event_queue.load(replace(whole, topic="gap", base="0" * 16))


class ErasureContract:
    def test_what_names_a_user_is_emptied_and_keeps_its_cursor(self, event_queue: EventQueue) -> None:
        first = event_queue.publish("t", {"by": "ann"}, user_id="ann", key="ann's")
        other = event_queue.publish("t", {"by": "ben"}, user_id="ben", key="ben's")
        event_queue.publish("u", "ann", user_id="ann")
        event_queue.ack("reader", "t", first)
        found = event_queue.list_user_entries("ann")
        assert [(entry.topic, entry.event) for entry in found] == [("t", {"by": "ann"}), ("u", "ann")]
        kept = event_queue.recover("t", first)
        assert event_queue.erase_user("ann", but=["t"]) == 1
        assert event_queue.list_user_entries("ann") == found[:1]
        assert event_queue.erase_user("ann") == 1
        assert event_queue.list_user_entries("ann") == []
        emptied = event_queue.recover("t")[0]
        assert (emptied.cursor, emptied.event, emptied.user_id) == (first, None, "")
        assert emptied.created_at == found[0].created_at
        assert event_queue.recover("t", first) == kept
        assert event_queue.publish("t", {"by": "ben"}, user_id="ben", key="ben's") == other
        assert event_queue.publish("t", {"by": "ann"}, user_id="ann", key="ann's") > other
        assert event_queue.unread_count("reader", "t") == 2
        assert event_queue.erase_user("nobody") == 0

    def test_a_topic_can_be_removed_without_a_trace(self, event_queue: EventQueue) -> None:
        cursors = publish(event_queue, "t", 3)
        publish(event_queue, "other", 1)
        event_queue.ack("reader", "t", cursors[1])
        assert (event_queue.erase_topic("t"), event_queue.erase_topic("t")) == (3, 0)
        assert event_queue.recover("t") == []
        assert event_queue.get_cursor("reader", "t") is None
        assert publish(event_queue, "t", 1) == cursors[:1]
        assert events(event_queue.recover("other")) == [0]
