"""The store over DynamoDB, as moto has it: large commits and killed writers, lost answers, turns, addresses."""

from __future__ import annotations

import itertools
import json
import os
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.awsrequest import AWSResponse

from chronos_storage import Storage, connect
from chronos_storage.backends.document import (
    Document,
    Entry,
    Write,
    dynamodb,
    dynamodb_changes,
    dynamodb_large,
    dynamodb_line,
    dynamodb_server,
)
from chronos_storage.backends.document.dynamodb import DynamoBackend, DynamoDriver
from chronos_storage.backends.document.dynamodb_items import AFTER, Address, place_key, sort_of
from chronos_storage.exceptions import ConfigurationError, RetryTransaction, StoreFailure
from chronos_storage.records import Event, Message, Session
from tests.cutting import Cutter, check_nothing_doubles
from tests.databases import needs_dynamodb, new_dynamodb

pytestmark = needs_dynamodb

PATIENCE = 60


@pytest.fixture
def place() -> tuple[str, str]:
    return new_dynamodb()


@pytest.fixture
def storage(place: tuple[str, str]) -> Iterator[Storage]:
    url, table = place
    with closing(connect(url, table=table, migrate=True)) as storage:
        yield storage


@pytest.fixture
def driver(storage: Storage) -> Any:
    return driver_of(storage)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than five items are a large commit, some kilobytes a large body, and nobody waits for the dead."""
    monkeypatch.setattr(dynamodb_changes, "ITEMS", 5)
    monkeypatch.setattr(dynamodb_changes, "_PIECE", 2000)
    for name in ("INLINE", "INLINE_OF_MANY"):
        monkeypatch.setattr(dynamodb, name, 1500)
    monkeypatch.setattr(dynamodb_large, "DEAD_AFTER", 0.0)


def driver_of(storage: Storage) -> Any:
    backend: Any = storage.backend
    return backend.driver


def document(number: int, body: str = "{}") -> Document:
    """One at a place that it has, and at one of those that all have."""
    sort = f"{number:05}"
    return Document(("k", sort), body, (Entry(("p",), sort), Entry(("q", "all"), sort)))


def bodies(driver: DynamoDriver, partition: str = "p") -> dict[str, str]:
    key = ("p",) if partition == "p" else ("q", "all")
    return {place: found.body for place, found in driver.scan(key, limit=1000, size=10_000_000)}


def raw(driver: DynamoDriver) -> list[Any]:
    """All items of the table."""
    items: list[Any] = []
    request: dict[str, Any] = {}
    while True:
        answer = driver.server.ask("scan", ConsistentRead=True, **request)
        items += answer["Items"]
        if not (last := answer.get("LastEvaluatedKey")):
            return items
        request = {"ExclusiveStartKey": last}


def killed_at(step: int, driver: DynamoDriver, call: Callable[[], object]) -> bool:
    """Make a call in a process that is killed before its n-th request that writes; whether it came that far."""
    client = driver.server._connected()
    if not (child := os.fork()):
        with suppress(BaseException):
            # Another takes a second to be made; this one is at rest here meanwhile.
            driver.server._client = client
            steps = itertools.count(1)
            ask = driver.server.ask

            def counted(operation: str, **parameters: Any) -> Any:
                if "write" in operation and next(steps) == step:
                    os._exit(9)
                return ask(operation, **parameters)

            driver.server.ask = counted
            call()
            os._exit(0)
        os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


# Large commits


@pytest.mark.usefixtures("small")
def test_a_large_commit_that_is_killed_on_its_way_is_whole_or_nothing(driver: DynamoDriver) -> None:
    """It changes, removes and adds, and some bodies are in pieces; readers and another writer come in between."""
    long = "".join(map(chr, random.Random(1).choices(range(32, 0xD7FF), k=2_000)))
    for step in itertools.count(2, 3):  # of those between two writes a third is enough
        assert driver.commit([Write(("k", f"{n:05}"), None, document(n, long if n == 1 else "old")) for n in range(3)])
        old = bodies(driver)
        was = driver.read([("k", f"{n:05}") for n in range(3)])
        key = [("k", f"{n:05}") for n in range(5)]
        writes = [
            Write(key[0], was[key[0]], document(0, "new")),
            Write(key[1], was[key[1]], document(1, long[::-1])),
            Write(key[2], was[key[2]], None),
            Write(key[3], None, document(3, "new")),
            Write(key[4], None, None),
        ]
        new = {"00000": "new", "00001": long[::-1], "00003": "new"}
        is_killed = killed_at(step, driver, partial(driver.commit, writes))
        found = bodies(driver)
        assert found == (new if "00003" in found else old)
        assert bodies(driver, "q") == found
        # The next to write takes the dead one's place, if it is in his way.
        for _ in range(PATIENCE):
            there = driver.read(key)
            if driver.commit([Write(each, there.get(each), None) for each in key]):
                break
        assert bodies(driver) == {}
        if not is_killed:
            assert raw(driver) == []
            return
        # Of who was in nobody's way the pieces may be left, and his record.
        assert {item["pk"]["S"][0] for item in raw(driver)} <= {"p", "t"}
        forget(driver)


def forget(driver: DynamoDriver) -> None:
    """Have the sweep find what was left, as it does after an hour."""
    for item in raw(driver):
        if item["pk"]["S"] == "t":
            driver._large._finish(item["sk"]["B"].decode())
    assert raw(driver) == []


@pytest.mark.usefixtures("small")
def test_a_deletion_that_is_killed_goes_on(storage: Storage) -> None:
    driver = driver_of(storage)
    for step in (4, 20):
        storage.create_session(Session(id="s"))
        storage.append_events([Event(session_id="s", payload=n) for n in range(3)])
        storage.add_messages([Message(session_id="s", role="user", content=str(n)) for n in range(3)])
        killed_at(step, driver, lambda: storage.delete_session("s", hard=True))
        assert len(storage.list_events("s")) in (0, 3)
        assert storage.count_messages("s") == len(storage.list_messages("s"))
        storage.delete_session("s", hard=True)
        assert (storage.get_session("s", include_deleted=True), storage.list_events("s")) == (None, [])


@pytest.mark.usefixtures("small")
def test_a_writer_who_was_taken_for_dead_writes_nothing(driver: DynamoDriver) -> None:
    other = DynamoBackend(url=os.environ["TEST_DYNAMODB_URL"], table=driver.server.table).driver
    assert isinstance(other, DynamoDriver)
    assert driver.commit([Write(("k", "00000"), None, document(0))])
    was = driver.read([("k", "00000")])[("k", "00000")]
    ask, met = driver.server.ask, itertools.count()

    def slow(operation: str, **parameters: Any) -> Any:
        # Between two of his steps somebody meets what he has noted, twice, and gives it up.
        if operation == "transact_write_items" and next(met) == 3:
            for _ in range(3):
                other.read([("k", "00000")])
        return ask(operation, **parameters)

    driver.server.ask = slow
    assert not driver.commit(
        [
            Write(("k", "00000"), was, document(0, "new")),
            *(Write(("k", f"{n:05}"), None, document(n)) for n in range(1, 5)),
        ]
    )
    driver.server.ask = ask
    assert bodies(driver) == {"00000": "{}"}
    assert len(raw(driver)) == 3
    other.close()


def test_a_commit_of_more_than_a_hundred_items_and_four_megabytes(driver: DynamoDriver) -> None:
    text = "".join(map(chr, random.Random(2).choices(range(32, 0xD7FF), k=70_000)))
    writes = [Write(("k", f"{n:05}"), None, document(n, f"{n}{text}")) for n in range(17)]
    assert driver.commit(writes)
    assert not driver.commit(writes)
    assert bodies(driver) == {f"{n:05}": f"{n}{text}" for n in range(17)}
    there = driver.read([write.key for write in writes])
    assert driver.commit([Write(key, found, None) for key, found in there.items()])
    assert raw(driver) == []


# What is read


class Torn(DynamoDriver):
    """One that looks while DynamoDB has written one item of a transaction, and not yet another."""

    hidden: Any
    item: Any
    looks = 0

    def _look(self, *arguments: Any) -> Any:
        self.looks += 1
        if self.looks == 1:
            self.server.remove([self.hidden])
            found = super()._look(*arguments)
            self.server.write([self.item])
            return found
        return super()._look(*arguments)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_partition_is_seen_as_a_whole(driver: DynamoDriver, reverse: bool) -> None:
    driver.commit([Write(("k", f"{n:05}"), None, document(n)) for n in range(4)])
    torn = Torn(driver.server)
    torn.item = next(item for item in raw(driver) if item["pk"]["S"] == "ip" and sort_of(item["sk"]["B"]) == "00001")
    torn.hidden = Address("ip", torn.item["sk"]["B"])
    found = torn.scan(("p",), limit=3, size=1000, reverse=reverse, above="00000", below="00003")
    assert [place for place, _ in found] == (["00002", "00001"] if reverse else ["00001", "00002"])
    assert torn.looks == 2


def test_what_comes_or_goes_together_is_seen_so_by_one_look(driver: DynamoDriver) -> None:
    """Where documents stay at their places, as a session's events do."""
    events = ("event", "seq_num", "session_id", "s")
    asked, ask = [], driver.server.ask

    def recorded(operation: str, **parameters: Any) -> Any:
        asked.append((operation, parameters))
        return ask(operation, **parameters)

    driver.server.ask = recorded
    new = [replace(document(n), entries=(Entry(events, f"{n}"),)) for n in range(4)]
    assert driver.commit([Write(each.key, None, each) for each in new])
    for bounds in ({}, {"above": "0"}, {"below": "3"}, {"above": "0", "reverse": True}):
        asked.clear()
        assert len(driver.scan(events, limit=3, size=1000, **bounds)) == min(3, 4 - len({*bounds} - {"reverse"}))
        assert [operation for operation, _ in asked] == ["query"]
    places = [item for item in raw(driver) if item["pk"]["S"].startswith("ievent")]
    for hidden in places:
        torn = Torn(driver.server)
        torn.item, torn.hidden = hidden, Address(hidden["pk"]["S"], hidden["sk"]["B"])
        assert [place for place, _ in torn.scan(events, limit=9, size=1000)] == ["0", "1", "2", "3"]
        assert torn.looks == 2
    asked.clear()
    found = driver.read([each.key for each in new])
    assert driver.commit([Write(key, was, None) for key, was in found.items()])
    # No place went before it was noted at it that it goes, and decided.
    gone = [each["Delete"] for _, request in asked for each in request.get("TransactItems", ()) if "Delete" in each]
    assert {each["ConditionExpression"] for each in gone} == {"t = :t"}
    assert raw(driver) == []


def test_what_moves_while_it_is_listed_is_not_missed(storage: Storage) -> None:
    driver = driver_of(storage)
    for id in "abc":
        storage.create_session(Session(id=id))
    look, looks = driver._look, itertools.count()

    def moved(*arguments: Any) -> Any:
        if next(looks):
            return look(*arguments)
        # It is seen neither where it was, as it has left, nor where it is, as that was looked at before.
        before = {each["sk"]["B"]: each for each in look(*arguments)[0]}
        storage.add_message(Message(session_id="a", role="user", content="x"))
        found, *more = look(*arguments)
        return [each for each in found if each["sk"]["B"] in before], *more

    driver._look = moved
    assert [each.id for each in storage.list_sessions(order="-last_activity_at")] == ["a", "c", "b"]


def test_places_are_in_the_order_of_their_code_points() -> None:
    draw = random.Random(3)
    texts = {"", "\x00", "\x7f", "\x80", "\u407f", "\u4080", "\U0010ffff", "a", "a\x00"}
    texts |= {"".join(map(chr, draw.choices([0, 65, 127, 128, 0x3FFF, 0xFFFF, 0x10FFFF], k=4))) for _ in range(300)}
    assert [sort_of(place) for place in sorted(map(place_key, texts))] == sorted(texts)
    assert max(map(place_key, texts)) < AFTER
    assert len(place_key("\U0001f600" * 255 + "2026-01-01T00:00:00.000000Z" + "0" * 19)) < 1024


def test_keys_and_places_of_any_text_are_kept_apart(driver: DynamoDriver) -> None:
    long = "\U0001f600" * 255
    places = [
        Entry(("a",), "b"),
        Entry(("A",), "b"),
        Entry(("a", ""), "b"),
        Entry(("a", "", ""), "b"),
        Entry(("a",), ""),
        Entry(("a",), "\U0001f600"),
        Entry(("a",), "\uffee"),
        Entry((long, long, long), long),
        Entry((long, long, f"{long}x"), long),
    ]
    keys = [("k", str(number), *((long, long) if number > 6 else ())) for number in range(len(places))]
    assert driver.commit(
        [Write(key, None, Document(key, "{}", (place,))) for key, place in zip(keys, places, strict=True)]
    )
    assert driver.read(keys).keys() == set(keys)
    for partition in {place.partition for place in places}:
        found = driver.scan(partition, limit=9, size=99)
        of_it = sorted(place.sort for place in places if place.partition == partition)
        assert [place for place, _ in found] == of_it
        assert [list(found.entries) for _, found in found] == [[Entry(partition, sort)] for sort in of_it]
        assert [found.key for _, found in found] == [keys[places.index(Entry(partition, sort))] for sort in of_it]


def test_what_dynamodb_has_removed_itself_is_not_there(driver: DynamoDriver) -> None:
    """It removes an item after the other, hours or days after the time that it was told."""
    past = datetime.now(UTC) - timedelta(days=1)
    passing = replace(document(1, os.urandom(9000).hex()), expires_at=past)
    assert driver.commit([Write(document(0).key, None, document(0)), Write(passing.key, None, passing)])
    expired = [item for item in raw(driver) if "x" in item]
    assert [int(item["x"]["N"]) for item in expired] == [int(past.timestamp()) + 3600] * 3
    itself = next(item for item in expired if item["pk"]["S"][0] == "d")
    driver.server.remove([Address(itself["pk"]["S"])])
    assert list(bodies(driver)) == list(bodies(driver, "q")) == ["00000"]
    assert driver.commit([Write(passing.key, None, document(1))])
    assert list(bodies(driver)) == list(bodies(driver, "q")) == ["00000", "00001"]


# Lost answers, and too many requests


@pytest.mark.parametrize("message", [b"BatchGetItem", b"Query", b"TransactWriteItems"])
def test_nothing_doubles_where_an_answer_is_lost(storage: Storage, place: tuple[str, str], message: bytes) -> None:
    url, table = place
    cutter = Cutter(urlsplit(parse_qs(urlsplit(url).query)["endpoint_url"][0]).port or 0)
    with closing(connect(url, table=table, endpoint_url=f"http://127.0.0.1:{cutter.port}")) as storage:
        check_nothing_doubles(storage, cutter, message)
    cutter.close()


class Answers:
    """Answers that DynamoDB gives for a while instead of doing what it is asked for."""

    def __init__(self, driver: DynamoDriver, *answers: tuple[int, Any]) -> None:
        self.left = list(answers)
        events = driver.server._connected().meta.events
        events.register("before-send.dynamodb", self.answer)

    def answer(self, request: Any, **_: Any) -> Any:
        if not self.left:
            return None
        status, body = self.left.pop(0)
        if callable(body):
            body = body(json.loads(request.body))
        response = AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0"}, None)
        response._content = json.dumps(body).encode()
        return response


def error(code: str, **more: Any) -> tuple[int, Any]:
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "slow down", **more}


THROTTLED = [
    error("ProvisionedThroughputExceededException"),
    error("RequestLimitExceeded"),
    error("ThrottlingException"),
]
CANCELED = [
    error("TransactionCanceledException", CancellationReasons=[{"Code": "None"}, {"Code": code}])
    for code in ("ThrottlingError", "ProvisionedThroughputExceeded", "TransactionConflict")
]


def test_what_there_is_no_capacity_for_is_asked_again(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driver_of(storage)
    monkeypatch.setattr(dynamodb_server, "_SHORTEST", 0.001)
    storage.create_session(Session(id="s"))
    answers = Answers(driver, *THROTTLED)
    assert storage.get_session("s") is not None
    assert answers.left == []
    was = driver.read([("session", "s")])[("session", "s")]
    answers.left = [*CANCELED]
    write = Write(was.key, was, Document(was.key, was.body, was.entries))
    assert not driver.commit([write])  # at the conflict, after which the storage tries again
    assert driver.commit([write])
    monkeypatch.setattr(dynamodb_server, "_PATIENCE", 0.0)
    answers.left = THROTTLED * 100
    with pytest.raises(RetryTransaction, match="DynamoDB has no capacity for more requests"):
        storage.get_session("s")


def test_what_is_in_progress_is_asked_for_again_as_the_same(driver: DynamoDriver) -> None:
    tokens = set()

    def in_progress(asked: Any) -> Any:
        tokens.add(asked["ClientRequestToken"])
        return error("TransactionInProgressException")[1]

    def done(asked: Any) -> Any:
        tokens.add(asked["ClientRequestToken"])
        return {}

    answers = Answers(driver, (400, in_progress), (400, in_progress), (200, done))
    assert driver.commit([Write(("k",), None, document(0))])
    assert answers.left == []
    assert len(tokens) == 1


def test_what_comes_in_parts_is_followed_to_the_end(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = driver_of(storage)
    monkeypatch.setattr(dynamodb_server, "_SHORTEST", 0.001)
    storage.create_session(Session(id="s"))
    answers = Answers(driver, *[(200, lambda asked: {"Responses": {}, "UnprocessedKeys": asked["RequestItems"]})] * 2)
    assert storage.get_session("s") is not None
    assert answers.left == []
    # More than a megabyte is two pages, of places that have all of their documents.
    for start in (0, 150):
        new = [Document(("k", f"{n:05}"), os.urandom(1900).hex(), (Entry(("p",), f"{n:05}"),)) for n in range(150)]
        new = [
            replace(each, key=("k", f"{start}{each.key[1]}"), entries=(Entry(("p",), f"{start:03}{n}"),))
            for n, each in enumerate(new)
        ]
        assert driver.commit([Write(each.key, None, each) for each in new])
    assert len(bodies(driver)) == 300


# The client and its address


def test_a_server_that_is_away_is_said(place: tuple[str, str]) -> None:
    _, table = place
    with closing(connect(f"dynamodb://ada:geheim@us-east-1/{table}?endpoint_url=http://127.0.0.1:9")) as storage:
        with pytest.raises(RetryTransaction, match="can't be reached, or the connection was lost") as failed:
            storage.list_sessions()
        health = storage.health()
        texts = [repr(storage), *health.problems, "".join(traceback.format_exception(failed.value))]
    assert not health.ok
    assert [text for text in texts if "geheim" in text] == []


def test_a_fork_has_a_client_of_its_own(storage: Storage) -> None:
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


def test_threads_go_on_with_a_storage_that_another_closes(storage: Storage) -> None:
    storage.create_session(Session(id="s"))

    def append() -> None:
        storage.append_event(Event(session_id="s"))
        storage.close()

    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(append) for _ in range(3)]:
            done.result()
    assert storage.count_events("s") == 3


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("dynamodb://us-east-1", "region and table must be given"),
        ("dynamodb://", "is written dynamodb://region/table"),
        ("dynamodb://ada:geheim@us-east-1:80/t", "is written dynamodb://region/table"),
        ("dynamodb://ada:geheim@us-east-1/t?tabel=x", "it has 'tabel', and may have endpoint_url, timeout"),
        ("dynamodb://ada:geheim@us-east-1/t?timeout=geheim", "is written dynamodb://region/table"),
        ("dynamodb://us-east-1/t?endpoint_url=localhost:8000", "begins with http:// or https://"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as refused:
        connect(address)
    assert "geheim" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_table_that_is_missing_or_somebody_else_s_is_refused(place: tuple[str, str], storage: Storage) -> None:
    url, table = place
    server = driver_of(storage).server
    with closing(connect(url, table=f"{table}x")) as other:
        with pytest.raises(ConfigurationError, match=f"there is no table us-east-1/{table}x at 127.0.0.1:.*: migrate"):
            other.list_sessions()
        assert not other.health().ok
        server.ask(
            "create_table",
            TableName=f"{table}x",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        with pytest.raises(ConfigurationError, match="is somebody else's: its keys are not pk"):
            other.migrate()
    with pytest.raises(StoreFailure, match="DynamoDB refused it"):
        server.ask("get_item", Key={"pk": {"S": "x"}})


# Turns


class Far(DynamoDriver):
    """A driver whose writer is far away: what it has read is old before it can write."""

    def commit(self, writes: Any) -> bool:
        time.sleep(0.1)
        return super().commit(writes)


def test_a_writer_who_is_far_away_has_his_turn(place: tuple[str, str], storage: Storage) -> None:
    """Against: whoever is always faster has the session for himself, until the other gives up."""
    url, table = place
    near = connect(url, table=table)  # with a line of its own, as a process has
    driver_of(storage).__class__ = Far
    storage.create_session(Session(id="s"))
    is_over = threading.Event()

    def append_on_and_on() -> None:
        while not is_over.is_set():
            near.append_event(Event(session_id="s"))

    thread = threading.Thread(target=append_on_and_on)
    thread.start()
    try:
        for _ in range(2):
            storage.append_event(Event(session_id="s", type="far"))
    finally:
        is_over.set()
        thread.join()
    assert storage.verify_events("s").intact
    near.close()


def test_who_died_in_his_turn_holds_up_nobody(
    place: tuple[str, str], storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb_line, "DEAD_AFTER", 0.0)
    url, table = place
    dead = connect(url, table=table)
    storage.create_session(Session(id="s"))
    storage.append_event(Event(session_id="s"))
    turn = driver_of(dead).turn({("head", "event", "s", "")}, PATIENCE)
    turn.__enter__()
    storage.append_event(Event(session_id="s"))
    assert [item for item in raw(driver_of(storage)) if item["pk"]["S"][0] == "d" and "w" in item] == []
    turn.__exit__(None, None, None)
    assert storage.count_events("s") == 2
    dead.close()


def test_a_turn_ends_at_what_its_commit_does_not_write(driver: DynamoDriver) -> None:
    """Against: whoever comes for that without a turn is refused again and again, as nobody has the turn any more."""
    keys = [("k", "00000"), ("k", "00001")]
    assert driver.commit([Write(key, None, document(number)) for number, key in enumerate(keys)])
    with driver.turn(set(keys), PATIENCE):  # that of this process alone
        pass
    with driver.turn(set(keys), PATIENCE):
        found = driver.read(keys)
        assert driver.commit([Write(keys[0], found[keys[0]], document(0, "new"))])
    found = driver.read(keys)
    assert driver.commit([Write(key, found[key], None) for key in keys])
