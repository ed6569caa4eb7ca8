"""What no backend can keep is refused alike on every one, by name, with nothing half written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ...codec import MAX_INDEXED, MAX_JSON_BYTES, MAX_RECORD_BYTES, MAX_TEXT, storable
from ...exceptions import AlreadyExists, AmbiguousId, InvalidRecord, NotFound, SequenceConflict
from ...facade import Storage
from ...records import (
    KINDS,
    AuditLog,
    Checkpoint,
    Event,
    Image,
    Message,
    Session,
    TokenUsage,
    Trace,
)
from ..writers import write
from .helpers import (
    Unasked,
    case,
    cases,
    everything,
    exactly,
    failing,
    needs_transactions,
    open_session,
    populate,
    read,
)
from .samples import NAIVE, UNFILTERABLE, bare, complete_session, full, nested

LISTS = {"tool_calls", "events", "links"}
LONG_TEXTS = {"title", "error", "description", "system_prompt"}
WRONG_JSON: dict[str, Any] = {
    "not a number": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "too large": 2**63,
    "too small": -(2**63) - 1,
    "a number as key": {1: "a"},
    "null as key": {None: "a"},
    "NUL": "a\x00b",
    "NUL in a key": {"a\x00b": 1},
    "a lone surrogate": "\ud800",
    "a lone surrogate in a key": {"\udfff": 1},
    "bytes": b"bytes",
    "a set": {"a"},
    "a date": NAIVE,
    "too deep": nested(100),
}


def fields_of(is_one: Callable[[Any], bool]) -> list[tuple[str, str]]:
    """The fields whose value in a full record is one of these, each with the kind of its record."""
    records = {kind: full(kind) for kind in KINDS}
    return [
        (kind, field.name)
        for kind, record in records.items()
        for field in dataclasses.fields(record)
        if is_one(getattr(record, field.name))
    ]


def quotes(size: int) -> str:
    """A string that is so long, an even number of bytes, in JSON."""
    return '"' * (size // 2 - 1)


def check_refused(storage: Storage, kind: str, name: str, wrong: Any) -> None:
    with case(kind, name, wrong), pytest.raises(InvalidRecord) as caught:
        write(storage, dataclasses.replace(full(kind), **{name: wrong}))
    assert caught.value.field.replace("[", ".").split(".")[0] == name, (kind, name, wrong)


def _filterable(kind: str, changes: dict[str, str]) -> dict[str, Any]:
    """A field to filter by that holds what was changed, and numbers that come back different there."""
    if kind == "event":
        return {}
    numbers = storable(UNFILTERABLE, filterable=True)
    return {"metadata": {"changes": changes, "numbers": numbers.value}}


class BadRecordContract(Unasked):
    def test_a_string_that_cannot_be_kept(self, storage_unasked: Storage) -> None:
        for kind, name in cases(fields_of(lambda value: isinstance(value, str))):
            for wrong in ("a\x00b", "\ud800", "\udfff end", 5, None, b"bytes"):
                check_refused(storage_unasked, kind, name, wrong)

    def test_a_string_that_is_too_long(self, storage_unasked: Storage) -> None:
        for kind, name in cases(fields_of(lambda value: isinstance(value, str))):
            longest = MAX_TEXT if name in LONG_TEXTS else MAX_INDEXED
            check_refused(storage_unasked, kind, name, "x" * (1 + longest))

    def test_json_that_cannot_be_kept(self, storage_unasked: Storage) -> None:
        for kind, name in cases(fields_of(lambda value: isinstance(value, list | dict))):
            for wrong in WRONG_JSON.values():
                value = {"in": [wrong]}
                check_refused(storage_unasked, kind, name, [value] if name in LISTS else value)

    def test_what_is_made_storable_is_taken(self, storage: Storage) -> None:
        """As `codec.storable` makes it, which is the same for every backend."""
        open_session(storage)
        for kind, name in cases([("message", "raw"), ("event", "payload"), ("checkpoint", "state")]):
            wrong = WRONG_JSON | ({"too large": "\u00e9" * MAX_JSON_BYTES} if kind == "message" else {})
            kept = storable({name: wrong})
            assert {path.split(".")[1] for path in kept.changes} == {*wrong}
            record = bare(kind, **{name: kept.value}, **_filterable(kind, kept.changes))
            assert exactly(getattr(read(storage, write(storage, record)), name)) == exactly(kept.value)

    def test_json_that_is_too_long(self, storage: Storage) -> None:
        open_session(storage)
        before = everything(storage)
        for kind, name in cases(fields_of(lambda value: isinstance(value, list | dict))):
            value = {"in": ["\u00e9" * (MAX_JSON_BYTES // 2)]}
            check_refused(storage, kind, name, [value] if name in LISTS else value)
        assert everything(storage) == before

    @pytest.mark.parametrize(
        ("kind", "large", "rest"), [("message", "raw", "tool_calls"), ("trace", "input", "events")]
    )
    def test_as_much_json_as_a_record_holds(self, storage: Storage, kind: str, large: str, rest: str) -> None:
        """Quotation marks double in JSON, and once more in a statement of SQL."""
        open_session(storage)
        fields: dict[str, Any] = {
            large: quotes(MAX_JSON_BYTES),
            rest: [quotes(MAX_RECORD_BYTES - MAX_JSON_BYTES - 4), 10],
        }
        with pytest.raises(InvalidRecord) as caught:
            write(storage, bare(kind, **fields))
        assert caught.value.field == kind
        fields[rest][1] = 1
        stored = write(storage, bare(kind, id="it fits", **fields))
        assert read(storage, stored) == stored

    def test_what_makes_a_record_too_large_later(self, storage: Storage) -> None:
        half = {"q": "x" * (MAX_JSON_BYTES - 8)}
        trace = storage.insert_trace(Trace(id="t", input=half))
        checkpoint = Checkpoint(id="k", session_id="s", state=half, metadata=half)
        open_session(storage)
        storage.save_checkpoint(checkpoint)
        image = storage.save_image(Image(id="i", mcp_servers=half))
        for change in (
            lambda: storage.end_trace("t", output=half),
            lambda: storage.end_trace("t", events=[half]),
            lambda: storage.end_trace("t", attributes=half),
            lambda: storage.fork_session("k"),
            lambda: storage.patch_image_metadata("i", half),
        ):
            with pytest.raises(InvalidRecord):
                change()
        assert storage.get_trace("t") == trace
        assert storage.get_image("i") == image

    def test_a_number_that_could_not_be_filtered_by(self, storage_unasked: Storage) -> None:
        filterable = [
            (kind, field.name)
            for kind, record in KINDS.items()
            for field in dataclasses.fields(record)
            if field.name in ("metadata", "attributes", "resource")
        ]
        for kind, name in cases(filterable):
            for number in UNFILTERABLE:
                check_refused(storage_unasked, kind, name, {"in": [{"n": number}]})

    def test_a_time_that_is_none(self, storage_unasked: Storage) -> None:
        times = [
            (kind, field.name)
            for kind, record in KINDS.items()
            for field in dataclasses.fields(record)
            if field.name.endswith("_at")
        ]
        for kind, name in cases(times):
            for wrong in (NAIVE, "2026-01-01T00:00:00Z", 0):
                check_refused(storage_unasked, kind, name, wrong)

    def test_other_things_that_cannot_be_kept(self, storage_unasked: Storage) -> None:
        for name, record in [
            ("role", Message(session_id="s", content="nobody says this")),
            ("content", Message(session_id="s", role="user", content=5)),
            ("content", Message(session_id="s", role="user", content=True)),
            ("tool_calls", Message(session_id="s", role="user", tool_calls={})),
            ("usage", Message(session_id="s", role="user", usage={})),
            ("usage.total_tokens", Message(session_id="s", role="user", usage=TokenUsage(total_tokens=-1))),
            ("usage.prompt_tokens", Message(session_id="s", role="user", usage=TokenUsage(prompt_tokens=10**12 + 1))),
            ("seq_num", Message(session_id="s", role="user", seq_num=-1)),
            ("seq_num", Event(session_id="s", seq_num=2**63)),
            ("seq_num", Checkpoint(session_id="s", seq_num=True)),
            ("schema_version", Event(session_id="s", schema_version=-1)),
            ("status", Trace(status="failed")),
            ("usage.total_tokens", Trace(usage=TokenUsage(total_tokens=10**12 + 1))),
            ("cost", Trace(cost=Decimal("0.0000000001"))),
            ("events", Trace(events={})),
            ("state", Checkpoint(session_id="s", state=[])),
            ("detail", AuditLog(detail="text")),
        ]:
            with case(record), pytest.raises(InvalidRecord) as caught:
                write(storage_unasked, record)
            assert caught.value.field == name

    def test_the_end_of_what_fits_fits(self, storage: Storage) -> None:
        open_session(storage, "s" * 255, title="x" * MAX_TEXT)
        event = storage.append_event(Event(session_id="s" * 255, payload=[nested(99), 2**63 - 1, -(2**63)]))
        assert storage.get_event(event.id) == event


LOOK_UPS: dict[str, Callable[[Storage, str], Any]] = {
    "get_session": lambda storage, wrong: storage.get_session(wrong),
    "list_sessions": lambda storage, wrong: storage.list_sessions(wrong),
    "list_sessions of a user": lambda storage, wrong: storage.list_sessions(user_id=wrong),
    "iter_sessions": lambda storage, wrong: list(storage.iter_sessions(status=wrong)),
    "get_message": lambda storage, wrong: storage.get_message(wrong),
    "list_messages": lambda storage, wrong: storage.list_messages(wrong),
    "list_messages of roles": lambda storage, wrong: storage.list_messages("s", roles=["user", wrong]),
    "count_messages": lambda storage, wrong: storage.count_messages(wrong),
    "token_usage": lambda storage, wrong: storage.token_usage(wrong),
    "usage of an agent": lambda storage, wrong: storage.usage(agent_id=wrong),
    "usage of a user": lambda storage, wrong: storage.usage(user_id=wrong),
    "delete_message": lambda storage, wrong: storage.delete_message(wrong),
    "get_memory": lambda storage, wrong: storage.get_memory("a", wrong),
    "list_memory": lambda storage, wrong: storage.list_memory("a", prefix=wrong),
    "delete_checkpoint": lambda storage, wrong: storage.delete_checkpoint(wrong),
    "delete_memory": lambda storage, wrong: storage.delete_memory(wrong),
    "list_audit_logs": lambda storage, wrong: storage.list_audit_logs(action=wrong),
    "get_trace": lambda storage, wrong: storage.get_trace(wrong),
    "list_traces": lambda storage, wrong: storage.list_traces("s", kind=wrong),
    "trace_tree": lambda storage, wrong: storage.trace_tree(wrong),
    "get_event": lambda storage, wrong: storage.get_event("e", session_id=wrong),
    "list_events": lambda storage, wrong: storage.list_events("s", types=[wrong]),
    "get_recent_events": lambda storage, wrong: storage.get_recent_events(wrong, 1),
    "last_seq": lambda storage, wrong: storage.last_seq(wrong),
    "get_checkpoint": lambda storage, wrong: storage.get_checkpoint(wrong),
    "get_latest_checkpoint": lambda storage, wrong: storage.get_latest_checkpoint("s", namespace=wrong),
    "list_checkpoints": lambda storage, wrong: storage.list_checkpoints("s", run_id=wrong),
    "get_image": lambda storage, wrong: storage.get_image(wrong),
    "container_exists": lambda storage, wrong: storage.container_exists(wrong),
    "verify_events": lambda storage, wrong: storage.verify_events(wrong),
    "scan": lambda storage, wrong: list(storage.scan("session", user_id=wrong)),
}
TIME_FILTERS: dict[str, Callable[[Storage], Any]] = {
    "list_messages since": lambda storage: storage.list_messages("s", since=NAIVE),
    "list_messages until": lambda storage: storage.list_messages("s", until=NAIVE),
    "usage since": lambda storage: storage.usage(since=NAIVE),
    "usage until": lambda storage: storage.usage(until=NAIVE),
    "iter_messages": lambda storage: list(storage.iter_messages("s", since=NAIVE)),
    "list_audit_logs since": lambda storage: storage.list_audit_logs(since=NAIVE),
    "iter_audit_logs until": lambda storage: list(storage.iter_audit_logs(until=NAIVE)),
}


class BadQuestionContract(Unasked):
    def test_a_string_that_nothing_can_be_stored_under(self, storage_unasked: Storage) -> None:
        for name, ask in LOOK_UPS.items():
            for wrong in ("\x00", "a\ud800"):
                with case(name, wrong), pytest.raises(InvalidRecord):
                    ask(storage_unasked, wrong)

    def test_a_time_without_a_zone(self, storage_unasked: Storage) -> None:
        for name, ask in TIME_FILTERS.items():
            with case(name), pytest.raises(InvalidRecord):
                ask(storage_unasked)


#: By name: what must be raised, and a call on a store that is populated (as "s" and "s2") which raises it.
FAILURES: dict[str, tuple[type[Exception], Callable[[Storage], Any]]] = {
    "a payload that is none": (InvalidRecord, lambda s: s.append_event(Event(session_id="s", payload={1: 2}))),
    "a NUL to look for": (InvalidRecord, lambda s: s.get_session("\x00")),
    "a negative limit": (InvalidRecord, lambda s: s.list_sessions(limit=-1)),
    "a session twice": (AlreadyExists, lambda s: s.create_session(Session(id="s"))),
    "a session that is not there": (NotFound, lambda s: s.update_session(Session(id="nowhere"))),
    "a patch of nothing": (NotFound, lambda s: s.patch_session("nowhere", title="x")),
    "a message for nobody": (NotFound, lambda s: s.add_message(Message(session_id="nowhere", role="user"))),
    "a batch half for nobody": (
        NotFound,
        lambda s: s.add_messages([Message(session_id=id, role="user") for id in ("s", "nowhere")]),
    ),
    "a message changed": (
        AlreadyExists,
        lambda s: s.add_message(Message(id="m1", session_id="s", role="user", content="changed")),
    ),
    "a message of two sessions": (AmbiguousId, lambda s: s.delete_message("m1")),
    "a cut after nothing": (NotFound, lambda s: s.truncate_messages("s", "nothing")),
    "memory on a taken place": (
        AlreadyExists,
        lambda s: s.put_memory(dataclasses.replace(s.list_memory("agent", session_id="s")[0], key="k1")),
    ),
    "an audit entry changed": (
        AlreadyExists,
        lambda s: s.append_audit_log(dataclasses.replace(s.list_audit_logs("s")[0], actor="changed")),
    ),
    "an audit entry out of turn": (SequenceConflict, lambda s: s.append_audit_log(AuditLog(session_id="s", seq_num=9))),
    "a span changed": (AlreadyExists, lambda s: s.insert_trace(Trace(id="s t1", session_id="s", name="changed"))),
    "an end of no span": (NotFound, lambda s: s.end_trace("nothing")),
    "an event for nobody": (NotFound, lambda s: s.append_event(Event(session_id="nowhere"))),
    "an event changed": (AlreadyExists, lambda s: s.append_event(Event(id="e1", session_id="s", payload="changed"))),
    "an event not expected": (SequenceConflict, lambda s: s.append_event(Event(session_id="s"), expected_seq=0)),
    "events half out of turn": (
        SequenceConflict,
        lambda s: s.append_events([Event(session_id="s2"), Event(session_id="s", seq_num=9)]),
    ),
    "a checkpoint for nobody": (NotFound, lambda s: s.save_checkpoint(Checkpoint(session_id="nowhere"))),
    "a checkpoint on a taken number": (
        AlreadyExists,
        lambda s: s.save_checkpoint(Checkpoint(session_id="s", seq_num=1)),
    ),
    "a fork into a taken id": (AlreadyExists, lambda s: s.fork_session("c1", session_id="s", id="s2")),
    "a merge into no image": (NotFound, lambda s: s.patch_image_metadata("nothing", {})),
    "a copy that does not fit": (
        InvalidRecord,
        lambda s: s.load([complete_session("new"), dataclasses.replace(s.list_events("s")[2], id="e9", seq_num=9)]),
    ),
    "a copy of other content": (
        AlreadyExists,
        lambda s: s.load([complete_session("new"), complete_session("s")]),
    ),
}


class FailureContract:
    def test_what_fails_leaves_all_as_it_was(self, storage: Storage) -> None:
        populate(storage, "s")
        populate(storage, "s2")
        before = everything(storage)
        for name, (error, call) in FAILURES.items():
            with case(name), pytest.raises(error):
                call(storage)
            assert everything(storage) == before, name

    def test_what_fails_leaves_the_callers_transaction_usable(self, storage: Storage) -> None:
        needs_transactions(storage)
        populate(storage, "s")
        populate(storage, "s2")
        for name, (error, call) in FAILURES.items():
            with case(name), failing(storage.atomic()):  # so that the next one finds the same
                with storage.atomic():
                    storage.append_event(Event(session_id="s", type="before"))
                    with pytest.raises(error):
                        call(storage)
                    storage.append_event(Event(session_id="s", type="after"))
                    storage.add_message(Message(session_id="s", role="user", content="after"))
                assert [event.type for event in storage.list_events("s", 3)] == ["before", "after"]
                assert storage.list_messages("s")[-1].content == "after"
                assert storage.verify_events("s").intact
