"""What the storage over Redis promises beside the contract: addresses, time, big commits, a server that goes away."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from chronos_storage import Storage, connect, storages
from chronos_storage.backends.document import Document, Entry, Write
from chronos_storage.backends.document.redis import RedisBackend, RedisDriver
from chronos_storage.exceptions import ConfigurationError, NotSupported, RetryTransaction, StoreFailure
from chronos_storage.records import Checkpoint, Event, MemoryRecord, Session
from chronos_storage.testing.conformance.helpers import PATIENCE
from tests import servers
from tests.cutting import Cutter

URL = os.environ.get("TEST_REDIS_URL", "")
CERTIFICATE = Path(__file__).parents[1] / "certificates" / "localhost.pem"
pytestmark = pytest.mark.skipif(not URL, reason="no Redis is found")


@pytest.fixture
def base() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def client() -> Iterator[Any]:
    with closing(redis.Redis.from_url(URL)) as client:
        yield client


@pytest.fixture
def storage(base: str) -> Iterator[Storage]:
    with closing(connect(URL, base=base, migrate=True)) as storage:
        storage.create_session(Session(id="s"))
        yield storage


def driver_of(storage: Storage) -> Any:
    backend: Any = storage.backend
    return backend.driver


# Addresses


def test_the_settings_name_it_by_the_options_of_the_documents(settings: Any, base: str) -> None:
    place = urlsplit(URL)
    backend = "chronos_storage.backends.document.redis.RedisBackend"
    settings.CHRONOS_STORAGE = {
        "STORAGES": {
            "default": {"BACKEND": backend, "OPTIONS": {"ADDRESS": place.netloc, "DATABASE": 1, "BASE": base}},
            "same": {"BACKEND": backend, "OPTIONS": {"URL": f"redis://{place.netloc}/1?base={base}&timeout=9"}},
        }
    }
    with closing(storages["default"]) as one, closing(storages["same"]) as same:
        one.create_session(Session(id="s"))
        assert same.get_session("s") is not None
        with pytest.raises(NotSupported), one.atomic():
            pass


def test_a_password_is_never_shown() -> None:
    with closing(connect("redis://user:se%40cret@127.0.0.1:1/0")) as storage:
        assert "se" not in repr(storage).replace("base", "").replace("RedisBackend", "")
        health = storage.health()
        assert not health.ok
        assert "se@cret" not in repr(health)
        assert "127.0.0.1:1/0" in health.problems[0]
        with pytest.raises(RetryTransaction, match="can't be asked now") as raised:
            storage.get_session("s")
        assert "cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("address", "options", "problem"),
    [
        (f"{URL}?colour=red", {}, "colour, which is|has colour; what is known"),
        (f"{URL}?timeout=soon", {}, "timeout in the address of Redis must be a number"),
        ("redis://:secret@h:port/0", {}, "can't be read"),
        (URL, {"colour": "red"}, "options of a redis://.* don't fit"),
        (URL, {"base": "a{b}"}, "without braces"),
    ],
)
def test_what_it_can_not_be_given_is_said(address: str, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem) as raised:
        connect(address, **options)
    assert "secret" not in str(raised.value)


def test_a_password_that_is_wrong_or_missing_is_said(client: Any, base: str) -> None:
    user = f"user{base}"
    client.acl_setuser(user, enabled=True, passwords=["+right"], keys=["*"], commands=["+@all"])
    place = urlsplit(URL)
    with closing(connect(f"redis://{user}:wrong@{place.netloc}/0")) as storage:
        with pytest.raises(ConfigurationError, match="does not let us in"):
            storage.get_session("s")
        assert not storage.health().ok
    with closing(connect(f"redis://{user}:right@{place.netloc}/0", base=base)) as storage:
        assert storage.get_session("s") is None
    client.acl_deluser(user)


# What is kept


def test_a_socket_of_the_system_s() -> None:
    with tempfile.TemporaryDirectory() as folder:  # a short one
        server = servers.own_redis("--unixsocket", f"{folder}/socket")
        assert server is not None
        server.start()
        try:
            for database in ("", "?db=1"):
                storage = Storage(RedisBackend(url=f"unix://{folder}/socket{database}"))
                storage.create_session(Session(id="s"))
                assert storage.health().ok
                storage.close()
        finally:
            server.stop()


def test_all_keys_begin_with_the_base_which_is_the_hash_tag(storage: Storage, base: str, client: Any) -> None:
    storage.append_event(Event(session_id="s"))
    other = connect(URL, base=f"{base}2")
    assert other.get_session("s") is None
    other.close()
    keys = list(client.scan_iter(f"*{base}*", count=10_000))
    assert keys
    assert all(key.startswith(b"{%s}:" % base.encode()) for key in keys)


def test_places_are_in_the_order_of_their_code_points(storage: Storage) -> None:
    driver, partition = driver_of(storage), ("p",)
    places = [
        "",
        "\x00",
        "\x00\x00",
        "\x00\x01",
        "\x01",
        "a",
        "a\x00",
        "a\x00b",
        "a\x01",
        "ab",
        "\u00e9",
        "\uffff",
        "\U0001f600",
    ]
    for place in reversed(places):
        document = Document(("k", f"{place!r}"), place, (Entry(partition, place),))
        assert driver.commit([Write(document.key, None, document)])
    every: Any = {"limit": 100, "size": 1000}
    assert [place for place, _ in driver.scan(partition, **every)] == places
    assert [place for place, _ in driver.scan(partition, reverse=True, **every)] == places[::-1]
    for number, place in enumerate(places):
        assert [found for found, _ in driver.scan(partition, above=place, **every)] == places[number + 1 :]
        assert [found for found, _ in driver.scan(partition, below=place, **every)] == places[:number]
    assert [document.body for _, document in driver.scan(partition, limit=3, size=1000)] == places[:3]


def test_short_term_memory_goes_by_itself_and_its_places_after_it(storage: Storage, client: Any, base: str) -> None:
    """An hour after it has expired: until then, put again, it keeps its id as everywhere."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    put = storage.put_memory(MemoryRecord(agent_id="a", kind="short_term", key="k", value=1, expires_at=soon))
    long = storage.put_memory(MemoryRecord(agent_id="a", kind="long_term", key="k", value=1, expires_at=soon))
    lasting = {key: client.pttl(key) for key in client.scan_iter(f"*{base}}}:d:*", count=10_000)}
    passing = [key for key, milliseconds in lasting.items() if milliseconds > 0]
    assert sorted(key.split(b":", 2)[-1].split(b"\x00")[0] for key in passing) == [b"memory", b"place"]
    assert all(3600_000 < lasting[key] <= 2 * 3600_000 for key in passing)
    # It is put off, and for good.
    assert storage.put_memory(MemoryRecord(agent_id="a", kind="short_term", key="k", value=2)).id == put.id
    assert all(client.pttl(key) == -1 for key in passing)

    storage.put_memory(MemoryRecord(agent_id="a", kind="short_term", key="k", value=3, expires_at=soon))
    indexed = len(index_of(client, base))
    for key in passing:
        assert client.pexpire(key, 0)
    assert [memory.id for memory in storage.list_memory("a")] == [long.id]
    assert [memory.id for memory in storage.scan("memory")] == [long.id]
    for member, _ in client.zscan_iter(f"{{{base}}}:expiring"):
        client.zadd(f"{{{base}}}:expiring", {member: 0})  # as after that time
    again = storage.put_memory(MemoryRecord(agent_id="a", kind="short_term", key="other"))
    assert len(index_of(client, base)) == indexed  # its own places, instead of those
    assert storage.put_memory(MemoryRecord(agent_id="a", kind="short_term", key="k")).id != put.id
    assert storage.get_memory("a", "other") == again


def index_of(client: Any, base: str) -> list[tuple[bytes, bytes]]:
    found = client.scan_iter(f"*{base}}}:i:memory*", count=10_000)
    return [(key, member) for key in found for member in client.zrange(key, 0, -1)]


def test_fences_are_held_by_the_server_s_clock(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronos_storage.records.now", lambda: datetime(2000, 1, 1, tzinfo=UTC))
    fence = storage.acquire("s", "a", ttl=timedelta(hours=1))
    assert fence.expires_at is not None
    assert fence.expires_at > datetime(2020, 1, 1, tzinfo=UTC)


def test_versions_go_on_where_the_server_has_forgotten_the_last_ones(storage: Storage, base: str, client: Any) -> None:
    """Against: what was read before the server lost it taken for what was written there since."""
    driver = driver_of(storage)
    one = Document(("k",), "1")
    assert driver.commit([Write(one.key, None, one)])
    [read] = driver.read([one.key]).values()
    before = client.get(f"{{{base}}}:version")
    lost = Document(one.key, "2")
    assert driver.commit([Write(one.key, read, lost)])
    [read] = driver.read([one.key]).values()
    client.set(f"{{{base}}}:version", before)  # as from an append-only file that is a second old
    assert driver.commit([Write(one.key, read, Document(one.key, "3"))])
    assert not driver.commit([Write(one.key, read, Document(one.key, "4"))])
    assert client.get(f"{{{base}}}:version") > before


# Much at once


def test_a_commit_of_many_thousands(storage: Storage) -> None:
    """More than Lua hands over at once, in one partition and in many."""
    storage.append_events([Event(session_id="s") for _ in range(6000)])
    assert storage.count_events("s") == 6000
    assert storage.delete_session("s", hard=True)
    assert list(storage.scan("event")) == []


def test_what_is_more_than_a_server_takes_is_refused(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chronos_storage.backends.document.redis._MAX_BYTES", 1 << 20)
    with pytest.raises(StoreFailure, match="more than 1 MiB"):
        storage.append_events([Event(session_id="s", payload=120_000 * "\N{SLIGHTLY SMILING FACE}") for _ in range(5)])
    assert storage.append_event(Event(session_id="s")).seq_num == 1


def test_a_full_server_says_so_and_keeps_what_it_has() -> None:
    server = own_redis("--maxmemory", "8mb")
    with closing(connect(server.url, migrate=True)) as storage:
        try:
            storage.create_session(Session(id="s"))
            with pytest.raises(StoreFailure, match="maxmemory"):  # noqa: PT012  (which of them fails is the server's)
                for _ in range(100):
                    storage.append_event(Event(session_id="s", payload=200_000 * "x"))
            count = storage.count_events("s")
            assert storage.verify_events("s").checked == count
        finally:
            server.stop()


def test_a_server_that_may_forget_is_not_well() -> None:
    server = own_redis("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with closing(connect(server.url)) as storage:
        try:
            assert "noeviction" in storage.health().problems[0]
        finally:
            server.stop()


# Away


def own_redis(*options: str) -> servers.Server:
    server = servers.own_redis(*options)
    if server is None:
        pytest.skip("the server is not installed")
    server.start()
    return server


@pytest.fixture
def cut() -> Iterator[Cutter]:
    cutter = Cutter(urlsplit(URL).port or 6379)
    yield cutter
    cutter.close()


def test_a_commit_whose_answer_is_lost_is_not_done_again(cut: Cutter, base: str) -> None:
    with closing(connect(f"redis://127.0.0.1:{cut.port}/0", base=base)) as storage:
        storage.create_session(Session(id="s"))
        cut.cut_after = b"EVALSHA"
        batch = storage.append_events([Event(session_id="s", payload=number) for number in range(3)])
        assert cut.cut_after is None
        assert batch.new == [event.id for event in batch]
        assert [event.seq_num for event in storage.list_events("s")] == [1, 2, 3]
        cut.cut()
        assert storage.count_events("s") == 3
        walk = iter(storage.scan("event"))
        next(walk)
        cut.cut()
        assert storage.append_event(Event(session_id="s")).seq_num == 4


def test_a_server_that_is_stopped_and_started_under_load(tmp_path: Any) -> None:
    """Clear errors meanwhile, recovery by itself, and nothing is lost that was acknowledged: its file is synced."""
    server = own_redis("--appendonly", "yes", "--appendfsync", "always")
    acknowledged: list[list[Event]] = [[], []]
    failed = [threading.Event(), threading.Event()]
    is_over = threading.Event()
    wrong: list[Exception] = []

    def append(number: int, storage: Storage) -> None:
        while not is_over.is_set():
            try:
                acknowledged[number].append(storage.append_event(Event(session_id="s", payload=number)))
            except RetryTransaction:
                failed[number].set()
            except Exception as error:
                wrong.append(error)
                return

    with closing(connect(server.url, migrate=True)) as storage:
        storage.create_session(Session(id="s"))
        threads = [threading.Thread(target=append, args=[number, storage]) for number in range(2)]
        for thread in threads:
            thread.start()
        try:
            wait_for(lambda: all(len(each) > 20 for each in acknowledged))
            server.kill()
            assert all(each.wait(PATIENCE) for each in failed)
            assert not storage.health().ok
            with pytest.raises(RetryTransaction, match="can't be asked now"):
                storage.get_session("s")
            server.start()
            counts = [len(each) for each in acknowledged]
            wait_for(lambda: all(map(int.__gt__, map(len, acknowledged), counts)))
        finally:
            is_over.set()
            for thread in threads:
                thread.join()
        assert wrong == []
        assert storage.health().ok
        stored = storage.list_events("s")
        assert [event.seq_num for event in stored] == list(range(1, len(stored) + 1))
        assert {event.id for each in acknowledged for event in each} <= {event.id for event in stored}
        assert storage.verify_events("s").intact
    server.stop()


def test_a_server_that_has_become_a_replica_and_is_one_no_more() -> None:
    server = own_redis()
    try:
        with closing(redis.Redis.from_url(server.url)) as client, closing(connect(server.url)) as storage:
            storage.create_session(Session(id="s"))
            client.replicaof("127.0.0.1", "1")
            with pytest.raises(RetryTransaction, match="read only"):
                storage.append_event(Event(session_id="s"))
            assert "is a replica" in storage.health().problems[0]
            client.replicaof("NO", "ONE")
            assert storage.append_event(Event(session_id="s")).seq_num == 1
    finally:
        server.stop()


def test_a_cluster_that_is_away() -> None:
    with closing(connect("redis://127.0.0.1:1/0?cluster=true")) as storage:
        assert not storage.health().ok
        with pytest.raises(RetryTransaction, match="can't be asked now"):
            storage.get_session("s")


def wait_for(condition: Any) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own(storage: Storage) -> None:
    storage.append_event(Event(session_id="s"))
    child = os.fork()
    if not child:
        status = 1
        try:
            storage.append_event(Event(session_id="s"))
            storage.close()
            status = 0
        finally:
            os._exit(status)
    storage.append_event(Event(session_id="s"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert storage.count_events("s") == 3


def test_a_node_of_a_cluster() -> None:
    # Its own second port is one of those that the system gives to connections.
    server = own_redis("--cluster-enabled", "yes", "--cluster-port", str(servers.free_port()))
    try:
        with closing(redis.Redis.from_url(server.url)) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_for(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        with closing(connect(f"{server.url}?cluster=true", migrate=True)) as storage:
            storage.create_session(Session(id="s"))
            storage.append_events([Event(session_id="s")] * 3)
            storage.save_checkpoint(Checkpoint(session_id="s", state={"n": 1}))
            assert storage.count_events("s") == 3
            assert storage.get_latest_checkpoint("s").state == {"n": 1}
            assert storage.delete_session("s", hard=True)
            assert storage.health().ok
    finally:
        server.stop()


# Turns


class Far(RedisDriver):
    """A driver whose writer is far away: what it has read is old before it can write."""

    def commit(self, writes: Any) -> bool:
        time.sleep(0.02)
        return super().commit(writes)


def test_a_writer_who_is_far_away_has_his_turn(storage: Storage, base: str) -> None:
    """Against: whoever is always faster has the session for himself, until the other gives up."""
    is_over = threading.Event()
    far = connect(URL, base=base)
    driver_of(far).__class__ = Far

    def append_on_and_on(near: Storage) -> None:
        while not is_over.is_set():
            near.append_event(Event(session_id="s"))

    stores = [connect(URL, base=base) for _ in range(2)]  # each with a line of its own, as two processes have
    threads = [threading.Thread(target=append_on_and_on, args=[store]) for store in stores]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: storage.last_seq("s") > 10)
        for _ in range(3):
            far.append_event(Event(session_id="s", type="far"))
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert storage.verify_events("s").intact
    for store in [far, *stores]:
        store.close()


def test_who_died_in_the_line_holds_up_nobody_for_long(storage: Storage, base: str) -> None:
    dead, driver = connect(URL, base=base), driver_of(storage)
    storage.append_event(Event(session_id="s"))
    key = ("head", "event", "s", "")
    turn = driver_of(dead).turn({key}, 1.0)
    turn.__enter__()
    start = time.monotonic()
    storage.append_event(Event(session_id="s"))
    assert time.monotonic() - start < PATIENCE / 2
    with driver.turn({key}, PATIENCE):
        pass
    turn.__exit__(None, None, None)
    dead.close()


def test_a_turn_lasts_as_long_as_a_large_commit(storage: Storage, client: Any, base: str) -> None:
    driver, key = driver_of(storage), ("head", "event", "s", "")
    driver.most = (1, 1_000)
    with driver.turn({key}, PATIENCE):
        client.delete(*client.keys(f"{{{base}}}:waits:*"))  # as it is after a second
        assert driver.commit([Write((f"{n}",), None, Document((f"{n}",), "{}")) for n in range(2)])
        assert client.keys(f"{{{base}}}:waits:*") != []


# Without what it needs


def test_without_the_library_the_error_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("redis", "chronos_storage.backends.document.redis", "chronos_storage.backends.document.redis_server"):
        monkeypatch.setitem(sys.modules, name, None if name == "redis" else sys.modules[name])
        if name != "redis":
            monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ConfigurationError, match=r"needs redis: install chronos-storage\[redis\]"):
        connect("redis://:secret@localhost:6379/0")


@pytest.fixture
def tls() -> Iterator[int]:
    """The port of what stands before the server with a certificate of its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=unwrap, args=[listener, context], daemon=True).start()
        yield listener.getsockname()[1]


def unwrap(listener: socket.socket, context: ssl.SSLContext) -> None:
    with suppress(OSError):
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=unwrap_one, args=[plain, context], daemon=True).start()


def unwrap_one(plain: socket.socket, context: ssl.SSLContext) -> None:
    """Question by question, as redis-py asks them."""
    place = ("127.0.0.1", urlsplit(URL).port or 6379)
    with (
        suppress(OSError),
        context.wrap_socket(plain, server_side=True) as client,
        socket.create_connection(place) as server,
    ):
        while data := client.recv(1 << 16):
            server.sendall(data)
            client.sendall(server.recv(1 << 16))


def test_over_tls(tls: int, base: str) -> None:
    address = f"rediss://localhost:{tls}/0?base={base}"
    with closing(connect(f"{address}&ssl_ca_certs={CERTIFICATE}")) as storage:
        storage.create_session(Session(id="s"))
        assert storage.get_session("s") is not None
    with closing(connect(address)) as storage:  # nobody vouches for that certificate
        assert "CERTIFICATE_VERIFY_FAILED" in storage.health().problems[0]
