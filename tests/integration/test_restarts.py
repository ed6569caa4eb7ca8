"""Servers that are stopped, killed and started again under what goes on: a thread, a loop, a subscription, a stream."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from django.db import connections, transaction

from chronos_storage import signals, transactions
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import RetryTransaction
from chronos_storage.facade import Storage
from chronos_storage.ids import new_id
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import AuditLog, Batch, Checkpoint, Container, Event, Message, Session, Trace, now
from chronos_storage.testing.queues.helpers import PATIENCE, Collector
from tests import servers
from tests.cutting import Cutter
from tests.databases import hand_written


@dataclass
class Place:
    """A database that a test may stop.

    Attributes:
        alias: its own, with settings as they are written by hand.
        servers: what stands before it, and itself.
    """

    alias: str
    servers: list[servers.Server]

    def restart(self, kill: bool) -> None:
        self.stop(kill)
        self.start()

    def stop(self, kill: bool = False) -> None:
        for server in self.servers:
            server.kill() if kill else server.stop()

    def start(self) -> None:
        for server in reversed(self.servers):
            server.start_again()


def own(make: Any, *arguments: Any) -> Iterator[servers.Server]:
    server = make(*arguments)
    if server is None:
        pytest.skip("the server is not installed")
    server.start()
    yield server
    server.stop()


def migrated(url: str, **settings: Any) -> str:
    alias = hand_written(url, **settings)
    Storage(OrmBackend(alias)).migrate()
    return alias


@pytest.fixture(scope="module")
def unblocked(django_db_blocker: Any) -> Iterator[None]:
    with django_db_blocker.unblock():
        yield


@pytest.fixture(scope="module")
def postgres(unblocked: None) -> Iterator[servers.Server]:
    yield from own(servers.own_postgres)


@pytest.fixture(scope="module")
def pgbouncer(postgres: servers.Server) -> Iterator[servers.Server]:
    yield from own(servers.own_pgbouncer, postgres.url)


@pytest.fixture(scope="module")
def mariadb(unblocked: None) -> Iterator[servers.Server]:
    yield from own(servers.own_mariadb)


@pytest.fixture(params=["postgres", "pool", "pgbouncer", "mariadb"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    match request.param:
        case "pool":
            server = request.getfixturevalue("postgres")
            found = Place(migrated(server.url, OPTIONS={"pool": True}), [server])
        case "pgbouncer":
            before, server = request.getfixturevalue("pgbouncer"), request.getfixturevalue("postgres")
            found = Place(migrated(before.url), [before, server])
        case name:
            server = request.getfixturevalue(name)
            found = Place(migrated(server.url), [server])
    yield found
    connection: Any = connections[found.alias]
    connection.close()
    if request.param == "pool":
        connection.close_pool()


@pytest.fixture
def storage(place: Place) -> Storage:
    return Storage(OrmBackend(place.alias))


@pytest.fixture
def queue(place: Place) -> Iterator[OrmQueue]:
    queue = OrmQueue(place.alias)
    yield queue
    queue.close()


@pytest.fixture
def session(storage: Storage) -> str:
    return storage.create_session(Session(id=secrets.token_hex(8))).id


def everything(storage: Storage, session: str) -> list[Any]:
    """A read of each kind."""
    return [
        storage.get_session(session).id,
        [message.content for message in storage.list_messages(session)],
        [log.action for log in storage.list_audit_logs(session)],
        storage.count_events(session),
        storage.last_seq(session),
        storage.verify_events(session).intact,
        storage.token_usage(session).total_tokens,
    ]


def test_a_thread_goes_on(place: Place, storage: Storage, session: str) -> None:
    def write(number: int) -> None:
        storage.append_event(Event(session_id=session, payload=number))
        if number == 1:
            place.restart(kill=False)
        storage.add_message(Message(session_id=session, role="user", content=str(number)))
        if number == 2:
            place.restart(kill=True)
        storage.append_audit_log(AuditLog(session_id=session, action=str(number)))

    for number in (1, 2, 3):
        write(number)
    place.restart(kill=False)
    assert storage.health().problems == ()
    assert everything(storage, session) == [session, ["1", "2", "3"], ["3", "2", "1"], 3, 3, True, 0]
    place.restart(kill=False)
    with storage.atomic():
        pass


def test_while_the_server_is_down_each_call_says_so_in_our_words(
    place: Place, storage: Storage, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_a_transaction() -> None:
        with storage.atomic():
            storage.get_session(session)

    monkeypatch.setattr(transactions, "_DELAYS", (0.01, 0.01))  # nothing is to come back meanwhile
    place.stop()
    pool = getattr(connections[place.alias], "pool", None)
    if pool:
        patience, pool.timeout = pool.timeout, 0.1
    try:
        for call in (
            lambda: storage.get_session(session),
            lambda: storage.append_event(Event(session_id=session)),
            lambda: list(storage.iter_events(session)),
            in_a_transaction,
        ):
            with pytest.raises(RetryTransaction, match="connection"):
                call()
        assert storage.health().problems
    finally:
        place.start()
        if pool:
            pool.timeout = patience
    assert storage.health().problems == ()


@pytest.mark.parametrize("place", ["postgres", "pgbouncer", "mariadb"], indirect=True)
def test_a_transaction_says_that_it_must_be_run_again(place: Place, storage: Storage, session: str) -> None:
    def transfer() -> None:
        with storage.atomic():
            storage.append_event(Event(session_id=session, payload="once"))
            if not stopped:
                place.restart(kill=False)
                stopped.append(True)
            storage.append_event(Event(session_id=session, payload="more"))

    stopped: list[bool] = []
    with pytest.raises(RetryTransaction):
        transfer()
    transfer()
    assert [event.payload for event in storage.list_events(session)] == ["once", "more"]


@pytest.mark.parametrize("place", ["postgres", "mariadb"], indirect=True)
def test_an_iterator_goes_on_where_it_was(place: Place, storage: Storage, session: str) -> None:
    storage.append_events(Event(session_id=session, payload=number) for number in range(1001))
    walks = [storage.iter_events(session), storage.scan("event", after=None)]
    begun = [list(islice(walk, 1)) for walk in walks]
    place.restart(kill=False)
    for walk, first in zip(walks, begun, strict=True):
        numbers = [event.payload for event in (*first, *walk) if event.session_id == session]
        assert numbers == list(range(1001))
    storage.delete_session(session, hard=True)  # or all who walk through this server's events later go by them


def test_a_loop_a_subscription_and_a_stream_go_on(
    place: Place, storage: Storage, queue: OrmQueue, session: str
) -> None:
    topic, handler, streamed = session, Collector(), []
    queue.publish(topic, 0)
    after = queue.last_cursor(topic)
    queue.subscribe(topic, handler)

    async def follow() -> None:
        async with aclosing(queue.stream(topic, after)) as stream:
            async for entry in stream:
                streamed.append(entry.event)
                if len(streamed) == 4:
                    return

    async def work() -> None:
        following = asyncio.create_task(follow())
        for number in (1, 2, 3, 4):
            await storage.aappend_event(Event(session_id=session, payload=number))
            await queue.apublish(topic, number)
            if number < 4:
                await asyncio.to_thread(handler.wait, number)
                await asyncio.to_thread(place.restart, number == 2)
        await following

    asyncio.run(asyncio.wait_for(work(), PATIENCE))
    assert handler.wait(4) == streamed == [1, 2, 3, 4]
    assert [event.payload for event in storage.list_events(session)] == [1, 2, 3, 4]


TIMES = {"created_at": now(), "updated_at": now()}
#: What is written without an id, and what of the wire says that it is: a single statement, or the end of several.
WRITES: dict[str, tuple[bytes, Callable[[Storage, OrmQueue, str], object]]] = {
    "session": (b"INSERT INTO", lambda storage, queue, id: storage.create_session(Session(agent_id=id))),
    "fork": (b"COMMIT", lambda storage, queue, id: storage.fork_session("first", session_id=id, agent_id=id)),
    "fence": (b"COMMIT", lambda storage, queue, id: storage.acquire(id, "worker", ttl=60)),
    "events": (b"COMMIT", lambda storage, queue, id: storage.append_events([Event(session_id=id)] * 2)),
    "span": (b"INSERT INTO", lambda storage, queue, id: storage.insert_trace(Trace(session_id=id))),
    "restored": (b"COMMIT", lambda storage, queue, id: storage.restore_session(f"{id} deleted")),
    "loaded": (b"COMMIT", lambda storage, queue, id: storage.load([Container(id=new_id(), **TIMES)])),
    "container": (b"INSERT INTO", lambda storage, queue, id: storage.save_container(Container(config={"of": id}))),
    # One statement on PostgreSQL, a transaction elsewhere.
    "message": (
        b"chronos_storage_message_append",
        lambda storage, queue, id: storage.add_message(Message(session_id=id, role="user")),
    ),
    "checkpoint": (
        b"chronos_storage_checkpoint_append",
        lambda storage, queue, id: storage.save_checkpoint(Checkpoint(session_id=id)),
    ),
    "event": (b"chronos_storage_event_append", lambda storage, queue, id: storage.append_event(Event(session_id=id))),
    "audit log": (b"_append", lambda storage, queue, id: storage.append_audit_log(AuditLog(session_id=id))),
    "entry": (b"chronos_storage_queueentry_append", lambda storage, queue, id: queue.publish(id, "news")),
}


@pytest.mark.parametrize("name", ["postgres", "mariadb"])
def test_what_was_done_before_its_answer_was_lost_is_not_done_again(name: str, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue(name)
    url = urlsplit(server.url)
    cutter = Cutter(url.port)
    alias = migrated(url._replace(netloc=f"{url.username}@127.0.0.1:{cutter.port}").geturl())
    storage, queue = Storage(OrmBackend(alias)), OrmQueue(alias)
    heard: list[str] = []

    def receive(sender: type[Any], records: Sequence[Any], using: str, **message: Any) -> None:
        heard.extend(sender.__name__ for _ in records if using == alias)

    signals.records_written.connect(receive)
    try:
        for what, (pattern, write) in WRITES.items():
            id = storage.create_session(Session()).id
            storage.save_checkpoint(Checkpoint(id="first", session_id=id))
            storage.delete_session(storage.create_session(Session(id=f"{id} deleted")).id)
            before = counts(storage, queue, id)
            heard.clear()
            first = write(storage, queue, id)
            told = heard.copy()
            alone = changed(before, counts(storage, queue, id))
            storage.delete_session(f"{id} deleted")
            before = counts(storage, queue, id)
            one_statement = name == "postgres" or pattern == b"INSERT INTO"
            # MariaDB's whole query: AUTOCOMMIT is set before.
            end = b"COMMIT" if name == "postgres" else b"\x03COMMIT"
            cutter.cut_after = pattern if one_statement else end
            heard.clear()
            second = write(storage, queue, id)
            assert heard == told, what
            assert not isinstance(second, Batch) or second.new == [each.id for each in second], what
            assert cutter.cut_after is None, f"{what}: nothing was cut"
            assert changed(before, counts(storage, queue, id)) == alone, what
            assert not isinstance(first, int) or second == first, what
    finally:
        signals.records_written.disconnect(receive)
        cutter.cut_after = None
        queue.close()
        connections[alias].close()
        cutter.close()


def test_what_the_server_does_when_its_client_is_gone_already_is_not_done_again(postgres: servers.Server) -> None:
    """A statement that waits for a lock goes on without its client, who makes the call again meanwhile."""
    url = urlsplit(postgres.url)
    cutter = Cutter(url.port)
    alias = migrated(url._replace(netloc=f"{url.username}@127.0.0.1:{cutter.port}").geturl())
    direct = hand_written(postgres.url)
    queue, topic = OrmQueue(alias), secrets.token_hex(8)

    def publish() -> str:
        try:
            return queue.publish(topic, "news")
        finally:
            connections[alias].close()

    def wait_for(waiting: int) -> None:
        until = time.monotonic() + PATIENCE
        while observer.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone() != (waiting,):
            assert time.monotonic() < until
            time.sleep(0.01)

    with ThreadPoolExecutor(1) as pool, psycopg.connect(postgres.url, autocommit=True) as observer:
        with transaction.atomic(using=direct):
            OrmQueue(direct).publish(topic, "held")
            published = pool.submit(publish)
            wait_for(1)
            cutter.cut()
            wait_for(2)
        cursor = published.result(PATIENCE)
    assert [entry.event for entry in queue.recover(topic)] == ["held", "news"]
    assert queue.last_cursor(topic) == cursor
    queue.close()
    connections[direct].close()
    cutter.close()


def counts(storage: Storage, queue: OrmQueue, id: str) -> list[int]:
    kinds = ("session", "message", "event", "checkpoint", "audit_log", "trace", "container")
    fence = storage.get_fence(id)
    tokens = 0 if fence is None else fence.token
    return [*(len(list(storage.scan(kind))) for kind in kinds), len(queue.recover(id)), tokens]


def changed(before: list[int], after: list[int]) -> list[int]:
    return [now - then for then, now in zip(before, after, strict=True)]
