"""How long entries are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from ...exceptions import CursorExpired, InvalidRecord
from ...queues.base import EventQueue
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
