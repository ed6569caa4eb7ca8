"""The storage in memory beyond the contract: who shares it, its transactions, its signals, and what it looks at."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chronos_storage import connect, signals, storages
from chronos_storage.backends.document import DocumentBackend, MemoryBackend
from chronos_storage.backends.document.driver import Document, Write
from chronos_storage.backends.document.indexes import series_of
from chronos_storage.backends.document.memory import MemoryDriver
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.facade import Storage
from chronos_storage.records import AuditLog, Checkpoint, Event, Image, MemoryRecord, Message, Session, Trace
from tests.conformance.stubborn import StubbornDriver
from tests.integration.test_facade import everything, python, write_everything

BACKEND = "chronos_storage.backends.document.MemoryBackend"


class Abandoned(Exception):
    pass


@pytest.fixture
def storage() -> Storage:
    return Storage(MemoryBackend())


# Who shares it


def test_it_needs_no_settings_and_no_models() -> None:
    code = """
import sys
from chronos_storage import connect
from chronos_storage.records import Event, Session
store = connect("memory://", migrate=True)
store.create_session(Session(id="s"))
store.append_event(Event(session_id="s", payload={"n": 1}))
print(store.verify_events("s").checked, store.health().ok, "chronos_storage.models" in sys.modules)
"""
    assert python(code) == "1 True False"


def test_the_same_name_is_the_same_data() -> None:
    connect("memory://shared%20by%20name").create_session(Session(id="s", title="there"))
    assert Storage(MemoryBackend("shared by name")).get_session("s").title == "there"
    assert connect("memory://shared%20by%20name").get_session("s").title == "there"
    assert connect("memory://another name").get_session("s") is None
    assert connect("memory://another name").health().store == "memory 'another name'"


def test_without_a_name_it_is_ones_own() -> None:
    stores = [Storage(MemoryBackend()), Storage(MemoryBackend()), connect("memory://"), connect("memory://")]
    stores[0].create_session(Session(id="s"))
    assert [store.get_session("s") is None for store in stores] == [False, True, True, True]


def test_an_address_in_memory_takes_no_options() -> None:
    with pytest.raises(ConfigurationError, match="conn_max_age"):
        connect("memory://", conn_max_age=5)


def test_it_can_be_named_in_the_settings(settings) -> None:
    settings.CHRONOS_STORAGE = {
        "STORAGES": {
            "one": {"BACKEND": BACKEND, "OPTIONS": {"NAME": "of the settings"}},
            "same": {"BACKEND": BACKEND, "OPTIONS": {"NAME": "of the settings"}},
            "own": {"BACKEND": BACKEND},
        }
    }
    storages["one"].create_session(Session(id="s"))
    assert storages["same"].get_session("s") is not None
    assert storages["own"].get_session("s") is None
    storages["own"].create_session(Session(id="s"))
    assert storages["own"].get_session("s") is not None


# Transactions


def lists(store: Storage) -> list[Any]:
    """What goes by the indexes, each of them."""
    return [
        *[
            store.list_sessions(order=order, limit=None, include_deleted=True, **filters)
            for order in ("-created_at", "-last_activity_at")
            for filters in ({}, {"agent_id": "a"}, {"user_id": "u"}, {"image_id": "i"}, {"status": "active"})
        ],
        *[store.list_audit_logs(limit=None, **filters) for filters in ({}, {"session_id": "s"}, {"action": "do"})],
        *[store.list_memory("a"), store.list_traces("s"), store.list_images(name="n"), store.list_containers()],
        *[store.list_messages("s"), store.list_events("s"), store.list_checkpoints("s")],
    ]


def test_what_is_rolled_back_leaves_lists_and_numbers_as_they_were(storage) -> None:
    write_everything(storage)
    for number in range(50):
        storage.append_audit_log(AuditLog(session_id="s" if number % 2 else "t", action="do"))
    before = everything(storage), lists(storage)

    def change_all() -> None:
        with storage.atomic():
            storage.patch_session("s", agent_id="b", status="ended", image_id="j")
            storage.add_messages([Message(session_id="s", role="user") for _ in range(50)])
            storage.put_memory(MemoryRecord(agent_id="a", key="k", value=2))
            storage.save_image(Image(id="i", name="m"))
            storage.delete_session("s", hard=True)
            write_everything(storage, "t")
            storage.create_session(Session(id="s", agent_id="a"))
            storage.append_event(Event(session_id="s"))
            raise Abandoned

    with pytest.raises(Abandoned):
        change_all()
    assert (everything(storage), lists(storage)) == before
    assert storage.append_event(Event(session_id="s")).seq_num == 4
    assert storage.add_message(Message(session_id="s", role="user")).seq_num == 2
    assert all(verdict.intact for verdict in storage.verify_all())


@pytest.mark.parametrize("fails", [False, True])
def test_other_threads_see_a_transaction_whole_or_not_at_all(storage, fails: bool) -> None:
    storage.create_session(Session(id="s"))
    seen: list[int] = []
    reader = threading.Thread(target=lambda: seen.append(storage.count_events("s")))

    def append() -> None:
        with storage.atomic():
            storage.append_event(Event(session_id="s"))
            reader.start()
            reader.join(0.05)
            storage.append_event(Event(session_id="s"))
            assert seen == []
            if fails:
                raise Abandoned

    if fails:
        with pytest.raises(Abandoned):
            append()
    else:
        append()
    reader.join(60)
    assert seen == [0 if fails else 2]


# Purges


@pytest.mark.parametrize("driver", [MemoryDriver, StubbornDriver])
def test_a_purge_happens_at_the_end_of_its_block_or_not_at_all(driver) -> None:
    store = Storage(DocumentBackend(driver()))
    store.create_session(Session(id="s"))
    store.append_events([Event(session_id="s")] * 5)
    before = everything(store)

    def fail() -> None:
        with store.purge_permit(reason="in vain") as permit:
            assert permit.purge_events("s", through_seq=3) == 3
            raise Abandoned

    with pytest.raises(Abandoned):
        fail()
    assert everything(store) == before
    with store.purge_permit(reason="old") as permit:
        assert permit.purge_events("s", through_seq=2) == 2
        assert permit.purge_events("s", through_seq=4) == 2
        store.append_event(Event(session_id="s"))
        assert store.count_events("s") == 6
    assert [event.seq_num for event in store.list_events("s")] == [5, 6]
    assert store.count_events("s") == 2
    [entry] = store.list_audit_logs()
    assert entry.detail == {
        "reason": "old",
        "chains": [{"kind": "event", "chain": "s", "rows": 4, "through_seq": 4}],
    }
    assert all(verdict.intact for verdict in store.verify_all())


# What was changed behind the storage's back


def changed(driver: MemoryDriver, number: int, now: Any) -> None:
    """Write to the document of an event, as whoever gets at the store could."""
    [(_, document)] = driver.scan(series_of("event", "s"), above=f"{number - 1:019}", limit=1, size=1)
    assert driver.commit([Write(document.key, document, now(document))])


@pytest.mark.parametrize(
    "now",
    [
        lambda document: replace(document, body=document.body.replace("old", "new")),
        lambda document: replace(document, body=document.body.replace('"seq_num":3', '"seq_num":9')),
        lambda document: None,
        lambda document: Document(document.key, document.body.replace('"id":"e3"', '"id":"e9"'), document.entries),
    ],
    ids=["content", "number", "removed", "id"],
)
def test_the_chains_show_what_was_changed(now) -> None:
    driver = MemoryDriver()
    store = Storage(DocumentBackend(driver))
    store.create_session(Session(id="s"))
    store.append_events([Event(id=f"e{n}", session_id="s", payload={"n": "old"}) for n in range(1, 6)])
    assert store.verify_events("s").intact
    changed(driver, 3, now)
    verdict = store.verify_events("s")
    assert (verdict.intact, verdict.bad_seq) == (False, 3)
    assert [verdict.intact for verdict in store.verify_all()] == [False]


# Signals


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """What receivers heard: the sender's name, and what was written."""
    heard: list[Any] = []

    def receive(sender: type[Any], **details: Any) -> None:
        assert details.pop("using") is None
        details.pop("signal")
        heard.append((sender.__name__, *details))

    connected = (signals.records_written, signals.session_deleted, signals.ledger_purged)
    for signal in connected:
        signal.connect(receive)
    yield heard
    for signal in connected:
        signal.disconnect(receive)


def test_receivers_hear_of_what_was_written_once_it_is_committed(storage, heard) -> None:
    write_everything(storage)
    names = [name for name, *_ in heard]
    assert names.count("Event") == 2
    for record in (Session, Message, MemoryRecord, AuditLog, Trace, Checkpoint):
        assert record.__name__ in names
    del heard[:]
    with storage.atomic():
        storage.append_event(Event(session_id="s"))
        with contextlib.suppress(Abandoned), storage.atomic():
            storage.append_event(Event(session_id="s"))
            raise Abandoned
        assert heard == []
    assert heard == [("Event", "records")]


def test_receivers_hear_of_deletions_and_not_of_what_was_stored_already(storage, heard) -> None:
    write_everything(storage)
    del heard[:]
    storage.append_event(storage.list_events("s")[0])
    assert heard == []
    storage.delete_session("s")
    storage.delete_session("s", hard=True)
    storage.delete_session("s", hard=True)
    assert heard == [
        ("Session", "session_id", "hard"),
        ("AuditLog", "audit_log"),
        ("Session", "session_id", "hard"),
    ]


# What it looks at


class Counting(MemoryDriver):
    """Counts the documents that are looked at."""

    seen = 0

    def read(self, keys: Any) -> Any:
        found = super().read(keys)
        self.seen += len(found)
        return found

    def scan(self, *arguments: Any, **options: Any) -> Any:
        found = super().scan(*arguments, **options)
        self.seen += len(found)
        return found


FEW: dict[str, Any] = {
    "append_event": lambda store: store.append_event(Event(session_id="s7", payload=1)),
    "append_event of an id": lambda store: store.append_event(Event(id="new", session_id="s7", payload=1)),
    "append_event again": lambda store: store.append_event(Event(id="e5", session_id="s7", payload=5)),
    "add_message": lambda store: store.add_message(Message(session_id="s7", role="user")),
    "save_checkpoint": lambda store: store.save_checkpoint(Checkpoint(session_id="s7")),
    "append_audit_log": lambda store: store.append_audit_log(AuditLog(session_id="s7")),
    "put_memory": lambda store: store.put_memory(MemoryRecord(agent_id="a", key="5", value=1)),
    "patch_session": lambda store: store.patch_session("s7", title="t"),
    "get_event": lambda store: store.get_event("e5"),
    "list_events": lambda store: store.list_events("s7", 150, limit=10),
    "get_recent_events": lambda store: store.get_recent_events("s7", 10),
    "list_sessions": lambda store: store.list_sessions("a7", limit=10),
    "list_sessions of two": lambda store: store.list_sessions("a7", user_id="u7", limit=1),
    "list_sessions by activity": lambda store: store.list_sessions(order="-last_activity_at", limit=10),
    "list_messages": lambda store: store.list_messages("s7", order="desc", limit=10),
    "list_audit_logs": lambda store: store.list_audit_logs(action="rare"),
    "get_memory": lambda store: store.get_memory("a", "5"),
    "get_latest_checkpoint": lambda store: store.get_latest_checkpoint("s7"),
    "count_events": lambda store: store.count_events("s7"),
    "count_messages": lambda store: store.count_messages("s7"),
    "last_seq": lambda store: store.last_seq("s7"),
}


@pytest.mark.parametrize("name", FEW)
def test_nothing_looks_at_more_than_it_gives(name: str) -> None:
    """Against: unindexed listing, whole-array rewrite per message, numbers computed as a count."""
    driver = Counting()
    store = Storage(DocumentBackend(driver))
    for number in range(100):
        store.create_session(Session(id=f"s{number}", agent_id=f"a{number % 10}", user_id=f"u{number}"))
        store.append_audit_log(AuditLog(session_id="s7", action="" if number else "rare"))
    store.append_events([Event(id=f"e{number}", session_id="s7", payload=number) for number in range(200)])
    store.add_messages([Message(session_id="s7", role="user") for _ in range(200)])
    for number in range(50):
        store.put_memory(MemoryRecord(agent_id="a", key=f"{number}"))
        store.save_checkpoint(Checkpoint(session_id="s7"))
    driver.seen = 0
    FEW[name](store)
    assert 0 < driver.seen <= 10


# Commands


def test_the_commands_work_on_it(settings, tmp_path) -> None:
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": BACKEND}}}
    path = tmp_path / "conversations.jsonl"
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    path.write_text((json.dumps({"messages": said}) + "\n") * 3)
    for imported, there in ((3, 0), (0, 3)):
        output = StringIO()
        call_command("chronos_import", str(path), stdout=output, stderr=StringIO())
        assert f"{imported} imported, {there} already there" in output.getvalue()
    output = StringIO()
    call_command("chronos_verify", stdout=output, stderr=StringIO())
    assert "Chains: 3 checked, 0 broken. Rows: 6." in output.getvalue()
    with pytest.raises(CommandError, match="nothing"):
        call_command("chronos_verify", session="nothing", stdout=StringIO(), stderr=StringIO())
