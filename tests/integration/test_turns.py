"""Threads of a process take turns at writing to a SQLite file."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from chronos_storage import connect, signals
from chronos_storage.facade import Storage
from chronos_storage.records import Event, Session
from chronos_storage.turns import Turns, _files

#: Longer than any of these tests may take: who waits for a turn until it ends has failed.
PATIENCE = 600


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker) -> Iterator[Storage]:
    with django_db_blocker.unblock():
        yield opened(tmp_path_factory.mktemp("turns") / "a.db", migrate=True)


@pytest.fixture
def store(migrated: Storage) -> Storage:
    """A store in a file, with a new session in it."""
    migrated.delete_session("s", hard=True)
    migrated.create_session(Session(id="s"))
    return migrated


def opened(path: Path, **options: Any) -> Storage:
    return connect(f"sqlite:///{path}", timeout=PATIENCE, **options)


def path_of(store: Storage) -> Path:
    return Path(connections[store.alias].settings_dict["NAME"])


def append(storage: Storage, payload: Any) -> Event:
    return storage.append_event(Event(session_id="s", payload=payload))


def append_elsewhere(storage: Storage, payload: Any) -> Event:
    """In a thread that has a connection for this alone."""
    try:
        return append(storage, payload)
    finally:
        connections[storage.alias].close()


def turns_of(store: Storage) -> Turns:
    return _files[os.path.realpath(path_of(store))]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_who_came_first_writes_first_by_whatever_alias(store: Storage) -> None:
    link = path_of(store).with_name("link.db")
    link.symlink_to(path_of(store))
    stores = [store, opened(link)]
    with ThreadPoolExecutor(8) as pool, closing(sqlite3.connect(path_of(store), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asked = [pool.submit(append_elsewhere, stores[0], 0)]
        eventually(lambda: turns_of(store)._taken)
        for number in range(1, 8):
            asked.append(pool.submit(append_elsewhere, stores[number % 2], number))
            eventually(lambda number=number: len(turns_of(store)._waiting) == number)  # type: ignore[misc]
        other.execute("COMMIT")
        assert [each.result(60).seq_num for each in asked] == list(range(1, 9))


def test_a_caller_whose_transaction_is_waited_for_waits_for_no_turn(store: Storage) -> None:
    with ThreadPoolExecutor(1) as pool:
        with store.atomic():
            append(store, "first")
            asked = pool.submit(append_elsewhere, store, "third")
            eventually(lambda: turns_of(store)._taken)
            assert append(store, "second").seq_num == 2
        assert asked.result(60).seq_num == 3


def test_what_a_receiver_waits_for_may_write(store: Storage) -> None:
    """Against: a turn that is kept while somebody is told of what it wrote."""
    seen = []

    def receive(records: Any, **kwargs: Any) -> None:
        if records[0].payload == "first":
            with ThreadPoolExecutor(1) as pool:
                seen.append(pool.submit(append_elsewhere, store, "second").result(60).seq_num)

    signals.records_written.connect(receive, sender=Event)
    try:
        append(store, "first")
    finally:
        signals.records_written.disconnect(receive, sender=Event)
    assert seen == [2]


def test_who_has_waited_long_enough_goes_and_leaves_the_turn_to_others() -> None:
    turns = Turns()
    assert turns.take(0)
    assert not turns.take(0.01)
    turns.give()
    assert turns.take(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_its_own_turns(store: Storage) -> None:
    turns = turns_of(store)
    assert turns.take(0)  # as another thread has, which the child has not
    try:
        connections[store.alias].close()
        child = os.fork()
        if not child:
            signal.alarm(60)
            append(store, "child")
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
    finally:
        turns.give()
    assert append(store, "parent").seq_num == 2
