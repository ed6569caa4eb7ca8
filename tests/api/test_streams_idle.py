"""Two hundred readers of one worker process, who wait: what they cost, and how they hear of something new."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from pytest_django import DjangoDbBlocker

from tests.api.serving import Site
from tests.databases import PLACES, new_databases

STREAMS = 200
#: What every fifth of them follows, the last of them the session that the others follow.
SEVERAL = [*(f"s{number}" for number in range(19)), "s"]
SECONDS = 100
#: Of the worker's memory, for each stream.
MAX_BYTES = 200 * 1024
#: The demo's pool, and the connection that listens.
MAX_CONNECTIONS = 10 + 1


@pytest.fixture
def url(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    if "postgres" not in PLACES:
        pytest.skip("no postgres")
    with django_db_blocker.unblock(), new_databases("postgres", tmp_path) as (url,):
        yield url


class Worker:
    """The process that serves, seen from outside."""

    def __init__(self, pid: int, database: psycopg.Connection) -> None:
        self._folder = Path(f"/proc/{pid}")
        self._database = database

    def status(self, name: str) -> int:
        for line in (self._folder / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
        raise KeyError(name)

    def files(self) -> int:
        return len(list((self._folder / "fd").iterdir()))

    def connections(self, doing: str = "") -> int:
        row = self._database.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'site' AND starts_with(query, %s)",
            [doing],
        ).fetchone()
        assert row
        return row[0]


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)


def read_until(stream: socket.socket, end: bytes) -> bytes:
    read = b""
    while end not in read:
        data = stream.recv(65536)
        assert data, read
        read += data
    return read


def opened(site: Site, path: str = "s/events/stream") -> socket.socket:
    """A stream of what comes, which has begun."""
    stream = socket.create_connection(("127.0.0.1", site.port), timeout=SECONDS)
    request = f"GET /api/sessions/{path} HTTP/1.1\r\nHost: localhost\r\nCookie: sessionid={site.key}\r\n\r\n"
    stream.sendall(request.encode())
    return stream


def test_two_hundred_idle_streams(url: str, tmp_path: Path) -> None:
    site = Site(url, "tests.api.crowded", *SEVERAL)
    folder = tmp_path / "acknowledged"
    folder.mkdir()
    with site.served(1), psycopg.connect(url, autocommit=True) as database:
        assert site.process
        worker = Worker(site.process.pid, database)
        with ExitStack() as open_streams:
            for stream in [open_streams.enter_context(opened(site)) for _ in range(5)]:
                read_until(stream, b"id: 0\n\n")
        eventually(lambda: worker.connections("LISTEN") == 0)
        memory, threads, files = worker.status("VmRSS"), worker.status("Threads"), worker.files()

        with ExitStack() as open_streams:
            paths = [f"stream?ids={','.join(SEVERAL)}", *["s/events/stream"] * 4] * (STREAMS // 5)
            streams = [open_streams.enter_context(opened(site, path)) for path in paths]
            for stream in streams:
                assert b" 200 " in read_until(stream, b"0\n\n")
            most = worker.connections()
            with site.appenders("s", folder, 1):
                for number, stream in enumerate(streams):
                    if number % 20 == 0:
                        most = max(most, worker.connections())
                    assert b'"seq_num":1,' in read_until(stream, b"}\n\n")
            grown = (worker.status("VmRSS") - memory) * 1024
            assert grown < STREAMS * MAX_BYTES
            assert 0 < most <= MAX_CONNECTIONS
        eventually(lambda: worker.files() <= files + MAX_CONNECTIONS)
        eventually(lambda: worker.connections("LISTEN") == 0)
        eventually(lambda: worker.status("Threads") <= threads)
