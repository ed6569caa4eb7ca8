"""Upcasters: data of older versions are read as the newest, and stay as they are stored."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from ... import upcasters
from ...exceptions import InvalidRecord
from ...facade import Storage
from ...records import Checkpoint, Event, MemoryRecord, Record
from ..writers import write
from .helpers import case, everything, open_session

#: A record of each kind that has a schema, with the field that its data are in.
WITH_SCHEMA: list[tuple[Any, str]] = [
    (Event(id="e", session_id="s"), "payload"),
    (MemoryRecord(id="m", agent_id="a", key="k"), "value"),
    (Checkpoint(id="c", session_id="s"), "state"),
]
READS: dict[type[Record], list[Callable[[Storage], Any]]] = {
    Event: [
        lambda s: s.get_event("e"),
        lambda s: s.get_event("e", session_id="s"),
        lambda s: s.list_events("s")[0],
        lambda s: next(s.iter_events("s")),
        lambda s: s.get_recent_events("s", 1)[0],
    ],
    MemoryRecord: [
        lambda s: s.get_memory("a", "k"),
        lambda s: s.list_memory("a")[0],
        lambda s: next(s.iter_memory("a")),
    ],
    Checkpoint: [
        lambda s: s.get_checkpoint("c"),
        lambda s: s.get_latest_checkpoint("s"),
        lambda s: s.list_checkpoints("s")[0],
        lambda s: next(s.iter_checkpoints("s")),
    ],
}


def rename(value: Any) -> Any:
    value["total"] = value.pop("sum")
    return value


def in_cents(value: Any) -> Any:
    return {**value, "total": value["total"] * 100}


class UpcastingContract:
    @pytest.fixture(autouse=True)
    def forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a test registers is for that test."""
        monkeypatch.setattr(upcasters, "_steps", {})

    def test_what_is_read_is_of_the_newest_version(self, storage: Storage) -> None:
        open_session(storage)
        stored = []
        for record, name in WITH_SCHEMA:
            given = dataclasses.replace(record, schema="order", schema_version=1, **{name: {"sum": 3}})
            stored.append(write(storage, given))
        before = everything(storage)
        upcasters.register("order", 1, rename)
        upcasters.register("order", 2, in_cents)
        upcasters.register("order", 7, rename)  # which none of them reaches
        upcasters.register("another", 1, rename)
        for record, (_, name) in zip(stored, WITH_SCHEMA, strict=True):
            expected = dataclasses.replace(record, schema_version=3, **{name: {"total": 300}})
            for read in READS[type(record)]:
                with case(record):
                    assert read(storage) == expected
        assert everything(storage) == before
        assert storage.verify_events("s").intact

    def test_what_is_written_comes_back_as_it_is_stored(self, storage: Storage) -> None:
        open_session(storage)
        upcasters.register("order", 1, rename)
        for record, name in WITH_SCHEMA:
            given = dataclasses.replace(record, schema="order", schema_version=1, **{name: {"sum": 3}})
            for stored in (write(storage, given), write(storage, given)):  # written again it is the same
                assert (getattr(stored, name), stored.schema_version) == ({"sum": 3}, 1)
        fork = storage.fork_session("c", id="fork")
        [forked] = [record for record in storage.scan("checkpoint") if record.session_id == fork.id]
        assert (forked.state, forked.schema, forked.schema_version) == ({"sum": 3}, "order", 1)

    def test_a_copy_has_what_is_stored_and_verifies(self, storage: Storage) -> None:
        open_session(storage)
        for number in (1, 2):
            event = Event(id=f"{number}", session_id="s", payload={"sum": number}, schema="order", schema_version=1)
            storage.append_event(event)
        upcasters.register("order", 1, rename)
        copy = [*storage.scan("session"), *storage.scan("event")]
        storage.delete_session("s", hard=True)
        assert storage.load(copy) == 3
        assert list(storage.scan("event")) == copy[1:]
        assert storage.verify_events("s").intact
        assert [event.payload for event in storage.list_events("s")] == [{"total": 1}, {"total": 2}]

    def test_an_upcaster_that_fails_is_named(self, storage: Storage) -> None:
        open_session(storage)
        storage.append_event(Event(id="e", session_id="s", payload={}, schema="order", schema_version=2))
        storage.save_checkpoint(Checkpoint(id="c", session_id="s", schema="order", schema_version=2))
        upcasters.register("order", 2, rename)
        for read in READS[Event][:4]:
            with pytest.raises(KeyError, match="sum") as caught:
                read(storage)
            [note] = caught.value.__notes__
            for part in ("'order'", "version 2", "Event 'e'", "session 's'"):
                assert part in note
        assert storage.delete_checkpoint("c")

    @pytest.mark.parametrize("wrong", [{1: 2}, float("nan"), b"bytes", {"n": [{1, 2}]}], ids=repr)
    def test_what_is_no_json_is_refused(self, storage: Storage, wrong: Any) -> None:
        storage.put_memory(MemoryRecord(agent_id="a", key="k", schema="order"))
        upcasters.register("order", 0, lambda value: wrong)
        with pytest.raises(InvalidRecord) as caught:
            storage.get_memory("a", "k")
        assert caught.value.field.startswith("value")
        assert "MemoryRecord" in caught.value.__notes__[0]

    def test_a_state_stays_an_object(self, storage: Storage) -> None:
        open_session(storage)
        storage.save_checkpoint(Checkpoint(session_id="s", schema="order"))
        upcasters.register("order", 0, lambda value: [value])
        with pytest.raises(InvalidRecord) as caught:
            storage.get_latest_checkpoint("s")
        assert caught.value.field == "state"
