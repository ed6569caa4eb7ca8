"""Events: the append-only ledger, numbered 1, 2, 3 … without gap or repeat."""

from __future__ import annotations

from typing import Any

import pytest

from ...exceptions import InvalidRecord, NotFound, SequenceConflict
from ...facade import Storage
from ...records import Event
from .helpers import case, column, everything, open_session
from .samples import at


def append(storage: Storage, count: int, session_id: str = "s", **fields: Any) -> list[Event]:
    return storage.append_events([Event(session_id=session_id, payload=number, **fields) for number in range(count)])


class EventContract:
    def test_numbers_begin_at_one_in_every_session(self, storage: Storage) -> None:
        """Against: sequence numbers computed as a count."""
        open_session(storage, "s1")
        open_session(storage, "s2")
        assert [storage.append_event(Event(session_id="s1")).seq_num for _ in range(3)] == [1, 2, 3]
        assert column(append(storage, 2, "s2"), "seq_num") == [1, 2]
        assert column(append(storage, 2, "s1"), "seq_num") == [4, 5]
        assert storage.last_seq("s1") == storage.count_events("s1") == 5
        assert storage.last_seq("s2") == storage.count_events("s2") == 2

    def test_every_event_has_a_hash_of_its_own(self, storage: Storage) -> None:
        for session_id in ("s1", "s2"):
            open_session(storage, session_id)
            storage.append_event(Event(session_id=session_id, created_at=at(0), id="one"))
            append(storage, 2, session_id, created_at=at(0))
        hashes = column(storage.scan("event"), "hash")
        assert len(set(hashes)) == 6
        assert all(len(text) == 64 and int(text, 16) for text in hashes)

    def test_one_at_a_time_or_in_a_batch_the_chain_is_the_same(self, storage: Storage) -> None:
        given = [Event(id=f"{n}", session_id="s", payload={"n": n}, type="t", created_at=at(n)) for n in range(5)]
        open_session(storage)
        batch = storage.append_events(given)
        storage.delete_session("s", hard=True)
        open_session(storage)
        assert [storage.append_event(event) for event in given] == batch
        assert storage.list_events("s") == batch

    def test_events_of_several_sessions_at_once(self, storage: Storage) -> None:
        open_session(storage, "s1")
        open_session(storage, "s2")
        places = ["s2", "s1", "s2", "s2", "s1"]
        stored = storage.append_events(Event(session_id=session_id, payload=n) for n, session_id in enumerate(places))
        assert column(stored, "session_id") == places
        assert column(stored, "seq_num") == [1, 1, 2, 3, 2]
        assert column(stored, "payload") == [0, 1, 2, 3, 4]
        assert storage.list_events("s2") == [event for event in stored if event.session_id == "s2"]
        assert storage.append_events([]) == []

    def test_the_last_number_as_expected(self, storage: Storage) -> None:
        open_session(storage)
        assert storage.append_event(Event(session_id="s"), expected_seq=0).seq_num == 1
        assert column(storage.append_events([Event(session_id="s")] * 2, expected_seq=1), "seq_num") == [2, 3]
        assert storage.append_event(Event(session_id="s"), expected_seq=3).seq_num == 4
        assert storage.append_event(Event(session_id="s"), expected_seq=None).seq_num == 5

    def test_the_last_number_not_as_expected(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 2)
        before = everything(storage)
        for expected in (0, 1, 3, 99):
            with case(expected):
                with pytest.raises(SequenceConflict) as caught:
                    storage.append_event(Event(session_id="s"), expected_seq=expected)
                assert (caught.value.expected, caught.value.actual) == (expected, 2)
                with pytest.raises(SequenceConflict) as caught:
                    storage.append_events([Event(session_id="s")] * 2, expected_seq=expected)
                assert (caught.value.expected, caught.value.actual) == (expected, 2)
                assert everything(storage) == before

    def test_an_expected_number_and_one_of_its_own_must_both_hold(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 2)
        before = everything(storage)
        for number, expected in ((3, 1), (3, 3), (2, 2), (4, 2), (2, 1), (4, 3)):
            wrong = number - 1 if expected == 2 else expected
            given = Event(session_id="s", seq_num=number)
            for call in (storage.append_event, lambda event, **n: storage.append_events([event], **n)):
                with pytest.raises(SequenceConflict) as caught:
                    call(given, expected_seq=expected)
                assert (caught.value.expected, caught.value.actual) == (wrong, 2)
        assert everything(storage) == before
        assert storage.append_event(Event(session_id="s", seq_num=3), expected_seq=2).seq_num == 3
        both = [Event(session_id="s", seq_num=4), Event(session_id="s", seq_num=5)]
        assert column(storage.append_events(both, expected_seq=3), "seq_num") == [4, 5]

    def test_an_expected_number_is_of_one_session(self, storage: Storage) -> None:
        open_session(storage, "s1")
        open_session(storage, "s2")
        with pytest.raises(ValueError, match="session"):
            storage.append_events([Event(session_id="s1"), Event(session_id="s2")], expected_seq=0)
        assert list(storage.scan("event")) == []

    def test_a_number_of_its_own_must_be_the_next(self, storage: Storage) -> None:
        open_session(storage)
        assert storage.append_event(Event(session_id="s", seq_num=1)).seq_num == 1
        numbered = [Event(session_id="s", seq_num=number) for number in (2, 3, 0)]
        assert column(storage.append_events(numbered), "seq_num") == [2, 3, 4]
        before = everything(storage)
        for wrong in (1, 4, 6):
            with pytest.raises(SequenceConflict) as caught:
                storage.append_event(Event(session_id="s", seq_num=wrong))
            assert (caught.value.expected, caught.value.actual) == (wrong - 1, 4)
        with pytest.raises(SequenceConflict):
            storage.append_events([Event(session_id="s", seq_num=number) for number in (5, 7)])
        assert everything(storage) == before

    def test_all_or_none(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 1)
        wrongs: list[dict[str, Any]] = [{"payload": float("nan")}, {"type": "\x00"}, {"session_id": "unknown"}]
        for number, wrong in enumerate(wrongs, start=2):
            with case(wrong):
                before = everything(storage)
                with pytest.raises((InvalidRecord, NotFound)):
                    storage.append_events(
                        [Event(session_id="s"), Event(**{"session_id": "s"} | wrong), Event(session_id="s")]
                    )
                assert everything(storage) == before
                assert append(storage, 1)[0].seq_num == number

    def test_an_unknown_session_gets_no_events(self, storage: Storage) -> None:
        for unknown in ("nowhere", ""):
            with case(unknown):
                with pytest.raises((NotFound, InvalidRecord)):
                    storage.append_event(Event(session_id=unknown))
                with pytest.raises((NotFound, InvalidRecord)):
                    storage.append_event(Event(session_id=unknown), expected_seq=0)
                assert list(storage.scan("event")) == []

    def test_an_unknown_session_has_no_events(self, storage: Storage) -> None:
        assert storage.get_recent_events("nowhere", 5) == []
        assert storage.count_events("nowhere") == storage.last_seq("nowhere") == 0
        assert storage.get_event("nothing") is None

    def test_events_after_a_number(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 5)
        assert column(storage.list_events("s", 3), "seq_num") == [4, 5]
        assert column(storage.list_events("s", after_seq=1, limit=2), "seq_num") == [2, 3]
        assert column(storage.list_events("s", 0), "seq_num") == [1, 2, 3, 4, 5]
        assert storage.list_events("s", 5) == []
        assert storage.list_events("s", 2**63 - 1) == []

    def test_events_of_some_types(self, storage: Storage) -> None:
        open_session(storage)
        for name in ("a", "b", "a", "c"):
            storage.append_event(Event(session_id="s", type=name))
        assert column(storage.list_events("s", types=["a"], limit=1), "seq_num") == [1]
        assert column(storage.list_events("s", 1, types=["a", "c"]), "seq_num") == [3, 4]
        assert column(storage.iter_events("s", 1, types=["a", "c"]), "seq_num") == [3, 4]

    def test_the_last_few_oldest_first(self, storage: Storage) -> None:
        open_session(storage)
        append(storage, 5)
        for limit, found in ((2, [4, 5]), (5, [1, 2, 3, 4, 5]), (9, [1, 2, 3, 4, 5]), (None, [1, 2, 3, 4, 5]), (0, [])):
            assert column(storage.get_recent_events("s", limit), "seq_num") == found
        with pytest.raises(InvalidRecord):
            storage.get_recent_events("s", -1)

    def test_the_number_is_the_order_whatever_the_clock_said(self, storage: Storage) -> None:
        """Against: "latest" chosen by clock."""
        open_session(storage)
        for timestamp in (9, 1, 5):
            storage.append_event(Event(session_id="s", created_at=at(timestamp)))
        assert column(storage.list_events("s"), "created_at") == [at(9), at(1), at(5)]
        assert storage.get_recent_events("s", 1)[0].created_at == at(5)

    def test_a_large_batch(self, storage: Storage) -> None:
        open_session(storage)
        stored = append(storage, 3_000, type="t")
        assert column(stored, "seq_num") == list(range(1, 3_001))
        assert storage.list_events("s") == stored
        assert storage.verify_events("s").checked == 3_000
