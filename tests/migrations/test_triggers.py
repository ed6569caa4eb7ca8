"""The ledger's triggers are there wherever its tables came from, and where one is missing, that is said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import CommandError, SystemCheckError
from django.db import IntegrityError, connections, transaction
from pytest_django import Settings

from chronos_storage.facade import Storage
from chronos_storage.ledger import triggers
from chronos_storage.models import Event
from chronos_storage.records import AuditLog as AuditLogRecord
from chronos_storage.records import Event as EventRecord
from chronos_storage.records import Session as SessionRecord
from tests.databases import PLACES

EACH_VENDOR = [place for place in PLACES if place != "postgres15"]
POSTGRESQL = [alias for alias in django_settings.DATABASES if alias.startswith("postgres")]
TABLES = ("chronos_storage_event", "chronos_storage_auditlog")
PGVECTOR = "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"


def migrate(storage: Storage, *target: str, **options: Any) -> None:
    call_command("migrate", "chronos_storage", *target, database=storage.alias, verbosity=0, **options)


def execute(storage: Storage, statement: str) -> list[Any]:
    with transaction.atomic(using=storage.alias), connections[storage.alias].cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def vendor_of(storage: Storage) -> str:
    return connections[storage.alias].vendor


def assert_guarded(storage: Storage) -> None:
    """Rows can be appended to both tables, and then be neither changed nor removed by SQL."""
    storage.save_session(SessionRecord(id="s"))
    storage.append_event(EventRecord(session_id="s", payload={"n": 1}))
    storage.append_events([EventRecord(session_id="s"), EventRecord(session_id="s")])
    storage.append_audit_log(AuditLogRecord(session_id="s", action="do"))
    before = [execute(storage, f"SELECT * FROM {table} ORDER BY id") for table in TABLES]
    for table in TABLES:
        attempts = [f"UPDATE {table} SET hash = ''", f"UPDATE {table} SET id = id", f"DELETE FROM {table}"]
        if vendor_of(storage) == "sqlite":
            attempts.append(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")
        for attempt in attempts:
            with pytest.raises(IntegrityError, match="append-only"):
                execute(storage, attempt)
    assert [execute(storage, f"SELECT * FROM {table} ORDER BY id") for table in TABLES] == before
    assert storage.verify_events("s").intact
    assert storage.verify_audit_logs("s").intact


def trigger_names(storage: Storage) -> dict[str, str]:
    """The tables of the ledger's triggers that are in the database, by their names."""
    query = {
        "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'",
        "mysql": "SELECT trigger_name, event_object_table FROM information_schema.triggers"
        " WHERE trigger_schema = database()",
        "postgresql": "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal",
    }
    found = dict(execute(storage, query[vendor_of(storage)]))
    return {name: table for name, table in found.items() if not name.endswith("_owner")}


def drop(storage: Storage, name: str, table: str) -> None:
    execute(storage, f"DROP TRIGGER {name}" + (f" ON {table}" if vendor_of(storage) == "postgresql" else ""))


def check(storage: Storage) -> str:
    """What ``check --database`` complains about."""
    try:
        call_command("check", databases=[storage.alias], fail_level="WARNING")
    except SystemCheckError as error:
        return str(error)
    return ""


def test_they_are_there_after_migrate(migrated: Storage) -> None:
    assert_guarded(migrated)
    assert set(trigger_names(migrated).values()) == set(TABLES)
    assert "W003" not in check(migrated)
    assert migrated.health().ok


def objects(storage: Storage) -> list[Any]:
    """All that is in the database but Django's own table."""
    queries = {
        "sqlite": "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'",
        "mysql": "SELECT table_name FROM information_schema.tables WHERE table_schema = database()"
        " UNION SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = database()"
        " UNION SELECT routine_name FROM information_schema.routines WHERE routine_schema = database()",
        # What belongs to the extension stays with it.
        "postgresql": "SELECT name FROM (SELECT oid, relname AS name, relnamespace AS n FROM pg_class"
        " UNION SELECT oid, proname, pronamespace FROM pg_proc"
        " UNION SELECT oid, typname, typnamespace FROM pg_type) AS found"
        " WHERE n = 'public'::regnamespace AND NOT EXISTS"
        " (SELECT 1 FROM pg_depend WHERE objid = found.oid AND deptype IN ('e', 'i'))",
    }
    names = [name for (name,) in execute(storage, queries[vendor_of(storage)])]
    return [name for name in names if not name.startswith("django_migrations")]


@pytest.mark.parametrize("empty", EACH_VENDOR, indirect=True)
def test_going_back_to_zero_leaves_nothing_and_they_are_there_again(empty: Storage) -> None:
    migrate(empty)
    assert_guarded(empty)
    has_vectors = vendor_of(empty) != "postgresql" or execute(empty, PGVECTOR)
    if has_vectors:
        call_command("migrate", "chronos_vectors", database=empty.alias, verbosity=0)
        call_command("migrate", "chronos_vectors", "zero", database=empty.alias, verbosity=0)
    migrate(empty, "zero")
    assert objects(empty) == []
    assert "W003" not in check(empty)
    migrate(empty)
    assert empty.get_session("s") is None
    assert_guarded(empty)


def test_they_are_there_in_a_database_made_without_migrations(empty: Storage, settings: Settings) -> None:
    settings.MIGRATION_MODULES = {"chronos_storage": None}
    migrate(empty, run_syncdb=True)
    assert_guarded(empty)
    assert "W003" not in check(empty)


def test_migrate_again_leaves_them_as_they_are(migrated: Storage) -> None:
    before = trigger_names(migrated)
    migrate(migrated)
    assert trigger_names(migrated) == before
    assert_guarded(migrated)


@pytest.mark.parametrize("empty", EACH_VENDOR, indirect=True)
def test_they_are_made_again_after_their_table_was(empty: Storage) -> None:
    """A migration that alters the table rebuilds it on SQLite, which drops its triggers."""
    migrate(empty)
    assert_guarded(empty)
    narrow = Event._meta.get_field("type")
    wide = narrow.clone()
    wide.max_length = 500
    wide.set_attributes_from_name("type")
    wide.model = Event
    with connections[empty.alias].schema_editor() as editor:
        editor.alter_field(Event, narrow, wide, strict=True)
    lost = set(trigger_names(empty).values()) != set(TABLES)
    assert lost == (vendor_of(empty) == "sqlite")
    migrate(empty)
    assert "W003" not in check(empty)
    assert_guarded(empty)


def test_each_that_is_missing_is_named_and_made_again(migrated: Storage) -> None:
    installed = trigger_names(migrated)
    assert len(installed) >= len(TABLES)
    for name, table in installed.items():
        drop(migrated, name, table)
        complaint = check(migrated)
        assert "W003" in complaint
        assert name in complaint
        assert [other for other in installed if other != name and other in complaint] == []
        [problem] = migrated.health().problems
        assert name in problem
        migrate(migrated, skip_checks=False)  # as the command line does: no check keeps it from running
        assert "W003" not in check(migrated)
    assert trigger_names(migrated) == installed
    assert_guarded(migrated)


@pytest.mark.parametrize("migrated", POSTGRESQL, indirect=True)
def test_one_that_is_disabled_is_missing(migrated: Storage) -> None:
    execute(migrated, "ALTER TABLE chronos_storage_event DISABLE TRIGGER USER")
    assert "chronos_storage_event" in check(migrated)
    migrate(migrated)
    assert_guarded(migrated)


@pytest.mark.parametrize("migrated", POSTGRESQL, indirect=True)
def test_a_function_that_is_missing_is_made_again(migrated: Storage) -> None:
    functions = execute(migrated, "SELECT proname FROM pg_proc WHERE proname LIKE 'chronos%append%'")
    assert functions
    for (name,) in functions:
        execute(migrated, f"DROP FUNCTION {name}")
        assert name in check(migrated)
        migrate(migrated)
    assert_guarded(migrated)


def test_a_database_without_the_tables_lacks_nothing(empty: Storage) -> None:
    assert "W003" not in check(empty)
    assert triggers.missing(empty.alias) == []


def test_a_flush_empties_everything_and_closes_again(storage_committed: Storage) -> None:
    """What `TransactionTestCase` does after each test."""
    for _ in range(2):
        assert_guarded(storage_committed)
        User.objects.using(storage_committed.alias).create(username="host")
        call_command("flush", database=storage_committed.alias, interactive=False, verbosity=0)
        assert not User.objects.using(storage_committed.alias).exists()
        assert [execute(storage_committed, f"SELECT * FROM {table}") for table in TABLES] == [[], []]
    assert_guarded(storage_committed)


def test_a_flush_that_resets_sequences(storage_committed: Storage) -> None:
    assert_guarded(storage_committed)
    call_command("flush", database=storage_committed.alias, interactive=False, verbosity=0, reset_sequences=True)
    assert_guarded(storage_committed)
    assert execute(storage_committed, "SELECT MIN(id) FROM chronos_storage_event") == [(1,)]


def test_a_flush_that_fails_closes_again(storage_committed: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = type(connections[storage_committed.alias].ops)
    monkeypatch.setattr(operations, "execute_sql_flush", lambda *args: 1 / 0)
    with pytest.raises(CommandError):
        call_command("flush", database=storage_committed.alias, interactive=False, verbosity=0)
    monkeypatch.undo()
    assert_guarded(storage_committed)


def test_under_the_permit_a_row_can_be_emptied_and_not_be_changed_in_another_way(migrated: Storage) -> None:
    migrated.save_session(SessionRecord(id="s"))
    migrated.append_event(EventRecord(session_id="s", type="t", payload={"n": 1}))
    migrated.append_audit_log(AuditLogRecord(session_id="s", agent_id="a", user_id="u", action="do", detail={"n": 1}))
    blank = {
        "event": "type = '', schema = '', schema_version = 0, payload = 'null'",
        "auditlog": "user_id = '', actor = '', action = '', resource = '', detail = '{}'",
    }
    digest = "ab" * 32
    for table, values in blank.items():
        emptied = f"UPDATE chronos_storage_{table} SET {values}, erased = '{digest}'"
        also = ("seq_num = 2", "hash = ''", "created_at = '2020-01-01'", "session_id = 'x'")
        refused = [f"{emptied}, {each}" for each in also]
        refused += [emptied.replace(*each) for each in ((digest, ""), ("'{}'", "'[]'"), ("'null'", "'1'"))]
        refused.append(f"UPDATE chronos_storage_{table} SET erased = '{digest}'")
        for statement in dict.fromkeys(each for each in refused if each != emptied):
            with pytest.raises(IntegrityError, match="append-only"), deleting(migrated):
                execute(migrated, statement)
        with pytest.raises(IntegrityError, match="append-only"):
            execute(migrated, emptied)
        with deleting(migrated):
            execute(migrated, emptied)
            for statement in (emptied.replace(digest, "cd" * 32), f"UPDATE chronos_storage_{table} SET erased = ''"):
                with pytest.raises(IntegrityError, match="append-only"):
                    execute(migrated, statement)


@contextmanager
def deleting(storage: Storage) -> Iterator[None]:
    """The permit of the triggers, which on PostgreSQL is a transaction's."""
    with transaction.atomic(using=storage.alias), triggers.deletion_permitted(storage.alias):
        yield
