"""A database that lets a writer wait too long: the whole of a call is made again, whatever it is made of."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections, transaction

from chronos_storage import signals
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import RetryTransaction
from chronos_storage.facade import Storage
from chronos_storage.models import Session as SessionRow
from chronos_storage.records import Checkpoint, Container, Event, Session
from chronos_storage.testing.conformance.helpers import PATIENCE, together
from tests.conftest import each_database
from tests.failing import on_failure

pytestmark = pytest.mark.parametrize(
    "alias", [each for each in each_database() if each.id.startswith("postgres")][:1], indirect=True
)


def test_a_fork_is_made_again_as_a_whole(storage_committed) -> None:
    storage = storage_committed
    storage.create_session(Session(id="s"))
    storage.save_checkpoint(Checkpoint(id="c", session_id="s", state={"n": 1}))
    held, refused, over = threading.Event(), threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(using=storage.alias):
            SessionRow.objects.using(storage.alias).create(id="fork")
            held.set()
            assert refused.wait(PATIENCE)
            transaction.set_rollback(True, using=storage.alias)
        over.set()

    def told() -> None:
        refused.set()
        assert over.wait(PATIENCE)

    def fork() -> Session:
        assert held.wait(PATIENCE)
        with connections[storage.alias].cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with on_failure(storage.alias, told):
            return storage.fork_session("c", id="fork")

    _, forked = together(storage, hold, fork)
    assert forked == storage.get_session("fork")
    assert storage.get_latest_checkpoint("fork").state == {"n": 1}


def test_what_a_receiver_writes_is_made_again_too(storage_committed: Storage) -> None:
    storage, held, refused, over = storage_committed, threading.Event(), threading.Event(), threading.Event()
    storage.create_session(Session(id="s"))

    def receiver(**kwargs: Any) -> None:
        storage.append_event(Event(session_id="s"))

    def hold() -> None:
        with transaction.atomic(using=storage.alias):
            SessionRow.objects.using(storage.alias).select_for_update().get(pk="s")
            held.set()
            assert refused.wait(PATIENCE)
        over.set()

    def told() -> None:
        refused.set()
        assert over.wait(PATIENCE)

    def write() -> None:
        assert held.wait(PATIENCE)
        with connections[storage.alias].cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
        with on_failure(storage.alias, told):
            storage.save_container(Container(id="c"))

    signals.records_written.connect(receiver, sender=Container)
    try:
        together(storage, hold, write)
    finally:
        signals.records_written.disconnect(receiver, sender=Container)
    assert storage.last_seq("s") == 1


def test_a_pool_that_has_no_connection_left_is_waited_for_once(alias: str, other_databases: None) -> None:
    known = connections.settings[alias]
    pool = {"min_size": 0, "max_size": 1, "timeout": PATIENCE}
    connections.settings["pooled"] = known | {"CONN_MAX_AGE": 0, "OPTIONS": known["OPTIONS"] | {"pool": pool}}
    connection: Any = connections["pooled"]
    try:
        connection.ensure_connection()  # which takes all that the pool has
        connection.pool.timeout = 0.2
        with ThreadPoolExecutor(1) as another, pytest.raises(RetryTransaction):
            another.submit(Storage(OrmBackend("pooled")).get_session, "s").result()
        assert connection.pool.get_stats()["requests_errors"] == 1
    finally:
        connection.close()
        connection.close_pool()
        del connections["pooled"], connections.settings["pooled"]
