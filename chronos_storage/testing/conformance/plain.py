"""Subclasses of plain types, which compare, hash, measure and print themselves in their own way, become plain."""

from __future__ import annotations

import dataclasses
import enum
from collections import OrderedDict
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from ...exceptions import AlreadyExists, InvalidRecord
from ...facade import Storage
from ...records import KINDS, AuditLog, Event, Message, Session, TokenUsage, Trace
from ..writers import write
from .helpers import column, exactly, open_session, read
from .samples import at, full

_PLAIN = {str, int, float, bool, type(None), dict, list, datetime, Decimal, TokenUsage, *KINDS.values()}


class _Text(str):
    """Text that is equal to nothing, is empty, and calls itself something else."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "another text"

    __repr__ = __str__

    def __format__(self, specification: str) -> str:
        return "another text"

    def __contains__(self, part: object) -> bool:
        return False

    def isascii(self) -> bool:
        return True

    def encode(self, *_: object) -> bytes:
        return b"another text"


class _Number(int):
    """A number that is equal to nothing, and calls itself another."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 1

    def __int__(self) -> int:
        return -99

    def __index__(self) -> int:
        return -99

    def __str__(self) -> str:
        return "-99"

    __repr__ = __str__

    def __bool__(self) -> bool:
        return False

    def __le__(self, other: object) -> bool:
        return True

    __lt__ = __ge__ = __gt__ = __le__


class _Real(float):
    def __float__(self) -> float:
        return -99.0

    def __repr__(self) -> str:
        return "-99.0"

    __str__ = __repr__


class _Amount(Decimal):
    """A decimal that is equal to nothing, and calls itself another."""

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return 1

    def __str__(self) -> str:
        return "-99"

    __repr__ = __str__

    def __format__(self, specification: str, *_: object) -> str:
        return "-99"


class _Timestamp(datetime):
    """A moment that prints itself in another form, as pandas' does, and turns into itself."""

    def isoformat(self, *_: object, **__: object) -> str:
        return "another time"

    def __str__(self) -> str:
        return "another time"

    def astimezone(self, tz: object = None) -> _Timestamp:
        return self

    def utcoffset(self) -> timedelta | None:
        return None

    @property
    def year(self) -> int:
        return 1

    def date(self) -> date:
        return date(1, 1, 1)


class _Object(dict[Any, Any]):
    pass


class _Array(list[Any]):
    pass


class _Word(enum.StrEnum):
    ACTIVE = "active"


class _Count(enum.IntEnum):
    FEW = 3


def odd(value: Any) -> Any:
    """The same in subclasses, all through."""
    match value:
        case bool() | None:
            return value
        case str():
            return _Text(value)
        case int():
            return _Number(value)
        case float():
            return _Real(value)
        case Decimal():
            return _Amount(value)
        case datetime():
            return _Timestamp.combine(value.date(), value.timetz())
        case dict():
            return _Object((_Text(key), odd(item)) for key, item in value.items())
        case list():
            return _Array(map(odd, value))
        case _:
            return dataclasses.replace(
                value, **{field.name: odd(getattr(value, field.name)) for field in dataclasses.fields(value)}
            )


def check_plain(value: Any) -> None:
    """See that there is no subclass in it."""
    assert type(value) in _PLAIN, (type(value), value)
    if isinstance(value, list):
        for item in value:
            check_plain(item)
    elif isinstance(value, dict):
        for item in [*value, *value.values()]:
            check_plain(item)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            check_plain(getattr(value, field.name))


class _MySession(Session):
    """A host's own subclass, with something of its own."""

    __slots__ = ("colour",)


class PlainValueContract:
    def test_a_record_of_subclasses_is_stored_plain(self, storage: Storage) -> None:
        for kind in KINDS:
            stored = write(storage, odd(full(kind)))
            check_plain(stored)
            for field in dataclasses.fields(stored):
                if given := getattr(full(kind), field.name):
                    assert getattr(stored, field.name) == given
            assert [read(storage, stored), *storage.scan(kind)] == [stored, stored]

    def test_a_chain_of_subclasses_is_intact(self, storage: Storage) -> None:
        """Against: a datetime that prints itself in another form, and breaks a chain for good."""
        open_session(storage)
        east = timezone(timedelta(hours=5, minutes=30))
        for zone in (UTC, east):
            timestamp = _Timestamp(2026, 1, 1, 12, 0, 0, 7, tzinfo=zone)
            event = Event(session_id=_Text("s"), type=_Text("t"), payload=odd({"n": 1}), created_at=timestamp)
            log = AuditLog(session_id=_Text("s"), action=_Text("a"), detail=odd({"n": 1}), created_at=timestamp)
            assert storage.append_event(event).created_at == datetime(2026, 1, 1, 12, 0, 0, 7, tzinfo=zone)
            storage.append_events([event, event])
            storage.append_audit_log(log)
        assert storage.verify_events("s").intact
        assert storage.verify_audit_logs(_Text("s")).intact
        assert storage.last_seq("s") == 6

    def test_what_is_asked_for_in_subclasses_is_found(self, storage: Storage) -> None:
        open_session(storage, user_id="u", agent_id="a")
        message = storage.add_message(Message(id="m", session_id="s", role="user", created_at=at(1)))
        event = storage.append_event(Event(id="e", session_id="s", type="t"))
        log = storage.append_audit_log(AuditLog(id="l", session_id="s", agent_id="a", created_at=at(1)))
        memory = write(storage, full("memory"))
        checkpoint = write(storage, full("checkpoint"))
        span = storage.insert_trace(Trace(id="t", session_id="s", kind="node", started_at=at(1)))
        text, timestamp, one = _Text, odd(at(1)), _Number(1)
        assert storage.get_session(text("s")).id == "s"
        assert column(
            storage.list_sessions(text("a"), user_id=text("u"), order=text("-created_at"), limit=one), "id"
        ) == ["s"]
        asked = {"roles": [text("user")], "since": timestamp, "until": timestamp, "order": text("desc"), "limit": one}
        assert storage.list_messages(text("s"), **asked, offset=_Number(0)) == [message]
        assert storage.get_message(text("m"), session_id=text("s")) == message
        assert storage.list_events(text("s"), _Number(0), types=[text("t")], limit=one) == [event]
        assert storage.get_recent_events(text("s"), one) == [event]
        assert storage.list_audit_logs(text("s"), agent_id=text("a"), since=timestamp, until=timestamp, limit=one) == [
            log
        ]
        assert storage.get_memory(text("agent"), text("key"), kind=text("long_term")) == memory
        assert storage.list_memory(text("agent"), prefix=text("k")) == [memory]
        assert storage.list_memory(text("agent"), prefix=text("x")) == []
        assert storage.list_traces(text("s"), kind=text("node")) == [span]
        assert storage.end_trace(text("t"), output=odd([1]), error=text("no"), ended_at=timestamp).error == "no"
        found = storage.list_checkpoints(
            text("s"), namespace=text("namespace"), run_id=text("run"), before_seq=_Number(9)
        )
        assert found == [checkpoint]
        assert storage.append_event(Event(session_id="s", seq_num=_Number(2)), expected_seq=one).seq_num == 2
        assert column(storage.scan(text("event"), user_id=text("u"), after=odd(event)), "seq_num") == [2]
        patched = storage.patch_session(text("s"), title=text("new"), last_activity_at=odd(at(10**9)))
        assert (patched.title, patched.last_activity_at) == ("new", at(10**9))
        assert storage.patch_session_metadata(text("s"), odd({"a": [1.5]})).metadata == {"a": [1.5]}
        fork = storage.fork_session(text("checkpoint"), session_id=text("s"), id=text("fork"))
        check_plain(fork)
        assert storage.delete_checkpoints(text("s"), keep_last=_Number(0)) == 1
        assert storage.truncate_messages(text("s"), text("m")) == 0
        assert storage.delete_message(text("m"), session_id=text("s")) is True
        assert storage.delete_memory(text(memory.id)) is True
        assert storage.load([odd(storage.get_session("fork"))]) == 0
        assert storage.delete_session(text("s"), hard=True) is True

    def test_two_keys_that_are_one_as_plain_strings_are_refused(self, storage: Storage) -> None:
        """Against: keys that vanish."""
        with pytest.raises(InvalidRecord) as caught:
            storage.create_session(Session(id="s", metadata={"in": {_Text("k"): 1, "k": 2}}))
        assert caught.value.field == "metadata.in"
        assert list(storage.scan("session")) == []

    def test_an_id_that_is_equal_to_nothing_is_written_again(self, storage: Storage) -> None:
        open_session(storage)
        given = [odd(Message(id="m", session_id="s", role="user", content="c"))] * 2
        assert column(storage.add_messages(given), "seq_num") == [1, 1]
        assert storage.add_message(given[0]).seq_num == 1
        with pytest.raises(AlreadyExists):
            storage.add_message(odd(Message(id="m", session_id="s", role="user", content="d")))
        assert storage.save_session(odd(Session(id="s", title="again"))).title == "again"
        assert len(list(storage.scan("session"))) == 1

    def test_enumerations_and_ordered_dicts_are_what_they_stand_for(self, storage: Storage) -> None:
        ordered = OrderedDict({"a": _Word.ACTIVE, "b": _Count.FEW})
        ordered.move_to_end("a")
        session = storage.create_session(Session(id=_Word.ACTIVE, status=_Word.ACTIVE, metadata={_Word.ACTIVE: 1}))
        event = storage.append_event(Event(session_id=_Word.ACTIVE, payload=ordered))
        check_plain([session, event])
        assert (session.status, session.metadata) == ("active", {"active": 1})
        assert exactly(storage.list_events(_Word.ACTIVE)[0].payload) == '{"b": 3, "a": "active"}'

    def test_a_subclass_of_a_record_is_stored_as_the_record(self, storage: Storage) -> None:
        mine = _MySession(id="s", title="t")
        stored = storage.create_session(mine)
        check_plain(stored)
        assert storage.get_session("s") == stored
        assert type(storage.update_session(mine)) is Session
        mine.created_at = mine.updated_at = mine.last_activity_at = at(1)
        mine.id = "another"
        assert storage.load([mine]) == 1
        assert type(storage.get_session("another")) is Session
