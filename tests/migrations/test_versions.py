"""Triggers and functions of another version, or whose body somebody changed, and what is left without the tables."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connections, transaction

from chronos_storage import connect
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import ConfigurationError
from chronos_storage.facade import Storage
from chronos_storage.ledger import triggers
from chronos_storage.records import Event, Session
from tests import servers
from tests.databases import PLACES
from tests.migrations.test_triggers import assert_guarded, check, execute, migrate, trigger_names, vendor_of

EACH_VENDOR = [place for place in PLACES if place != "postgres15"]

#: Bodies that let everything pass, by vendor.
HARMLESS = {
    "sqlite": "BEGIN SELECT 1; END",
    "mysql": "SET @harmless = 1",
    "postgresql": "BEGIN RETURN COALESCE(NEW, OLD); END",
}


def functions(storage: Storage) -> dict[str, str]:
    """The bodies of the functions in the database that are no extension's, by name."""
    if vendor_of(storage) != "postgresql":
        return {}
    return dict(execute(storage, "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace"))


def weaken(storage: Storage) -> list[str]:
    """Give each trigger, or the function that they call, a body that refuses nothing; returns the names."""
    body = HARMLESS[vendor_of(storage)]
    if vendor_of(storage) == "postgresql":
        [name] = [name for name in functions(storage) if "refuse" in name]
        execute(storage, f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        return [name]
    found = trigger_names(storage)
    for name, table in found.items():
        event = name.split("_no_")[1].split("_")[0].upper().replace("REPLACE", "INSERT")
        execute(storage, f"DROP TRIGGER {name}")
        execute(storage, f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {body}")
    return list(found)


@pytest.mark.parametrize("migrated", EACH_VENDOR, indirect=True)
def test_one_whose_body_was_changed_is_found_and_put_right(migrated: Storage) -> None:
    before = {**trigger_names(migrated), **functions(migrated)}
    changed = weaken(migrated)
    complaint = check(migrated)
    assert "W003" in complaint
    [problem] = migrated.health().problems
    for name in changed:
        assert name in complaint
        assert name in problem
    migrate(migrated)
    assert {**trigger_names(migrated), **functions(migrated)} == before
    assert "W003" not in check(migrated)
    assert_guarded(migrated)


@pytest.mark.parametrize("migrated", ["postgres"], indirect=True)
def test_a_changed_append_function_is_put_right(migrated: Storage) -> None:
    before = functions(migrated)
    names = [name for name in before if "append" in name]
    assert len(names) == 6
    for name in names:
        execute(migrated, f"UPDATE pg_proc SET prosrc = replace(prosrc, 'NOT FOUND', 'FOUND') WHERE proname = '{name}'")
        assert name in check(migrated)
    migrate(migrated)
    assert functions(migrated) == before


@pytest.mark.parametrize("migrated", EACH_VENDOR, indirect=True)
def test_what_another_version_made_is_replaced(migrated: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as other:
        other.setattr(triggers, "MESSAGE", "chronos_storage: ledger rows were append-only")
        migrate(migrated)
    before = trigger_names(migrated)
    complaint = check(migrated)
    assert "W003" in complaint
    migrate(migrated)
    assert set(before).isdisjoint(trigger_names(migrated))
    assert len(trigger_names(migrated)) == len(before)
    assert len([name for name in functions(migrated) if "refuse" in name]) <= 1
    assert_guarded(migrated)


@contextmanager
def hammered(storage: Storage, statement: str) -> Iterator[list[str]]:
    """Meanwhile another thread tries the statement again and again; the list has what came of it but refusals."""
    passed: list[str] = []
    stop = threading.Event()

    def attack() -> None:
        while not stop.is_set():
            try:
                with transaction.atomic(using=storage.alias), connections[storage.alias].cursor() as cursor:
                    cursor.execute(statement)
                    transaction.set_rollback(True, using=storage.alias)
                passed.append("passed")
            except IntegrityError:
                pass
            except DatabaseError as error:
                passed.append(str(error))
        connections[storage.alias].close()

    thread = threading.Thread(target=attack)
    thread.start()
    try:
        yield passed
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("migrated", EACH_VENDOR, indirect=True)
def test_no_moment_is_without_a_guard_while_they_are_replaced(
    migrated: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = migrated.create_session(Session()).id
    migrated.append_event(Event(session_id=session))
    with hammered(migrated, "UPDATE chronos_storage_event SET id = id") as passed, monkeypatch.context() as other:
        for number in range(4):
            other.setattr(triggers, "MESSAGE", f"chronos_storage: append-only, {number}")
            triggers.install(migrated.alias)
            migrated.append_event(Event(session_id=session))
    triggers.install(migrated.alias)
    assert passed == []
    assert migrated.last_seq(session) == 5


@pytest.mark.parametrize("empty", ["postgres"], indirect=True)
def test_a_worker_of_the_version_before_appends_by_its_own_function(empty: Storage) -> None:
    migrate(empty)
    current = next(name for name in functions(empty) if name.startswith("chronos_storage_event_append"))
    old, older = "chronos_storage_event_append_1", "chronos_storage_event_append_0"
    for name in (older, old):
        execute(empty, f"ALTER FUNCTION {current} RENAME TO {name}")
        migrate(empty)
    found = functions(empty)
    assert {current, old} <= found.keys()
    assert older not in found  # two versions ago
    empty.create_session(Session(id="s"))
    connection = connections[empty.alias]

    def as_before(run: Any, sql: str, *rest: Any) -> Any:
        return run(sql.replace(current, old), *rest)

    for number in (1, 2):
        with connection.execute_wrapper(as_before):
            assert empty.append_event(Event(session_id="s", payload=number)).seq_num == 2 * number - 1
        assert empty.append_event(Event(session_id="s", payload=number)).seq_num == 2 * number
    assert empty.verify_events("s").intact


@pytest.mark.parametrize("empty", ["sqlite"], indirect=True)
def test_the_triggers_of_the_words_are_put_right(empty: Storage) -> None:
    call_command("migrate", "chronos_vectors", database=empty.alias, verbosity=0)
    before = execute(empty, "SELECT name, sql FROM sqlite_master ORDER BY name")
    execute(empty, "DROP TRIGGER chronos_vectors_words_insert")
    execute(
        empty,
        "CREATE TRIGGER chronos_vectors_words_insert AFTER INSERT ON chronos_vectors_embedding BEGIN SELECT 1; END",
    )
    call_command("migrate", "chronos_vectors", database=empty.alias, verbosity=0)
    assert execute(empty, "SELECT name, sql FROM sqlite_master ORDER BY name") == before


def test_a_server_that_refuses_triggers_names_the_grant(django_db_blocker: Any) -> None:
    """MariaDB with a binary log, and MySQL as it comes: who may do anything with one database may make no trigger."""
    server = servers.own_mariadb("--log-bin")
    if server is None:
        pytest.skip("MariaDB is not installed")
    server.start()
    with django_db_blocker.unblock():
        administrator, user = connect(server.url), connect(server.url.replace("root@", "app:word@"))
        assert isinstance(administrator.backend, OrmBackend)
        execute(administrator, "CREATE USER app@'%' IDENTIFIED BY 'word'")
        execute(administrator, "GRANT ALL ON chronos.* TO app@'%'")
        with pytest.raises(ConfigurationError, match=r"GRANT SUPER .*log_bin_trust_function_creators"):
            user.migrate()
        with pytest.raises(CommandError, match="GRANT SUPER"):  # without a traceback
            call_command("migrate", database=user.alias, verbosity=0)
        assert "triggers" in user.health().problems[0]
        execute(administrator, "SET GLOBAL log_bin_trust_function_creators = 1")
        user.migrate()
        assert user.health().ok
        for store in (user, administrator):
            store.close()
    server.stop()
