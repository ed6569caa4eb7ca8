"""A database that was filled when the first migration was final is whole after all later ones."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from pytest_django import DjangoDbBlocker

from chronos_storage import connect
from chronos_storage.backends.document.memory import MemoryBackend
from chronos_storage.compat.schema import constraint_names
from chronos_storage.facade import Storage
from chronos_storage.models import Session
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import KINDS, Event
from chronos_storage.vectors.stores import database_store
from tests.databases import PLACES, new_databases
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
        assert storage.append_event(Event(session_id="purged")).seq_num == expected.last_seq("purged") + 1

        queue = OrmQueue(using=storage.alias)
        assert [entry.event["number"] for entry in queue.recover("topic")] == [0, 1, 2]
        assert queue.unread_count("reader", "topic") == 2
        vectors = database_store(using=storage.alias)
        assert vectors.count("texts") == len(STRINGS)
        first = vectors.search("texts", [1.0, 0.0, 0.5], 1)[0]
        assert (first.id, first.metadata, first.user_id) == (STRINGS[0], {"number": 0}, "user")
        storage.close()


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
            return index_names(storage)

        earlier, later = migrate("0003"), {index.name for index in Session._meta.indexes}
        for target, indexes in (("0004", later), ("0003", earlier)):
            with pytest.raises(InterruptedError), connections[storage.alias].execute_wrapper(break_off):
                migrate(target)
            broken_off = index_names(storage)
            assert broken_off & indexes
            assert broken_off - indexes
            assert migrate(target) == indexes
        storage.close()


def index_names(store: Storage) -> set[str]:
    """The indexes of sessions that migrations make."""
    found = constraint_names(connections[store.alias], Session._meta.db_table)
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
