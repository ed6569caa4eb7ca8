"""A cluster whose nodes go and come, under writers who know nothing of it."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import RetryTransaction
from chronos_storage.facade import Storage
from chronos_storage.records import Event, Session
from tests import clusters, servers
from tests.cluster.conftest import distribute
from tests.databases import hand_written

SESSIONS = [f"s{number}" for number in range(8)]
#: Seconds after which it is over if nothing moves.
PATIENCE = 120


@pytest.fixture
def nodes() -> Iterator[list[servers.Server]]:
    """A cluster of the test's own, the coordinator first."""
    found = [node for _ in range(3) if (node := servers.own_citus_node())]
    for node in found:
        node.start()
    clusters.join([node.url for node in found])
    yield found
    for node in found:
        node.stop()


@pytest.fixture
def storage(nodes: list[servers.Server], other_databases: None) -> Storage:
    """A storage over it, distributed, with a few sessions."""
    alias = hand_written(nodes[0].url)
    call_command("migrate", database=alias, verbosity=0)
    distribute(alias, shards=8)
    found = Storage(OrmBackend(using=alias))
    for id in SESSIONS:
        found.create_session(Session(id=id))
    return found


class Writers:
    """Threads that append events until they are stopped, each to sessions of its own, and again where they are told to.

    Attributes:
        acknowledged: the ids of what was stored, by session.
        longest: the seconds that the longest call took, with all its repeats.
    """

    def __init__(self, storage: Storage) -> None:
        self.acknowledged: dict[str, list[str]] = defaultdict(list)
        self.longest = 0.0
        self._storage, self._stopped = storage, threading.Event()
        self._threads = [threading.Thread(target=self._write, args=[SESSIONS[at::4]]) for at in range(4)]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _write(self, sessions: list[str]) -> None:
        try:
            self._append_to(sessions)
        finally:
            connections.close_all()

    def _append_to(self, sessions: list[str]) -> None:
        number = 0
        while not self._stopped.is_set():
            for id in sessions:
                number += 1
                event = Event(id=f"{id} {number}", session_id=id, type="t", payload=number)
                begun = time.monotonic()
                while True:
                    try:
                        self._storage.append_event(event)
                        break
                    except RetryTransaction:
                        assert time.monotonic() < begun + PATIENCE
                self.longest = max(self.longest, time.monotonic() - begun)
                self.acknowledged[id].append(event.id)

    def wait_for_more(self, count: int = 20) -> None:
        """Wait until each session has so many more."""
        wanted = {id: len(self.acknowledged[id]) + count for id in SESSIONS}
        deadline = time.monotonic() + PATIENCE
        while any(len(self.acknowledged[id]) < wanted[id] for id in SESSIONS):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def require_all(storage: Storage, writers: Writers) -> None:
    """What was acknowledged is there, once and in order, and the chains are whole."""
    for id in SESSIONS:
        assert [event.id for event in storage.list_events(id)] == writers.acknowledged[id]
    assert all(verdict.intact for verdict in storage.verify_all())


@pytest.mark.parametrize("place", [0, 1])
def test_a_killed_node_loses_nothing(nodes: list[servers.Server], storage: Storage, place: int) -> None:
    with Writers(storage) as writers:
        for _ in range(2):
            writers.wait_for_more()
            nodes[place].kill()
            nodes[place].start_again()
        writers.wait_for_more()
    require_all(storage, writers)


def test_tables_move_to_a_third_worker_under_writers(nodes: list[servers.Server], storage: Storage) -> None:
    third = servers.own_citus_node()
    assert third is not None
    third.start()
    nodes.append(third)
    with psycopg.connect(third.url, autocommit=True) as node:
        node.execute("CREATE EXTENSION citus")
    with Writers(storage) as writers, psycopg.connect(nodes[0].url, autocommit=True) as coordinator:
        writers.wait_for_more()
        place = urlsplit(third.url)
        coordinator.execute("SELECT citus_add_node(%s, %s)", [place.hostname, place.port])
        coordinator.execute("SELECT citus_rebalance_start()")
        coordinator.execute("SELECT citus_rebalance_wait()")
        [moved] = coordinator.execute(
            "SELECT count(*) FROM citus_shards WHERE nodeport = %s AND table_name = 'chronos_storage_event'::regclass",
            [place.port],
        ).fetchone() or [0]
        assert moved
        writers.wait_for_more()
    require_all(storage, writers)
