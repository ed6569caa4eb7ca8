"""What is MongoDB's own: servers that stop, answers that are lost, and addresses."""

from __future__ import annotations

import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from chronos_storage import Storage, connect
from chronos_storage.backends.document import Document, Entry, Write, mongodb_line
from chronos_storage.backends.document.mongodb import MongoBackend, MongoDriver
from chronos_storage.exceptions import ConfigurationError, RetryTransaction
from chronos_storage.records import Checkpoint, Event, Message, Session
from tests import servers
from tests.cutting import Cutter, check_nothing_doubles
from tests.databases import needs_mongodb, new_mongodb

pytestmark = needs_mongodb

WRITERS, PATIENCE = 4, 60


@pytest.fixture
def database() -> Iterator[tuple[str, str]]:
    with new_mongodb() as place:
        yield place


def test_a_server_that_stands_alone_is_told_what_to_do() -> None:
    server = servers.own_mongodb(replica_set=False)
    assert server is not None
    server.start()
    with closing(connect(server.url)) as storage:
        for call in (storage.migrate, storage.list_sessions, lambda: storage.create_session(Session(id="s"))):
            with pytest.raises(ConfigurationError, match=r"--replSet rs0, and run rs\.initiate\(\)"):
                call()
        assert "--replSet" in storage.health().problems[0]
    server.kill()


@pytest.fixture(scope="module")
def server() -> Iterator[servers.Server]:
    """A replica set of the module's own, which may be stopped."""
    server = servers.own_mongodb()
    assert server is not None
    server.start()
    yield server
    server.kill()


def test_a_call_waits_for_the_next_primary(server: servers.Server) -> None:
    with (
        closing(connect(f"{server.url}&serverSelectionTimeoutMS=60000", collection="elected")) as storage,
        MongoClient(f"{server.url.partition('?')[0]}?directConnection=true") as client,
        ThreadPoolExecutor(1) as pool,
    ):
        storage.create_session(Session(id="s"))
        client.admin.command("replSetStepDown", 600, force=True)
        waiting = pool.submit(storage.append_event, Event(session_id="s"))
        client.admin.command("replSetFreeze", 0)  # who stands for election now
        assert waiting.result(PATIENCE).seq_num == 1
        assert storage.count_events("s") == 1


def test_a_server_killed_under_load_loses_nothing_and_is_found_again(server: servers.Server) -> None:
    storage = connect(f"{server.url}&serverSelectionTimeoutMS=2000", migrate=True)
    storage.create_session(Session(id="s"))
    acknowledged: list[set[tuple[int, str]]] = [set() for _ in range(WRITERS)]
    failed, is_back = threading.Event(), threading.Event()
    errors: list[BaseException] = []

    def write(mine: set[tuple[int, str]]) -> None:
        try:
            while True:
                was_back = is_back.is_set()
                try:
                    event = storage.append_event(Event(session_id="s"))
                except RetryTransaction:
                    failed.set()
                else:
                    mine.add((event.seq_num, event.id))
                    if was_back:
                        return
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=[mine]) for mine in acknowledged]
    for thread in threads:
        thread.start()
    while min(map(len, acknowledged)) < 5 and not errors:
        time.sleep(0.01)
    server.kill()
    assert failed.wait(PATIENCE)
    health = storage.health()
    assert not health.ok
    assert health.problems == ("no MongoDB server was found that takes writes",)
    server.start()
    is_back.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert errors == []
    assert storage.health().ok
    stored = storage.list_events("s")
    assert [event.seq_num for event in stored] == [*range(1, len(stored) + 1)]
    assert set().union(*acknowledged) <= {(event.seq_num, event.id) for event in stored}
    assert storage.verify_events("s").intact
    storage.close()


@pytest.mark.parametrize("message", [b"find", b"update", b"commitTransaction"])
def test_nothing_doubles_where_an_answer_is_lost(database: tuple[str, str], message: bytes) -> None:
    uri, name = database
    cutter = Cutter(urlsplit(uri).port)
    address = f"mongodb://127.0.0.1:{cutter.port}/{name}?directConnection=true&retryWrites=false&retryReads=false"
    with closing(connect(address, migrate=True)) as storage:
        check_nothing_doubles(storage, cutter, message)
    cutter.close()


def test_a_fork_has_a_client_of_its_own(database: tuple[str, str]) -> None:
    uri, name = database
    with closing(connect(uri, database=name, migrate=True)) as storage:
        storage.create_session(Session(id="s"))
        if not (child := os.fork()):
            status = 1
            with suppress(BaseException):
                storage.append_event(Event(session_id="s", id="of the child"))
                status = 0
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        storage.append_event(Event(session_id="s", id="of the parent"))
        assert [event.id for event in storage.list_events("s")] == ["of the child", "of the parent"]


def test_threads_go_on_with_a_storage_that_another_closes(database: tuple[str, str]) -> None:
    uri, name = database
    storage = connect(uri, database=name, migrate=True)
    storage.create_session(Session(id="s"))

    def append() -> None:
        for _ in range(5):
            storage.append_event(Event(session_id="s"))
            storage.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        for done in [pool.submit(append) for _ in range(WRITERS)]:
            done.result()
    assert storage.count_events("s") == 5 * WRITERS
    storage.close()


def test_keys_and_places_of_any_text_are_kept_apart(database: tuple[str, str]) -> None:
    uri, name = database
    driver = MongoBackend(uri, name).driver
    places = [
        Entry(("a",), "\x00\x00b"),
        Entry(("a", ""), "\x00b"),
        Entry(("a", "", ""), "b"),
        Entry(("a",), "b"),
        Entry(("A",), "b"),
        Entry(("a",), "\U0001f600"),
        Entry(("a",), "\uffee"),
        Entry(("a",), "$gt"),
    ]
    keys = [("k", str(number)) for number in range(len(places))]
    assert driver.commit(
        [Write(key, None, Document(key, "{}", (place,))) for key, place in zip(keys, places, strict=True)]
    )
    for partition in {place.partition for place in places}:
        found = driver.scan(partition, limit=9, size=9)
        of_it = sorted(place.sort for place in places if place.partition == partition)
        assert [place for place, _ in found] == of_it
        assert [tuple(document.entries) for _, document in found] == [(Entry(partition, sort),) for sort in of_it]
    driver.close()


def test_documents_of_any_length_come_in_their_order_however_many_are_asked_for(database: tuple[str, str]) -> None:
    uri, name = database
    driver = MongoBackend(uri, name).driver
    bodies = {f"{number}": "x" * length for number, length in enumerate((2, 20_000, 1_000, 100_000, 15_000))}
    for sort, body in bodies.items():
        assert driver.commit([Write(("k", sort), None, Document(("k", sort), body, (Entry(("p",), sort),)))])
    for limit in (2, 5, 500):
        for reverse in (False, True):
            found = driver.scan(("p",), limit=limit, size=10**6, reverse=reverse)
            expected = sorted(bodies.items(), reverse=reverse)[:limit]
            assert [(place, document.body) for place, document in found] == expected
        assert [place for place, _ in driver.scan(("p",), limit=limit, size=20_000)] == ["0", "1"]
    driver.close()


def test_what_lies_between_the_documents_of_a_call_is_not_gone_through(database: tuple[str, str]) -> None:
    uri, name = database
    with closing(connect(uri, database=name, migrate=True)) as storage, MongoClient(uri) as client:
        collection = client[name]["storage"]
        for id in ("a", "z"):
            storage.create_session(Session(id=id, agent_id=id, user_id="u"))
        storage.save_checkpoint(Checkpoint(session_id="a", id="c"))
        for end in list(collection.find({"_id": {"$regex": "a$"}})):
            if "\x00u\x00" not in end["_id"]:  # but in what is listed
                collection.insert_many([end | {"_id": f"{end['_id']}{number}", "e": []} for number in range(500)])
        storage.create_session(Session(id="s", agent_id="a"))
        calls: dict[str, Callable[[], object]] = {
            "a message": lambda: storage.add_message(Message(session_id="a", role="user", content="x")),
            "many messages": lambda: storage.add_messages([Message(session_id="s", role="user") for _ in range(60)]),
            "a change": lambda: storage.patch_session("a", status="paused", container_id="c"),
            "a list": lambda: [each.id for each in storage.list_sessions(user_id="u")],
            "a short list": lambda: [each.id for each in storage.list_sessions(user_id="u", limit=2)],
            "a deletion": lambda: storage.delete_session("z"),
            "an erasure": lambda: storage.delete_session("s", hard=True),
        }
        for call, make in calls.items():
            client[name].command("profile", 2)
            made = make()
            client[name].command("profile", 0)
            examined = sum(each.get("docsExamined", 0) for each in client[name]["system.profile"].find())
            assert examined < 450, call
            client[name].drop_collection("system.profile")
            assert made == ["z", "a"] or "list" not in call


def test_a_collection_of_somebody_else_s_is_refused(database: tuple[str, str]) -> None:
    uri, name = database
    with MongoClient(uri) as client:
        client[name].theirs.insert_one({"key": "value"})
        client[name].create_collection("german", collation={"locale": "de"})
    for collection, problem in (("theirs", "somebody else"), ("german", "a collation")):
        storage = connect(uri, database=name, collection=collection)
        with closing(storage), pytest.raises(ConfigurationError, match=problem):
            storage.migrate()


@pytest.mark.parametrize("address", ["mongodb://ada:geh@eim@h:p/x", "mongodb://ada:geh/eim@h/x", "mongodb://"])
def test_an_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(ConfigurationError, match="is written mongodb://user:password@host:27017/name") as refused:
        connect(address)
    assert "eim" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_password_is_in_no_error(database: tuple[str, str]) -> None:
    address = f"mongodb://ada:geheim@127.0.0.1:{urlsplit(database[0]).port}/?heartbeatFrequencyMS=500"
    with closing(connect(address)) as storage:
        with pytest.raises(ConfigurationError, match="does not let us in: Authentication failed") as failed:
            storage.list_sessions()
        texts = [repr(storage), *storage.health().problems, "".join(traceback.format_exception(failed.value))]
    assert [text for text in texts if "geheim" in text] == []


# Turns


class Far(MongoDriver):
    """A driver whose writer is far away: what it has read is old before it can write."""

    def commit(self, writes: Any) -> bool:
        time.sleep(0.05)
        return super().commit(writes)


def test_a_writer_who_is_far_away_has_his_turn(database: tuple[str, str]) -> None:
    """Against: whoever is always faster has the session for himself, until the other gives up."""
    uri, name = database
    far, *near = (connect(uri, database=name) for _ in range(3))  # each with a line of its own, as processes have
    driver_of(far).__class__ = Far
    far.create_session(Session(id="s"))
    is_over = threading.Event()

    def append_on_and_on(storage: Storage) -> None:
        while not is_over.is_set():
            storage.append_event(Event(session_id="s"))

    threads = [threading.Thread(target=append_on_and_on, args=[storage]) for storage in near]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            far.append_event(Event(session_id="s", type="far"))
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert far.verify_events("s").intact
    for storage in (far, *near):
        storage.close()


def test_who_died_in_his_turn_holds_up_nobody_for_long(database: tuple[str, str]) -> None:
    uri, name = database
    storage, dead = (connect(uri, database=name) for _ in range(2))
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s"))
    with MongoClient(uri) as client:
        turn = driver_of(dead).turn({("head", "event", "s", "")}, PATIENCE)
        turn.__enter__()
        places = client[name].storage
        (place,) = places.find({"_id": {"$gte": "l", "$lt": "m"}})
        # He waits until the place of the dead one is over, which is now rather than in some seconds.
        places.update_one({"_id": place["_id"]}, {"$set": {"until": place["since"]}})
        storage.append_event(Event(session_id="s"))
        assert list(places.find({"_id": {"$gte": "l", "$lt": "m"}})) == []
        assert places.count_documents({"turn": {"$exists": True}}) == 0
    turn.__exit__(None, None, None)
    for each in (storage, dead):
        each.close()


def test_a_turn_lasts_as_long_as_a_large_commit(database: tuple[str, str]) -> None:
    uri, name = database
    with closing(connect(uri, database=name)) as storage, MongoClient(uri) as client:
        driver, places = driver_of(storage), client[name].storage
        driver.most = (1, 1_000)
        with driver.turn({("head", "event", "s", "")}, PATIENCE):
            (place,) = places.find({"_id": {"$gte": "l", "$lt": "m"}})
            places.update_one({"_id": place["_id"]}, {"$set": {"until": place["since"]}})  # as it is after some seconds
            assert driver.commit([Write((f"{n}",), None, Document((f"{n}",), "{}")) for n in range(2)])
            (kept,) = places.find({"_id": place["_id"]})
            assert kept["until"] > place["since"]


def test_they_come_as_they_stood_in_line(database: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One who comes has no chance while others wait."""
    monkeypatch.setitem(mongodb_line._SOON, "$add", ["$$NOW", 600_000])  # nobody is taken for dead
    uri, name = database
    first, second, third = stores = [connect(uri, database=name) for _ in range(3)]
    first.create_session(Session(id="s"))
    first.append_event(Event(session_id="s"))
    keys = {("head", "event", "s", "")}
    done: list[str] = []

    def append(storage: Storage, kind: str) -> None:
        storage.append_event(Event(session_id="s", type=kind))
        done.append(kind)

    with MongoClient(uri) as client, ThreadPoolExecutor(2) as pool:
        with driver_of(first).turn(keys, PATIENCE):
            waiting = []
            for number, storage in enumerate((second, third), 1):
                waiting.append(pool.submit(append, storage, str(number)))
                while client[name].storage.count_documents({"_id": {"$gte": "l", "$lt": "m"}}) <= number:
                    assert not waiting[-1].done()
                    time.sleep(0.01)
            assert done == []
        for each in waiting:
            each.result()
    assert [event.type for event in first.list_events("s")][1:] == ["1", "2"]
    for storage in stores:
        storage.close()


def driver_of(storage: Storage) -> Any:
    backend: Any = storage.backend
    return backend.driver
