"""What a database refuses for reasons of its own: limits of the host's, an end of its space, a state of its server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections, transaction

from chronos_storage.exceptions import RetryTransaction, SequenceConflict, StoreFailure
from chronos_storage.facade import Storage
from chronos_storage.ledger.heads import lock_sessions
from chronos_storage.records import Event, Message, Session
from chronos_storage.testing.conformance.helpers import PATIENCE, together
from tests.conftest import ONLY_SQLITE, each_database
from tests.failing import on_failure

#: Ends each statement that takes longer than a fifth of a second; refuses to write.
LIMITS = {
    "postgresql": ("SET statement_timeout = '200ms'", "SET default_transaction_read_only = on"),
    "mysql": ("SET max_statement_time = 0.2", "SET SESSION TRANSACTION READ ONLY"),
    "sqlite": ("", "PRAGMA query_only = 1"),
}
#: What asks for the number of a connection; what ends it, and returns when it has ended.
ENDS = {
    "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend(%s, 60000)"),
    "mysql": ("SELECT CONNECTION_ID()", "KILL %s"),
}


@pytest.fixture
def session(storage_committed: Storage) -> Iterator[str]:
    yield storage_committed.create_session(Session()).id
    connections[storage_committed.alias].close()


def execute(storage: Storage, sql: str) -> Any:
    with connections[storage.alias].cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone() if cursor.description else None


@pytest.mark.parametrize("alias", each_database(without=["default", "postgres15"]), indirect=True)
class TestOnServers:
    def test_a_transaction_whose_connection_is_lost_as_an_error_of_ours_is_undone_says_so_at_the_next_call(
        self, storage_committed: Storage, session: str
    ) -> None:
        storage, connection = storage_committed, connections[storage_committed.alias]
        ask, end = ENDS[connection.vendor]
        number, other = execute(storage, ask), connection.copy()

        def lose(run: Any, sql: str, *rest: Any) -> Any:
            if sql.startswith("ROLLBACK TO SAVEPOINT"):
                with other.cursor() as cursor:
                    cursor.execute(end, number)
            return run(sql, *rest)

        def write() -> None:
            with storage.atomic():
                with pytest.raises(SequenceConflict), connection.execute_wrapper(lose):
                    storage.append_event(Event(session_id=session), expected_seq=1)
                storage.append_event(Event(session_id=session))

        with pytest.raises(RetryTransaction):
            write()
        other.close()
        assert storage.append_event(Event(session_id=session)).seq_num == 1

    def test_a_statement_that_took_too_long_is_sent_again(self, storage_committed: Storage, session: str) -> None:
        storage, held, refused, over = storage_committed, threading.Event(), threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic(using=storage.alias):
                lock_sessions(storage.alias, [session])
                held.set()
                assert refused.wait(PATIENCE)
            over.set()

        def told() -> None:
            refused.set()
            assert over.wait(PATIENCE)

        def write() -> int:
            execute(storage, LIMITS[connections[storage.alias].vendor][0])
            assert held.wait(PATIENCE)
            with on_failure(storage.alias, told):
                return storage.append_event(Event(session_id=session)).seq_num

        assert together(storage, hold, write)[1] == 1

    def test_in_a_transaction_it_is_to_be_run_again(self, storage_committed: Storage, session: str) -> None:
        storage, held, over = storage_committed, threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic(using=storage.alias):
                lock_sessions(storage.alias, [session])
                held.set()
                assert over.wait(PATIENCE)

        def write() -> None:
            execute(storage, LIMITS[connections[storage.alias].vendor][0])
            assert held.wait(PATIENCE)
            try:
                with pytest.raises(RetryTransaction), storage.atomic():
                    storage.add_message(Message(session_id=session, role="user"))
            finally:
                over.set()

        assert together(storage, hold, write) == [None, None]


def test_a_database_that_may_only_be_read_says_so_in_our_words(storage_committed: Storage, session: str) -> None:
    storage = storage_committed
    execute(storage, LIMITS[connections[storage.alias].vendor][1])
    for write in (
        lambda: storage.append_event(Event(session_id=session)),
        lambda: storage.add_message(Message(session_id=session, role="user")),
        lambda: storage.create_session(Session()),
    ):
        with pytest.raises(StoreFailure, match=r"(?i)read.?only"):
            write()
    assert storage.get_session(session)


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_a_full_disk_loses_nothing(storage_committed: Storage, session: str) -> None:
    storage = storage_committed
    execute(storage, "VACUUM")  # what other tests left free would have to be filled first
    [pages] = execute(storage, "PRAGMA page_count")
    execute(storage, f"PRAGMA max_page_count = {pages + 20}")
    stored: list[Event] = []

    def fill() -> None:
        while True:
            stored.append(storage.append_event(Event(session_id=session, payload="x" * 20_000)))

    with pytest.raises(StoreFailure, match="full"):
        fill()
    assert storage.list_events(session) == stored
    assert storage.verify_events(session).last_seq == len(stored)
