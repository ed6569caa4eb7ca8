"""Undocumented parts of Django that `compat.connections` uses: that they are there, and do what they did."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import product
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.db.backends.signals import connection_created
from django.test.utils import CaptureQueriesContext

from chronos_storage.compat.connections import (
    NO_DATABASE,
    add_database,
    alias_proxy,
    begins_with_lock,
    close_anywhere,
    close_connections,
    connect,
    connection_on,
    database_errors,
    driver_connection,
    hold_nothing,
    in_transaction,
    is_in_memory,
    is_logged,
    is_mariadb,
    is_watched,
    open_connections,
    pool_of,
    server,
    settings_of,
    streaming_cursor,
    unused_connection,
    unwrapped_connection,
    validate,
    wrapped_cursor,
)
from chronos_storage.models import Session
from tests.conftest import STRICTEST


def test_a_database_is_added_beside_those_of_the_settings(other_databases, tmp_path):
    before = set(connections)
    add_database("added", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "added")})
    try:
        assert set(connections) == {*before, "added"}
        assert "added" not in settings.DATABASES  # which are the host's own
        with connections["added"].cursor() as cursor:
            cursor.execute("SELECT 1")
        assert (tmp_path / "added").is_file()
    finally:
        connections["added"].close()
        del connections["added"], connections.settings["added"]


def test_a_proxy_asks_for_what_it_stands_for_with_each_use():
    handler = {"name": [1]}
    proxy = alias_proxy(handler, "name")
    handler["name"] = [1, 2]
    assert proxy.index(2) == 1
    proxy.append(3)
    assert handler["name"] == [1, 2, 3]


def test_a_connection_is_the_one_that_django_gives_in_a_thread_and_in_an_event_loop(other_databases):
    def look() -> None:
        made = connection_on("default")
        assert made is connection_on("default") is connections["default"]
        connections["default"] = other = unused_connection("default")
        assert connection_on("default") is other
        del connections["default"]
        assert connection_on("default") is not other

    async def look_within() -> Any:
        look()
        return connection_on("default")

    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(connection_on, "default").result()
        assert pool.submit(asyncio.run, look_within()).result() is not before
        assert pool.submit(connection_on, "default").result() is before
        pool.submit(look).result()


def test_a_threads_connections_are_those_it_has_made_and_are_closed_together():
    found: list[Any] = []

    def work() -> None:
        found.append(list(open_connections()))
        connection = connections["default"]
        found.append(list(open_connections()) == [connection])
        close_connections()
        found.append(driver_connection(connection))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [[], True, None]


def test_a_connection_says_what_it_is_made_of_and_what_it_is_in(alias):
    connection = connections[alias]
    assert settings_of(connection) | {"NAME": ""} == connections.settings[alias] | {"NAME": ""}
    assert isinstance(settings_of(connection)["OPTIONS"], dict)
    assert in_transaction(connection)  # this test's
    name, _, version = server(connection).partition(" ")
    assert name in ("SQLite", "PostgreSQL", "MariaDB")
    assert version[0].isdigit()
    assert pool_of(connection) is None
    assert connection.vendor != "mysql" or is_mariadb(connection)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_outside_of_one():
    assert not in_transaction(connections["default"])


def test_a_connection_is_made_as_it_is_asked_for(other_databases):
    made: list[Any] = []

    def work() -> None:
        connection = connections["default"]
        before = driver_connection(connection)
        connect(connection)
        made.extend((before, driver_connection(connection).execute("SELECT 1").fetchone()))
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert made == [None, (1,)]


def test_a_connection_that_is_there_may_not_be_used_where_tests_forbid_it(alias, django_db_blocker):
    connection = connections[alias]
    connect(connection)
    driver = driver_connection(connection)
    with django_db_blocker.block(), pytest.raises(RuntimeError, match="Database access not allowed"):
        connect(connection)
    connect(connection)
    assert driver_connection(connection) is driver


def test_a_database_in_memory_is_no_file(other_databases, tmp_path):
    for name, expected in ((":memory:", True), (str(tmp_path / "file"), False)):
        add_database("where", {"ENGINE": "django.db.backends.sqlite3", "NAME": name})
        assert is_in_memory(connections["where"]) == expected
        del connections["where"], connections.settings["where"]


def test_another_threads_connection_is_closed(tmp_path, other_databases):
    add_database("closed", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "closed")})
    try:
        made: list[Any] = []

        def work() -> None:
            made.append(connections["closed"])
            connect(made[0])

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        with pytest.raises(DatabaseError, match="thread"):
            made[0].close()
        close_anywhere(made[0])
        assert driver_connection(made[0]) is None
    finally:
        del connections.settings["closed"]


def test_errors_of_the_driver_become_djangos(alias):
    connection = connections[alias]
    connect(connection)
    with pytest.raises(DatabaseError), transaction.atomic(using=alias), database_errors(connection):
        driver_connection(connection).cursor().execute("SELECT nothing FROM nowhere")


def test_the_drivers_cursor_is_wrapped_as_djangos_own(alias):
    connection = connections[alias]
    connect(connection)
    with CaptureQueriesContext(connection) as queries:
        cursor = wrapped_cursor(connection, driver_connection(connection).cursor())
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert [query["sql"] for query in queries] == ["SELECT 1"]


def test_a_connection_is_watched_by_who_wants_to_be_called_or_logged(alias):
    connection = connections[alias]
    assert not is_watched(connection)
    assert not is_logged(connection)
    with connection.execute_wrapper(lambda execute, *given: execute(*given)):
        assert is_watched(connection)
    with CaptureQueriesContext(connection):
        assert is_logged(connection)


def test_a_broken_transaction_and_another_threads_connection_are_refused(alias):
    connection = connections[alias]
    validate(connection)
    with transaction.atomic(using=alias):
        transaction.set_rollback(True, using=alias)
        with pytest.raises(DatabaseError, match="atomic"):
            validate(connection)
    with ThreadPoolExecutor(1) as pool, pytest.raises(DatabaseError, match="thread"):
        pool.submit(validate, unused_connection(alias)).result()


def test_a_drivers_cursor_lets_go_of_what_it_holds_and_is_used_again(django_db_blocker):
    if "postgres" not in connections.settings:
        pytest.skip("without PostgreSQL")
    with closing(unwrapped_connection("postgres")) as connection:
        cursor = connection.cursor()
        for text in ("first", "second"):
            assert cursor.execute("SELECT %s", [text]).fetchone() == (text,)
            hold_nothing(cursor)
            assert cursor.pgresult is None
            assert cursor._query is None  # which has the values


def test_rows_are_streamed(alias):
    Session.objects.using(alias).create(id="s")
    with streaming_cursor(connections[alias]) as cursor:
        cursor.execute("SELECT id FROM chronos_storage_session")
        assert list(cursor.fetchmany(10)) == [("s",)]


def test_postgresqls_driver_connects_past_djangos_wrapper(django_db_blocker):
    if "postgres" not in connections.settings:
        pytest.skip("without PostgreSQL")
    connection = unwrapped_connection("postgres", application_name="compat")
    try:
        assert connection.autocommit
        assert connection.execute("SHOW application_name").fetchone() == ("compat",)
    finally:
        connection.close()


def test_a_connection_to_look_at_is_another_and_made_in_a_loop_too():
    async def look() -> Any:
        return unused_connection("default")

    connection = asyncio.run(look())
    assert connection is not connections["default"]
    assert settings_of(connection) is settings_of(connections["default"])
    assert driver_connection(connection) is None


@pytest.mark.parametrize("alias", STRICTEST)
@pytest.mark.django_db
def test_a_connection_to_make_a_database_has_an_alias_of_its_own(alias):
    made: list[str] = []

    def note(connection: Any, **kwargs: Any) -> None:
        made.append(connection.alias)

    connection_created.connect(note)
    try:
        with connections[alias]._nodb_cursor():
            assert made == [NO_DATABASE]
    finally:
        connection_created.disconnect(note)


def test_a_transaction_of_sqlite_that_begins_with_the_lock_of_writers_is_known(other_databases, tmp_path):
    for mode, autocommit in product(("IMMEDIATE", "DEFERRED", None), (True, False)):
        options = {"transaction_mode": mode} if mode else {}
        file = tmp_path / f"{mode} {autocommit}"
        add_database("file", {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file), "OPTIONS": options})
        connection = connections["file"]
        try:
            assert not begins_with_lock(connection)
            connection.set_autocommit(autocommit)
            with transaction.atomic(using="file"), closing(sqlite3.connect(file, timeout=0)) as other:
                try:
                    other.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError:
                    is_locked = True
                else:
                    is_locked = False
                assert begins_with_lock(connection) is is_locked is (mode == "IMMEDIATE" and autocommit)
        finally:
            connection.close()
            del connections["file"], connections.settings["file"]
