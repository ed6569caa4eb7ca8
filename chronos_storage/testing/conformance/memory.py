"""Memory: one record a natural key, which moves, expires, and is found by the start of its key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from ...exceptions import AlreadyExists, InvalidRecord
from ...facade import Storage
from ...records import MemoryRecord
from .helpers import case, cases, column, everything
from .samples import at

PLACE = {"agent_id": "agent", "user_id": "user", "session_id": "s", "kind": "long_term", "key": "key"}
PAST = datetime(2000, 1, 1, tzinfo=UTC)
FUTURE = datetime(9000, 1, 1, tzinfo=UTC)


def put(storage: Storage, value: Any = None, **fields: Any) -> MemoryRecord:
    return storage.put_memory(MemoryRecord(value=value, **{"agent_id": "agent", "key": "key"} | fields))


#: Beginnings of keys, and the keys that begin so.
PREFIXES = {
    "a": ["a%b", "a_b", "a\\b", "axb", "a", "a*"],
    "a%": ["a%b"],
    "a_": ["a_b"],
    "a\\": ["a\\b"],
    "a*": ["a*"],
    "A": ["A%b"],
    "%": [],
    "_": [],
    "\u00e9": ["\u00e9t\u00e9"],
    "e\u0301": ["e\u0301te\u0301"],
    "e": ["e\u0301te\u0301"],
    "\U0001f642": ["\U0001f642 happy"],
    "\U0001f643": [],
    "\U0010ffff": ["\U0010ffff", "\U0010ffff!"],
    "a ": [],
    " ": [],
    "'": ["' OR 1=1"],
    "1": ["1e5", "100000"],
    "1e5": ["1e5"],
}


class MemoryContract:
    def test_a_key_put_again_keeps_its_row(self, storage: Storage) -> None:
        first = put(storage, {"v": 1}, **PLACE, created_at=at(1))
        again = put(storage, {"v": 2}, **PLACE, expires_at=FUTURE)
        assert (again.id, again.created_at) == (first.id, at(1))
        assert (again.value, again.expires_at) == ({"v": 2}, FUTURE)
        assert again.updated_at > first.updated_at
        assert put(storage, {"v": 3}, **PLACE, id="an id of its own").id == first.id
        assert column(storage.list_memory("agent"), "value") == [{"v": 3}]
        assert put(storage, **PLACE).expires_at is None

    def test_several_are_put_at_once(self, storage: Storage) -> None:
        known = [put(storage, key, key=key) for key in ("a", "b", "c")]
        given = [
            MemoryRecord(agent_id="agent", key="new", value=1),
            MemoryRecord(agent_id="agent", key="a", value=2),
            MemoryRecord(id=known[1].id, agent_id="agent", key="moved", value=3),
            MemoryRecord(id=known[2].id, agent_id="agent", key="c", value=4),
            MemoryRecord(id="own", agent_id="agent", key="b", value=5),
        ]
        stored = storage.put_memories(iter(given))
        assert column(stored, "value") == [1, 2, 3, 4, 5]
        assert column(stored, "key") == column(given, "key")
        assert column(stored[1:], "id") == [*column(known, "id"), "own"]
        assert column(stored, "created_at")[1:4] == column(known, "created_at")
        assert stored.new == column(stored, "id")
        assert sorted(storage.scan("memory"), key=lambda record: record.value) == stored
        assert column(given, "id")[:2] == ["", ""]
        assert storage.put_memories([]) == []

    def test_of_those_put_at_once_one_takes_the_place_that_another_leaves(self, storage: Storage) -> None:
        known = put(storage, 1, key="a")
        given = [MemoryRecord(agent_id="agent", key="a"), MemoryRecord(id=known.id, agent_id="agent", key="b")]
        stored = storage.put_memories(given)
        assert column(stored, "key") == ["a", "b"]
        assert stored[1].id == known.id != stored[0].id

    def test_of_a_key_put_twice_at_once_the_last_wins(self, storage: Storage) -> None:
        stored = storage.put_memories(
            MemoryRecord(agent_id="agent", key=key, value=value) for key, value in (("k", 1), ("l", 2), ("k", 3))
        )
        assert column(stored, "value") == [3, 2, 3]
        assert sorted(stored.new) == column(storage.scan("memory"), "id")

    def test_one_that_cannot_be_put_keeps_all_out(self, storage: Storage) -> None:
        a, b = (put(storage, key, key=key) for key in ("a", "b"))
        before = everything(storage)
        fresh = MemoryRecord(agent_id="agent", key="c")
        with pytest.raises(AlreadyExists):
            storage.put_memories([fresh, MemoryRecord(id=a.id, agent_id="agent", key=b.key)])
        with pytest.raises(InvalidRecord):
            storage.put_memories([fresh, *(MemoryRecord(id="i", agent_id="agent", key=key) for key in "de")])
        assert everything(storage) == before

    def test_every_part_of_the_key_tells_records_apart(self, storage: Storage) -> None:
        """Against: memory keys leaking between kinds, sessions or users."""
        for part, other in cases(product(PLACE, ("", "other", "KEY"))):
            with case(part, other):
                one = put(storage, "one", **PLACE)
                place = PLACE | {part: other}
                two = put(storage, "two", **place)
                assert one.id != two.id
                for record, where in ((one, PLACE), (two, place)):
                    assert storage.get_memory(**where) == record
                    filters = {name: where[name] for name in ("kind", "user_id", "session_id")}
                    assert record in storage.list_memory(where["agent_id"], prefix=where["key"], **filters)
                assert storage.delete_memory(one.id) is True
                assert storage.get_memory(**place) == two
                assert storage.get_memory(**PLACE) is None
                assert storage.delete_memory(two.id) is True

    def test_parts_do_not_run_into_each_other(self, storage: Storage) -> None:
        """Against: ids with ``:`` ``/`` colliding."""
        places = [
            {"agent_id": "a", "user_id": "b:c"},
            {"agent_id": "a:b", "user_id": "c"},
            {"agent_id": "a", "user_id": "b", "session_id": "c"},
            {"agent_id": "a", "user_id": "b", "kind": "c"},
            {"agent_id": "a", "session_id": "b", "kind": "c"},
            {"agent_id": "a\x1fb", "session_id": "c"},
            {"agent_id": 'a","b', "session_id": "c"},
            {"agent_id": "a", "session_id": 'b","c'},
        ]
        stored = [put(storage, number, **place) for number, place in enumerate(places)]
        assert len({record.id for record in stored}) == len(places)
        assert column(storage.scan("memory"), "id") == sorted(column(stored, "id"))

    def test_the_most_recently_updated_is_found(self, storage: Storage) -> None:
        for user, value in (("u1", 1), ("u2", 2), ("", 3), ("u1", 4)):
            put(storage, value, user_id=user)
            assert storage.get_memory("agent", "key").value == value
        assert column(storage.list_memory("agent"), "value") == [4, 3, 2]

    def test_none_is_any_and_empty_is_none(self, storage: Storage) -> None:
        """Against: memory keys leaking between kinds, sessions or users."""
        put(storage, "nobody's")
        put(storage, "somebody's", user_id="u", session_id="s", kind="k")
        for name in ("user_id", "session_id", "kind"):
            assert storage.get_memory("agent", "key", **{name: ""}).value == "nobody's"
            assert column(storage.list_memory("agent", **{name: ""}), "value") == ["nobody's"]
        assert storage.get_memory("agent", "key", user_id=None).value == "somebody's"
        assert storage.get_memory("agent", "key", user_id="other") is None

    def test_an_expired_record_is_not_there(self, storage: Storage) -> None:
        put(storage, "old", kind="short_term", expires_at=FUTURE)
        put(storage, "expired", kind="long_term", expires_at=PAST)
        assert storage.get_memory("agent", "key").value == "old"
        assert storage.get_memory("agent", "key", kind="long_term") is None
        assert column(storage.list_memory("agent"), "value") == ["old"]
        assert column(storage.iter_memory("agent"), "value") == ["old"]
        assert sorted(column(storage.scan("memory"), "value")) == ["expired", "old"]

    def test_it_expires_by_itself(self, storage: Storage) -> None:
        put(storage, expires_at=datetime.now(UTC) + timedelta(hours=1))
        assert storage.get_memory("agent", "key") is not None
        put(storage, expires_at=datetime.now(UTC) - timedelta(microseconds=1))
        assert storage.get_memory("agent", "key") is None

    def test_an_expired_record_put_again_is_there_again(self, storage: Storage) -> None:
        expired = put(storage, "expired", expires_at=PAST)
        assert put(storage, "new").id == expired.id
        assert column(storage.list_memory("agent"), "value") == ["new"]

    def test_an_id_with_another_key_moves_there(self, storage: Storage) -> None:
        """Against: stale index entries after a rename."""
        first = put(storage, "there", **PLACE)
        for part in PLACE:
            place = PLACE | {part: "moved"}
            moved = put(storage, "here", **place, id=first.id)
            assert (moved.id, moved.created_at) == (first.id, first.created_at)
            assert storage.get_memory(**PLACE) is None
            assert storage.get_memory(**place) == moved
            assert storage.list_memory("agent", prefix="key", user_id="user", session_id="s", kind="long_term") == []
            assert len(list(storage.scan("memory"))) == 1
            put(storage, "there", **PLACE, id=first.id)

    def test_the_place_left_behind_is_free(self, storage: Storage) -> None:
        first = put(storage, "first", key="a")
        put(storage, "first", key="b", id=first.id)
        second = put(storage, "second", key="a")
        assert second.id != first.id
        assert column(storage.list_memory("agent"), "key") == ["a", "b"]

    def test_a_place_that_is_taken_stays_taken(self, storage: Storage) -> None:
        put(storage, "a", key="a", id="1")
        put(storage, "b", key="b", id="2")
        before = everything(storage)
        with pytest.raises(AlreadyExists, match=r"memory .1. .*natural key"):
            put(storage, "moved", key="b", id="1")
        assert everything(storage) == before

    def test_a_prefix_is_the_start_of_the_key_and_no_pattern(self, storage: Storage) -> None:
        keys = ["a%b", "a_b", "a\\b", "axb", "A%b", "a", "a*", "\u00e9t\u00e9", "e\u0301te\u0301", "\U0001f642 happy"]
        for key in [*keys, "\U0010ffff", "\U0010ffff!", "' OR 1=1", "1e5", "100000", "x%y"]:
            put(storage, key=key)
        for prefix, found in PREFIXES.items():
            with case(prefix):
                assert sorted(column(storage.list_memory("agent", prefix=prefix), "key")) == sorted(found)
                assert sorted(column(storage.iter_memory("agent", prefix=prefix), "key")) == sorted(found)

    def test_an_empty_prefix_is_every_key(self, storage: Storage) -> None:
        for key in ("a", "", "\U0010ffff"):
            put(storage, key=key)
        assert column(storage.list_memory("agent", prefix=""), "key") == ["\U0010ffff", "", "a"]

    def test_several_keys_are_found_at_once(self, storage: Storage) -> None:
        for key in ("a", "b", "B", "c"):
            put(storage, key=key)
        put(storage, key="a", session_id="other")
        assert column(storage.list_memory("agent", keys=["b", "a", "none", "b"], session_id=""), "key") == ["b", "a"]
        assert storage.list_memory("agent", keys=[]) == []

    def test_deleting_says_whether_it_was_there(self, storage: Storage) -> None:
        record = put(storage)
        assert storage.delete_memory("nothing") is False
        assert storage.delete_memory(record.id) is True
        assert storage.delete_memory(record.id) is False
        assert storage.get_memory("agent", "key") is None
        assert put(storage).id != record.id
