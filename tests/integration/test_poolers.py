"""Prepared statements: for hand-written settings, where the host says how, and behind a pooler that knows of none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connections, transaction

from chronos_storage import preparing
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.compat.connections import pool_of
from chronos_storage.exceptions import NotFound, RetryTransaction
from chronos_storage.facade import Storage
from chronos_storage.operations.verifying import verify
from chronos_storage.records import Embedding, Event, Message, Session
from tests import servers
from tests.databases import hand_written

if not os.environ["TEST_POSTGRES_URL"]:
    pytest.skip("PostgreSQL with pgvector is not installed", allow_module_level=True)

pytestmark = [
    pytest.mark.django_db(databases=["postgres"], transaction=True),
    pytest.mark.usefixtures("other_databases"),
]


@pytest.fixture(scope="module")
def pgbouncer() -> Iterator[str]:
    server = servers.own_pgbouncer(os.environ["TEST_POSTGRES_URL"])
    if server is None:
        pytest.skip("pgbouncer is not installed")
    server.start()
    yield server.url
    server.stop()


def store_at(url: str, **options: Any) -> Any:
    """A store on the tests' database, by way of this address."""
    from chronos_storage.vectors.pgvector import PgVectorStore

    name = connections["postgres"].settings_dict["NAME"]
    using = hand_written(urlsplit(url)._replace(path=f"/{name}").geturl(), OPTIONS=options)
    store = PgVectorStore(using, auto_index=False)
    store.create_collection("c", 2)
    return store


def use(store: Any, times: int = 4) -> None:
    """Write and search, and see that it is right."""
    for number in range(times):
        store.upsert("c", [Embedding(id=str(number), vector=[1.0, number])])
        store.upsert("c", [Embedding(id=f"{number} {place}", vector=[-1.0, place]) for place in range(300)])
        found = store.search("c", [1.0, number], 1, filter={"kind": {"$exists": False}})
        assert [result.id for result in found] == [str(number)]


def prepared(store: Any) -> int:
    with connections[store.alias].cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("options", "prepares"), [({}, True), ({"prepare_threshold": None}, False), ({"prepare_threshold": 0}, True)]
)
def test_hand_written_settings_are_enough_and_the_host_says_when_to_prepare(options: Any, prepares: bool) -> None:
    store = store_at(os.environ["TEST_POSTGRES_URL"], **options)
    use(store)
    assert (prepared(store) > 0) == prepares


def share_sessions(using: str) -> None:
    """Have the pooler open two sessions, which it gives out by turns; both know a statement of the driver's first name.

    The connection that has made them is closed.
    """
    other = connections.create_connection(using)
    with transaction.atomic(using=using), connections[using].cursor() as first:
        first.execute("SELECT 1")
        other.set_autocommit(False)
        with other.cursor() as second:
            for cursor in (first, second):
                cursor.execute("DEALLOCATE ALL")
                cursor.execute("PREPARE _pg3_0 AS SELECT 1")
        other.commit()
    other.close()
    connections[using].close()


def test_behind_a_pooler_nothing_is_prepared_after_one_warning(
    pgbouncer: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = store_at(pgbouncer)
    share_sessions(store.alias)
    use(store)
    assert prepared(store) == 1
    assert [record.args for record in caplog.records] == [(store.alias,)]


def test_a_host_that_prepares_behind_a_pooler_is_warned_once(pgbouncer: str, caplog: pytest.LogCaptureFixture) -> None:
    store = store_at(pgbouncer)
    share_sessions(store.alias)
    caplog.clear()
    preparing._off.clear()
    connections[store.alias].settings_dict["OPTIONS"]["prepare_threshold"] = 0
    with pytest.raises(RetryTransaction), transaction.atomic(using=store.alias):
        store.search("c", [1.0, 0.0])
    use(store)
    assert [record.args for record in caplog.records] == [(store.alias,)]


def call(storage: Storage, times: int = 4) -> None:
    """Append and read, as often as statements get prepared, and see that it is right."""
    session_id = storage.create_session(Session()).id
    for number in range(1, times + 1):
        assert storage.append_event(Event(session_id=session_id)).seq_num == number
        assert storage.add_message(Message(session_id=session_id, role="user")).seq_num == number
        assert [event.seq_num for event in storage.get_recent_events(session_id, 1)] == [number]


def test_a_storage_prepares_behind_no_pooler(pgbouncer: str, caplog: pytest.LogCaptureFixture) -> None:
    storage = Storage(OrmBackend(store_at(pgbouncer).alias))
    share_sessions(storage.alias)
    caplog.clear()
    preparing._off.clear()
    call(storage)
    assert prepared(storage) == 1
    assert [record.args for record in caplog.records] == [(storage.alias,)]


def test_a_storage_prepares_what_it_sends_again_and_again() -> None:
    storage = Storage(OrmBackend(store_at(os.environ["TEST_POSTGRES_URL"]).alias))
    call(storage)
    assert prepared(storage) > 2
    connections[storage.alias].settings_dict["DISABLE_SERVER_SIDE_CURSORS"] = True
    connections[storage.alias].close()
    call(storage)
    assert prepared(storage) == 0


def test_what_is_called_as_a_statement_is_sent_has_a_cursor_of_its_own() -> None:
    storage = Storage(OrmBackend(store_at(os.environ["TEST_POSTGRES_URL"]).alias))
    outer, inner = (storage.create_session(Session()).id for _ in range(2))
    called: list[int] = []

    def append_too(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        result = execute(sql, parameters, many, context)
        if len(called) < 4:
            called.append(0)
            storage.append_event(Event(session_id=inner))
        return result

    storage.append_event(Event(session_id=outer))
    with connections[storage.alias].execute_wrapper(append_too):
        event = storage.append_event(Event(session_id=outer, type="mine"))
    assert (event.session_id, event.seq_num, event.type) == (outer, 2, "mine")
    assert storage.last_seq(inner) == 4
    with pytest.raises(NotFound):
        storage.append_event(Event(session_id="nowhere"))
    call(storage)


@pytest.mark.parametrize("options", [{}, {"pool": {"min_size": 6, "max_size": 6}}], ids=["", "pool"])
def test_what_was_prepared_before_a_migration_is_prepared_anew(options: Any) -> None:
    storage = Storage(OrmBackend(store_at(os.environ["TEST_POSTGRES_URL"], **options).alias))
    storage.create_session(Session(id="s"))
    try:
        for length in (300, 301):
            for _ in range(24):
                storage.get_session("s")
                if options:
                    connections[storage.alias].close()  # the pool gives its connections out by turns
            with connections["postgres"].cursor() as cursor:
                cursor.execute(f"ALTER TABLE chronos_storage_session ALTER COLUMN author TYPE varchar({length})")
            if length == 300:
                with pytest.raises(RetryTransaction), storage.atomic():
                    storage.get_session("s")
            assert storage.get_session("s") is not None
    finally:
        connections[storage.alias].close()
        with connections["postgres"].cursor() as cursor:
            cursor.execute("ALTER TABLE chronos_storage_session ALTER COLUMN author TYPE varchar(255)")
        if options:
            pool_of(connections[storage.alias]).close()


def test_chains_are_checked_by_as_many_as_the_pool_has_connections_for(other_databases: None) -> None:
    name = connections["postgres"].settings_dict["NAME"]
    url = urlsplit(os.environ["TEST_POSTGRES_URL"])._replace(path=f"/{name}").geturl()
    pool = {"min_size": 1, "max_size": 2, "timeout": 1}
    connection: Any = connections[hand_written(url, OPTIONS={"pool": pool})]
    storage = Storage(OrmBackend(using=connection.alias))
    try:
        for number in range(6):
            storage.create_session(Session(id=f"{number}"))
            storage.append_event(Event(session_id=f"{number}"))
        assert verify(storage, jobs=8).rows == 6
    finally:
        connection.close()
        connection.close_pool()
