"""Writing again: what is appended may be written a second time under its id, so that a retry is always safe."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from ...exceptions import AlreadyExists
from ...facade import Storage
from ...records import KINDS, Batch, Event, Message, TokenUsage, Trace
from ..writers import write
from .helpers import case, cases, column, everything, open_session, read
from .samples import at, bare, full

APPENDED = ["message", "event", "audit_log", "trace", "checkpoint"]
BATCHED = {"message": "add_messages", "event": "append_events", "trace": "insert_traces"}
#: What can hold other content, by kind.
FIELDS = {"message": "content", "event": "payload", "trace": "output"}
NOT_CONTENT = {"id", "session_id", "seq_num", "hash", "erased"}
PARTS = [
    (kind, field.name)
    for kind in APPENDED
    for field in dataclasses.fields(KINDS[kind])
    if field.name not in NOT_CONTENT
] + [("audit_log", "session_id"), ("trace", "session_id")]


def other(value: Any) -> Any:
    match value:
        case "ok":
            return "error"
        case int() | Decimal():
            return value + 1
        case str():
            return f"{value}!"
        case datetime():
            return value + timedelta(microseconds=1)
        case TokenUsage():
            return dataclasses.replace(value, total_tokens=99)
        case list():
            return [*value, "more"]
        case _:
            return value | {"more": 1}


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


def add(storage: Storage, kind: str, *records: Any) -> Batch[Any]:
    stored: Batch[Any] = getattr(storage, BATCHED[kind])(iter(records))
    return stored


class RetryContract:
    def test_the_same_content_again_gives_what_is_stored(self, storage: Storage) -> None:
        open_session(storage)
        for kind in APPENDED:
            with case(kind):
                stored = write(storage, full(kind))
                before = everything(storage)
                assert write(storage, full(kind)) == stored
                assert write(storage, stored) == stored
                assert everything(storage) == before

    def test_what_is_left_empty_is_not_compared(self, storage: Storage) -> None:
        open_session(storage)
        for kind in APPENDED:
            with case(kind):
                stored = write(storage, full(kind))
                before = everything(storage)
                needed = {"message": {"role": "assistant"}, "checkpoint": {"namespace": "namespace"}}
                given = KINDS[kind](id=stored.id, session_id="s", **needed.get(kind, {}))
                assert write(storage, given) == stored
                assert everything(storage) == before

    def test_other_content_is_refused(self, storage: Storage) -> None:
        open_session(storage)
        for kind in APPENDED:
            write(storage, full(kind))
        before = everything(storage)
        for kind, name in cases(PARTS):
            given = full(kind)
            with case(kind, name), pytest.raises(AlreadyExists):
                write(storage, dataclasses.replace(given, **{name: other(getattr(given, name))}))
        assert everything(storage) == before

    def test_more_than_was_written_is_other_content(self, storage: Storage) -> None:
        open_session(storage)
        for kind in APPENDED:
            with case(kind):
                given = bare(kind, id="id")
                write(storage, given)
                name = {"message": "model", "event": "type", "audit_log": "actor", "trace": "name"}.get(kind, "run_id")
                with pytest.raises(AlreadyExists):
                    write(storage, dataclasses.replace(given, **{name: "now given"}))

    def test_the_order_of_keys_is_not_content(self, storage: Storage) -> None:
        open_session(storage)
        for kind in APPENDED:
            with case(kind):
                name = {"message": "content", "event": "payload", "audit_log": "detail", "trace": "output"}.get(
                    kind, "state"
                )
                given = bare(kind, id="id", **{name: {"b": 1, "a": {"d": [{"f": 2, "e": 3}], "c": 4}}})
                stored = write(storage, given)
                value = reordered(getattr(given, name))
                assert list(value) == ["a", "b"]
                assert write(storage, dataclasses.replace(given, **{name: value})) == stored
                assert list(getattr(read(storage, stored), name)) == ["b", "a"]

    def test_the_type_of_a_number_is_content(self, storage: Storage) -> None:
        open_session(storage)
        storage.append_event(Event(id="id", session_id="s", payload={"n": 1}))
        for again in (1.0, True, "1", [1], None, 0):
            with case(again), pytest.raises(AlreadyExists):
                storage.append_event(Event(id="id", session_id="s", payload={"n": again}))

    def test_whatever_number_comes_with_it(self, storage: Storage) -> None:
        open_session(storage)
        for kind in ("message", "event", "audit_log", "checkpoint"):
            with case(kind):
                stored = [write(storage, bare(kind, id=f"{number}")) for number in (1, 2, 3)]
                for number in (1, 2, 3, 4, 99):
                    assert write(storage, bare(kind, id="2", seq_num=number)) == stored[1]
                assert write(storage, bare(kind, id="4")).seq_num == 4

    def test_whatever_last_number_is_expected(self, storage: Storage) -> None:
        open_session(storage)
        given = [Event(id=f"{number}", session_id="s") for number in (1, 2, 3)]
        stored = storage.append_events(given, expected_seq=0)
        for expected in (0, 1, 2, 3, 99):
            assert storage.append_event(given[1], expected_seq=expected) == stored[1]
            assert storage.append_events(given, expected_seq=expected) == stored
        assert storage.last_seq("s") == 3

    def test_a_message_again_does_not_touch_its_session(self, storage: Storage) -> None:
        open_session(storage)
        storage.add_message(Message(id="id", session_id="s", role="user", created_at=at(9)))
        before = storage.get_session("s")
        storage.add_message(Message(id="id", session_id="s", role="user"))
        assert storage.get_session("s") == before

    def test_a_loaded_message_again_does_not_touch_its_session(self, storage: Storage) -> None:
        open_session(storage, created_at=at(0))
        message = Message(id="m", session_id="s", role="user", created_at=at(9))
        storage.load([dataclasses.replace(message, kind="user", seq_num=1)])
        before = everything(storage)
        storage.add_message(message)
        assert everything(storage) == before

    def test_a_span_that_has_ended_since(self, storage: Storage) -> None:
        begun = Trace(id="id", session_id="s", name="step", started_at=at(1))
        storage.insert_trace(begun)
        ended = storage.end_trace("id", output={"done": True}, ended_at=at(2))
        assert storage.insert_trace(begun) == ended
        assert storage.get_trace("id") == ended

    def test_in_a_batch_what_is_there_is_given_back_and_the_rest_appended(self, storage: Storage) -> None:
        open_session(storage)
        for kind in BATCHED:
            with case(kind):
                stored = add(storage, kind, bare(kind, id="a"), bare(kind, id="b"))
                ids = ["new", "b", "newer", "a"]
                result = add(storage, kind, *[bare(kind, id=id) for id in ids])
                assert column(result, "id") == ids
                if kind != "trace":
                    assert column(result, "seq_num") == [3, 2, 4, 1]
                assert result.new == ["new", "newer"]
                assert [result[3], result[1]] == stored
                assert sorted(column(storage.scan(kind), "id")) == ["a", "b", "new", "newer"]

    def test_a_batch_may_hold_a_record_twice(self, storage: Storage) -> None:
        open_session(storage)
        for kind in BATCHED:
            with case(kind):
                result = add(storage, kind, *[bare(kind, id=id) for id in ("a", "b", "a")])
                if kind != "trace":
                    assert column(result, "seq_num") == [1, 2, 1]
                assert result.new == ["a", "b"]
                assert result[0] == result[2]
                assert column(storage.scan(kind), "id") == ["a", "b"]

    def test_each_of_a_batch_is_compared_with_what_is_stored(self, storage: Storage) -> None:
        """Against: two that are both what is stored, refused for what one of them leaves empty."""
        open_session(storage)
        for kind in BATCHED:
            with case(kind):
                whole = bare(kind, id="a", **{FIELDS[kind]: "stored"})
                stored = add(storage, kind, whole)
                again = add(storage, kind, bare(kind, id="a"), whole)
                assert (again, again.new) == (stored * 2, [])

    def test_a_batch_that_contradicts_what_is_stored_is_refused_whole(self, storage: Storage) -> None:
        open_session(storage)
        for kind in BATCHED:
            with case(kind):
                field = FIELDS[kind]
                add(storage, kind, bare(kind, id="a", **{field: "stored"}))
                before = everything(storage)
                with pytest.raises(AlreadyExists):
                    add(storage, kind, bare(kind, id="b"), bare(kind, id="a", **{field: "other"}), bare(kind, id="c"))
                assert everything(storage) == before

    def test_a_batch_that_contradicts_itself_is_refused_whole(self, storage: Storage) -> None:
        open_session(storage)
        for kind in BATCHED:
            with case(kind):
                field = FIELDS[kind]
                before = everything(storage)
                with pytest.raises(AlreadyExists):
                    add(storage, kind, *[bare(kind, id="a", **{field: text}) for text in ("one", "other")])
                assert everything(storage) == before

    def test_the_same_id_in_another_session_is_another_record(self, storage: Storage) -> None:
        for session_id in ("s1", "s2"):
            open_session(storage, session_id)
        for kind in ("message", "event"):
            with case(kind):
                result = add(storage, kind, bare(kind, "s1", id="a"), bare(kind, "s2", id="a"))
                assert column(result, "session_id") == ["s1", "s2"]
                assert column(result, "seq_num") == [1, 1]
                assert [read(storage, record) for record in result] == result
