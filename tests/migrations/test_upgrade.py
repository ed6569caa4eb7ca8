"""A database that was filled when the first migration was final is whole after all later ones."""

from __future__ import annotations

import dataclasses
import re
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from chronos_storage import connect
from chronos_storage.backends.document.memory import MemoryBackend
from chronos_storage.compat.connections import unwrapped_connection
from chronos_storage.compat.schema import column_names, index_names
from chronos_storage.facade import Storage
from chronos_storage.models import AuditLog, Head, QueueEntry, Session, Topic
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import KINDS, Event
from chronos_storage.vectors.stores import database_store
from tests.databases import PLACES, hand_written, new_databases
from tests.migrations.filled import STRINGS, at, fill, restore


def content(storage: Storage) -> dict[str, list[Any]]:
    """All records, but for the times and ids that the store itself gave."""
    return {kind: [_given(record) for record in storage.scan(kind)] for kind in KINDS}


def _given(record: Any) -> Any:
    own: dict[str, Any] = {"updated_at": None} if hasattr(record, "updated_at") else {}
    if getattr(record, "deleted_at", None):
        own["deleted_at"] = at(0)
    if getattr(record, "action", "") == "ledger.purge":
        own |= {"id": "", "created_at": None, "hash": ""}
    return dataclasses.replace(record, **own)


@pytest.mark.parametrize("place", [place for place in PLACES if place != "postgres15"])
def test_a_filled_database_is_whole_afterwards(place: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> None:
    expected = Storage(MemoryBackend())
    fill(expected)
    with django_db_blocker.unblock(), new_databases(place, tmp_path) as [address]:
        storage = connect(address)
        restore(connections[storage.alias].vendor, address)
        call_command("migrate", database=storage.alias, verbosity=0)
        assert storage.health().problems == ()
        assert content(storage) == content(expected)
        for session in ("full", "deleted", "purged"):
            for verify in (storage.verify_events, storage.verify_audit_logs):
                assert verify(session).problem == ""
        assert storage.verify_events("purged").base_seq == 5
        assert_owned(storage)
        assert storage.append_event(Event(session_id="purged")).seq_num == expected.last_seq("purged") + 1

        queue = OrmQueue(using=storage.alias)
        assert [entry.event["number"] for entry in queue.recover("topic")] == [0, 1, 2]
        assert queue.unread_count("reader", "topic") == 2
        vectors = database_store(using=storage.alias)
        assert vectors.count("texts") == len(STRINGS)
        first = vectors.search("texts", [1.0, 0.0, 0.5], 1)[0]
        assert (first.id, first.metadata, first.user_id) == (STRINGS[0], {"number": 0}, "user")
        storage.close()


def assert_owned(storage: Storage) -> None:
    """Rows from before there were owners have theirs, and rows that a worker of that version writes get it."""
    names: dict[type[Any], str] = {Topic: "name", QueueEntry: "topic", AuditLog: "chain", Head: "series"}
    heads = {"kind": "'audit_log'", "namespace": "''", "seq_num": 0, "hash": "''", "base_seq": 0, "base_hash": "''"}
    now, entry = "'2026-01-01 00:00:00'", {"event": "'1'", "user_id": "''"}
    places = ("session_id", "agent_id", "user_id", "actor", "action", "resource")
    others: dict[type[Any], dict[str, Any]] = {
        Topic: {"seq_num": 1, "base_seq": 0},
        QueueEntry: {"seq_num": 1, "created_at": now, **entry},
        AuditLog: {"seq_num": 1, "hash": "''", "detail": "'{}'", "created_at": now, **dict.fromkeys(places, "''")},
        Head: {**heads, "closed": "FALSE"},
    }
    for model, name in names.items():
        rows = model.objects.using(storage.alias)
        assert rows.exists()
        assert all(row.owner == value for row, value in zip(rows.order_by("pk"), owners(rows), strict=True))
        table, column = model._meta.db_table, model._meta.get_field(name).column
        for number, series in enumerate(("session:old", "other")):
            values = {column: f"'{series}'", **others[model]}
            if model is AuditLog:
                values["id"] = f"'old{number}'"
            with connections[storage.alias].cursor() as cursor:
                cursor.execute(
                    f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(map(str, values.values()))})"
                )
        for series, owner in (("session:old", "old"), ("other", "other")):
            assert rows.filter(**{name: series}).values_list("owner", flat=True).get() == owner


@pytest.mark.skipif("postgres" not in PLACES, reason="only PostgreSQL's migrations hold the locks of several tables")
def test_the_migration_of_owners_and_those_at_work_are_not_in_each_other_s_way(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    def append(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("WITH page"):
            observer.execute("UPDATE chronos_storage_head SET seq_num = seq_num + 1")
        return execute(sql, params, many, context)

    def migrate(target: str) -> None:
        with connections[alias].execute_wrapper(append):
            call_command("migrate", "chronos_storage", target, database=alias, verbosity=0)
        connections[alias].close()

    waiting = (
        "SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database"
        " WHERE NOT granted AND datname = current_database()"
    )
    with django_db_blocker.unblock(), new_databases("postgres", tmp_path) as [address], ThreadPoolExecutor(1) as pool:
        alias = hand_written(address, OPTIONS={"isolation_level": 3})
        pool.submit(migrate, "0006").result(timeout=60)
        with unwrapped_connection(alias) as worker, unwrapped_connection(alias) as observer:
            worker.execute(
                "INSERT INTO chronos_storage_head (kind, owner, namespace, seq_num, hash, base_seq, base_hash, closed)"
                " VALUES ('event', 's', '', 1, '', 0, '', FALSE)"
            )
            for target in ("0004", "0006"):
                with worker.transaction():
                    worker.execute("SELECT FROM chronos_storage_head FOR SHARE")
                    migrated = pool.submit(migrate, target)
                    while not observer.execute(waiting).fetchall():
                        assert not migrated.done()
                        time.sleep(0.01)
                    for table in ("head", "auditlog", "topic", "queueentry"):
                        worker.execute(f"DELETE FROM chronos_storage_{table} WHERE FALSE")
                migrated.result(timeout=60)
            assert worker.execute("SELECT seq_num, owned_by FROM chronos_storage_head").fetchall() == [(2, "s")]


def owner_column(model: type[Any]) -> str:
    return str(model._meta.get_field("owner").column)


def owners(rows: Any) -> list[str]:
    """As they are stored."""
    return list(rows.order_by("pk").values_list("owner", flat=True))


@pytest.mark.parametrize("place", [place for place in PLACES if place != "postgres15"])
def test_a_migration_of_indexes_that_was_broken_off_is_run_again(
    place: str, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    def break_off(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        # Among those that are removed, or made again.
        if sql.startswith(("CREATE", "DROP")) and re.search('["`]chronos_session_status', sql):
            raise InterruptedError
        return execute(sql, params, many, context)

    with django_db_blocker.unblock(), new_databases(place, tmp_path) as [address]:
        storage = connect(address)

        def migrate(target: str) -> set[str]:
            call_command("migrate", "chronos_storage", target, database=storage.alias, verbosity=0)
            return session_indexes(storage)

        earlier, later = migrate("0003"), {index.name for index in Session._meta.indexes}
        for target, indexes in (("0004", later), ("0003", earlier)):
            with pytest.raises(InterruptedError), connections[storage.alias].execute_wrapper(break_off):
                migrate(target)
            broken_off = session_indexes(storage)
            assert broken_off & indexes
            assert broken_off - indexes
            assert migrate(target) == indexes
        storage.close()


@pytest.mark.skipif("mariadb" not in PLACES, reason="only MariaDB can't undo a migration that was broken off")
def test_the_migration_of_owners_that_was_broken_off_is_run_again(
    tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> None:
    def break_off(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith("ALTER TABLE `chronos_storage_auditlog`"):
            raise InterruptedError
        return execute(sql, *rest)

    with django_db_blocker.unblock(), new_databases("mariadb", tmp_path) as [address]:
        storage = connect(address, migrate=True)
        for target, count in (("0004", 0), ("0006", 4)):
            migrate = partial(call_command, "migrate", "chronos_storage", target, database=storage.alias, verbosity=0)
            with pytest.raises(InterruptedError), connections[storage.alias].execute_wrapper(break_off):
                migrate()
            migrate()
            models = (AuditLog, Head, QueueEntry, Topic)
            owned = [
                owner_column(model) in column_names(connections[storage.alias], model._meta.db_table)
                for model in models
            ]
            assert owned.count(True) == count
        storage.close()


def session_indexes(store: Storage) -> set[str]:
    """The indexes of sessions that migrations make."""
    found = index_names(connections[store.alias], Session._meta.db_table)
    return {name for name in found if name.startswith("chronos_session_")}


@pytest.mark.skipif("postgres" not in PLACES, reason="only PostgreSQL keeps words beside")
def test_vectors_go_on_after_a_migration_back(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), new_databases("postgres", tmp_path) as [address]:
        storage = connect(address)
        connection = connections[storage.alias]
        call_command("migrate", "chronos_vectors", database=storage.alias, verbosity=0)
        call_command("migrate", "chronos_vectors", "0002", database=storage.alias, verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO chronos_vectors_embedding"
                " (collection_id, embedding_id, vector, content, metadata, user_id)"
                " VALUES (1, 'a', '[1]', '', '{}', '')"
            )
            cursor.execute("DELETE FROM chronos_vectors_embedding")
        assert not [name for name in connection.introspection.table_names() if "words" in name]
        call_command("migrate", "chronos_vectors", database=storage.alias, verbosity=0)
        assert "chronos_vectors_words" in connection.introspection.table_names()
        storage.close()
