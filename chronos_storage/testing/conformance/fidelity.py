"""What is written comes back as it was: ids, strings, times and JSON, on every kind of record."""

from __future__ import annotations

import copy
import dataclasses
import uuid
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from ...exceptions import AmbiguousId
from ...facade import Storage
from ...records import KINDS, Event, MemoryRecord, Session, Trace
from ..writers import write
from .helpers import SESSIONS_FIRST, alike, case, cases, exactly, open_session, prepared, read
from .samples import ODD_JSON, ODD_STRINGS, UNFILTERABLE, at, bare, full, nested

CONTENT = [
    ("message", "content"),
    ("message", "tool_calls"),
    ("message", "raw"),
    ("memory", "value"),
    ("audit_log", "detail"),
    ("trace", "input"),
    ("trace", "output"),
    ("trace", "events"),
    ("trace", "links"),
    ("event", "payload"),
    ("checkpoint", "state"),
    ("container", "config"),
    ("image", "mcp_servers"),
]
LISTS = ("tool_calls", "events", "links")
FILTERABLE = [(kind, "metadata") for kind in ("session", "message", "checkpoint", "image", "artifact")]
FILTERABLE += [("trace", "attributes"), ("trace", "resource")]
ANY_JSON = [("message", "raw"), ("memory", "value"), ("trace", "input"), ("trace", "output"), ("event", "payload")]
#: What the store makes of the other fields where it is left empty.
FILLED_IN = {"id", "kind", "last_activity_at", "trace_id", "status"}
SET_BY_THE_STORE = {"seq_num", "hash", "erased", "version", "size", "sha256", "updated_at", "deleted_at"}
TIMES = [
    (kind, field.name)
    for kind, record in KINDS.items()
    for field in dataclasses.fields(record)
    if field.name in ("created_at", "last_activity_at", "started_at", "ended_at", "expires_at")
]
_FAR = [
    datetime(1000, 1, 1, tzinfo=UTC),
    datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    datetime(2000, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime.max.replace(tzinfo=UTC),
]


def random_characters(seed: int) -> str:
    """255 characters of four bytes each that no index compresses."""
    return "".join(chr(0x20000 + (number + 1) * (seed + 7919) % 42_000) for number in range(255))


class FidelityContract:
    def test_every_field_comes_back_as_it_was_written(self, storage: Storage) -> None:
        """Against: a user id silently dropped."""
        for kind in SESSIONS_FIRST:
            with case(kind):
                given = full(kind)
                stored = write(prepared(storage, kind), given)
                for field in dataclasses.fields(given):
                    if field.name not in SET_BY_THE_STORE:
                        assert (field.name, getattr(stored, field.name)) == (field.name, getattr(given, field.name))
                assert type(stored) is type(given)
                assert read(storage, given) == stored
                assert list(storage.scan(kind)) == [stored]

    def test_what_is_left_empty_stays_empty_or_is_filled_in(self, storage: Storage) -> None:
        for kind in SESSIONS_FIRST:
            with case(kind):
                given = bare(kind)
                stored = write(prepared(storage, kind), given)
                assert read(storage, stored) == stored
                for field in dataclasses.fields(given):
                    value = getattr(stored, field.name)
                    if field.name in ("created_at", "updated_at", "started_at"):
                        assert abs(value - datetime.now(UTC)) < timedelta(minutes=1)
                    elif field.name not in SET_BY_THE_STORE | FILLED_IN:
                        assert (field.name, value) == (field.name, getattr(given, field.name))

    def test_an_empty_id_becomes_a_uuid_that_sorts_by_time(self, storage: Storage) -> None:
        for kind in SESSIONS_FIRST:
            with case(kind):
                prepared(storage, kind)
                made = [
                    write(storage, bare(kind, **({"key": str(number)} if kind == "memory" else {})))
                    for number in range(3)
                ]
                assert [uuid.UUID(record.id).version for record in made] == [7, 7, 7]
                assert made[0].id < made[1].id < made[2].id

    def test_the_callers_object_stays_as_it_was(self, storage: Storage) -> None:
        """Against: metadata of the caller being changed in place."""
        for kind in SESSIONS_FIRST:
            with case(kind):
                prepared(storage, kind)
                for given in (full(kind), bare(kind, **({"key": "other"} if kind == "memory" else {}))):
                    before = copy.deepcopy(given)
                    assert write(storage, given) is not given
                    assert given == before

    def test_what_is_stored_is_nobodys_object(self, storage: Storage) -> None:
        for kind in SESSIONS_FIRST:
            with case(kind):
                given = full(kind)
                stored = write(prepared(storage, kind), given)
                before = copy.deepcopy(stored)
                for record in (given, stored, read(storage, given), next(storage.scan(kind))):
                    for field in dataclasses.fields(record):
                        value = getattr(record, field.name)
                        if isinstance(value, list | dict):
                            value.clear()
                        elif isinstance(value, str):
                            setattr(record, field.name, "changed by the caller")
                    assert read(storage, before) == before

    @pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "artifact"])  # of which loading shows it
    def test_odd_ids_are_all_different(self, storage: Storage, kind: str) -> None:
        """Against: ids with ``:`` ``/`` ``?`` ``$`` or digits like ``1e5`` colliding or turning into numbers."""
        prepared(storage, kind)
        before = len(list(storage.scan(kind)))
        given = [bare(kind, id=id, **({"key": id} if kind == "memory" else {})) for id in ODD_STRINGS]
        stored = [write(storage, record) for record in given]
        assert [record.id for record in stored] == ODD_STRINGS
        if kind == "audit_log":  # which are listed, and not got by their ids
            assert sorted(storage.list_audit_logs(limit=None), key=lambda log: log.id) == sorted(
                stored, key=lambda log: log.id
            )
        else:
            assert [read(storage, record) for record in stored] == stored
        assert len(list(storage.scan(kind))) == before + len(ODD_STRINGS)

    def test_odd_session_ids_keep_what_belongs_to_them_apart(self, storage: Storage) -> None:
        for id in ODD_STRINGS:
            open_session(storage, id)
            storage.append_event(Event(session_id=id, payload=id))
        for id in ODD_STRINGS:
            assert [event.payload for event in storage.list_events(id)] == [id]
            assert storage.verify_events(id).intact

    def test_all_strings_may_be_long_at_once(self, storage: Storage) -> None:
        for kind in SESSIONS_FIRST:
            with case(kind):
                names = [field.name for field in dataclasses.fields(KINDS[kind]) if type(field.default) is str]
                texts = {
                    name: random_characters(seed) for seed, name in enumerate(names) if name not in SET_BY_THE_STORE
                }
                if kind == "trace":
                    texts["status"] = "ok"
                if "session_id" in texts:
                    prepared(storage, kind, texts["session_id"])
                stored = write(storage, KINDS[kind](**texts))
                assert {name: getattr(stored, name) for name in texts} == texts
                assert read(storage, stored) == stored

    def test_free_text_may_be_long(self, storage: Storage) -> None:
        for name in ("title", "description", "system_prompt", "error"):
            with case(name):
                kind = {"title": "session", "error": "trace"}.get(name, "image")
                text = "\u00e9\n" * 200_000
                stored = write(prepared(storage, kind), bare(kind, **{name: text}))
                assert getattr(read(storage, stored), name) == text

    def test_a_time_comes_back_as_the_same_instant_in_utc(self, storage: Storage) -> None:
        given = datetime(2126, 6, 1, 12, 30, 15, 123456, tzinfo=timezone(timedelta(hours=5, minutes=45)))
        for kind, name in cases(TIMES):
            with case(kind, name):
                key = {"key": name} if kind == "memory" else {}
                stored = write(prepared(storage, kind), bare(kind, **{name: given}, **key))
                for record in (stored, read(storage, stored)):
                    assert getattr(record, name) == given
                    assert getattr(record, name).utcoffset() == timedelta(0)

    def test_no_time_is_too_far(self, storage: Storage) -> None:
        for timestamp in _FAR:
            with case(timestamp):
                stored = storage.insert_trace(Trace(started_at=timestamp, ended_at=timestamp))
                kept = read(storage, stored)
                assert (kept.started_at, kept.ended_at) == (timestamp, timestamp)

    def test_content_comes_back_exactly(self, storage: Storage) -> None:
        for kind, name in CONTENT:
            with case(kind, name):
                prepared(storage, kind)
                for number, odd in enumerate([ODD_JSON | {"more": UNFILTERABLE}, {}, nested(100)]):
                    value: Any = odd
                    if name in LISTS:
                        value = [odd] if number < 2 else [odd["in"]]
                    given = bare(kind, **{name: value}, **({"key": str(number)} if kind == "memory" else {}))
                    stored = write(storage, given)
                    assert exactly(getattr(stored, name)) == exactly(value)
                    assert exactly(getattr(read(storage, stored), name)) == exactly(value)

    def test_any_json_may_stand_alone(self, storage: Storage) -> None:
        values = [None, True, False, 0, 1, 1.0, *UNFILTERABLE, 2**63 - 1, "", "null", '"', [], {}, [None], [[1.0]]]
        for kind, name in ANY_JSON:
            with case(kind, name):
                prepared(storage, kind)
                for number, value in enumerate(values):
                    given = bare(kind, **{name: value}, **({"key": str(number)} if kind == "memory" else {}))
                    kept = read(storage, write(storage, given))
                    assert exactly(getattr(kept, name)) == exactly(value)

    def test_an_empty_message_is_not_a_missing_one(self, storage: Storage) -> None:
        for content in (None, "", "text", [], ["part"], {}):
            with case(content):
                stored = write(prepared(storage, "message"), bare("message", content=content))
                assert exactly(read(storage, stored).content) == exactly(content)

    def test_no_tool_calls_are_not_an_empty_list(self, storage: Storage) -> None:
        for calls in (None, []):
            with case(calls):
                stored = write(prepared(storage, "message"), bare("message", tool_calls=calls))
                assert read(storage, stored).tool_calls == calls

    @pytest.mark.parametrize("count", [2, 120])
    def test_messages_come_back_from_a_batch_as_they_were_written(self, storage: Storage, count: int) -> None:
        """A few may be stored in another way than many, and than one."""
        open_session(storage)
        odd: list[Any] = [ODD_JSON | {"more": UNFILTERABLE}, None, [nested(99)], -0.0, "null", ODD_STRINGS]
        texts = dict(zip(("name", "model", "kind", "parent_id", "tool_call_id", "format"), ODD_STRINGS, strict=False))
        given = [
            bare("message", id=f"m{n}", raw=odd[n % 6], metadata=ODD_JSON, created_at=at(count - n / 8), **texts)
            for n in range(count - 1)
        ] + [bare("message", tool_calls=[odd[0]])]
        stored = storage.add_messages(given)
        read_again = storage.list_messages("s")
        assert read_again == stored
        assert [exactly(message.raw) for message in read_again] == [exactly(message.raw) for message in given]
        assert [alike(message.metadata) for message in read_again] == [alike(message.metadata) for message in given]
        assert exactly(read_again[-1].tool_calls) == exactly([odd[0]])
        for name, text in texts.items():
            assert [getattr(message, name) for message in read_again[:-1]] == [text] * (count - 1)
        assert [message.created_at for message in read_again[:-1]] == [message.created_at for message in given[:-1]]

    def test_metadata_comes_back_equal(self, storage: Storage) -> None:
        for kind, name in FILTERABLE:
            with case(kind, name):
                prepared(storage, kind)
                for value in ({}, ODD_JSON, nested(100)):
                    stored = write(storage, bare(kind, **{name: value}))
                    assert alike(getattr(stored, name)) == alike(value)
                    assert alike(getattr(read(storage, stored), name)) == alike(value)

    def test_a_value_may_be_large(self, storage: Storage) -> None:
        open_session(storage)
        payload = {"text": "\u00e9" * 1_000_000}
        stored = storage.append_event(Event(session_id="s", payload=payload))
        assert storage.get_event(stored.id) == stored
        assert stored.payload == payload

    def test_an_id_may_stand_in_several_sessions(self, storage: Storage) -> None:
        for kind in ("message", "event", "checkpoint"):
            with case(kind):
                stored = []
                for session_id in ("s1", "s2"):
                    prepared(storage, kind, session_id)
                    stored.append(write(storage, bare(kind, session_id, id="same", created_at=at(len(stored)))))
                    if session_id == "s1":
                        assert getattr(storage, f"get_{kind}")("same") == stored[0]
                with pytest.raises(AmbiguousId):
                    getattr(storage, f"get_{kind}")("same")
                assert [read(storage, record) for record in stored] == stored
                assert getattr(storage, f"get_{kind}")("same", session_id="s3") is None

    def test_what_is_not_there_is_none(self, storage: Storage) -> None:
        for kind in SESSIONS_FIRST:
            with case(kind):
                prepared(storage, kind)
                assert read(storage, bare(kind, id="nothing")) is None

    def test_any_short_string_is_a_status_a_kind_and_a_type(self, storage: Storage) -> None:
        assert open_session(storage, status="waiting for Godot").status == "waiting for Godot"
        assert storage.put_memory(MemoryRecord(agent_id="a", kind="hunch", key="k")).kind == "hunch"
        assert storage.append_event(Event(session_id="s", type="a type of ours")).type == "a type of ours"
        assert storage.create_session(Session()).status == "active"
