"""Erasure beside other stores, on the disk, broken off, and by its command."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections

from chronos_storage import Storage, connect
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.ledger.leftovers import clear_leftovers
from chronos_storage.operations.chosen import Chosen
from chronos_storage.operations.erased import BACKUPS, Erased
from chronos_storage.operations.erasing import erase
from chronos_storage.operations.exporting import export
from chronos_storage.operations.importing import load_export
from chronos_storage.queues.memory import MemoryQueue
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import Embedding, Message, Session
from chronos_storage.testing.conformance.erasing import MARK, everything, others, write_shared
from chronos_storage.vectors.addresses import make_tables
from chronos_storage.vectors.base import VectorStore
from chronos_storage.vectors.stores import database_store
from tests.conftest import ONLY_SQLITE, STRICTEST

USER = f"{MARK}-user"


def fill_vectors(store: VectorStore) -> None:
    store.create_collection("c", 2)
    store.upsert(
        "c",
        [
            Embedding(id=f"{name}-{n}", vector=[1.0, n], content=f"{name} said", metadata={"by": name}, user_id=user)
            for n, (name, user) in enumerate([(MARK, USER), ("ben", "ben"), (MARK, USER)])
        ],
    )


def rows(alias: str) -> dict[str, list[str]]:
    """All rows of all tables, each as a text of all its columns, by table."""
    connection, found = connections[alias], {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = sorted(
                repr([bytes(each) if isinstance(each, memoryview) else each for each in row])
                for row in cursor.fetchall()
            )
    return found


def test_no_table_has_a_trace(storage_committed: Storage, alias: str, tmp_path: Path) -> None:
    storage, queue, vectors = storage_committed, OrmQueue(using=alias), database_store(using=alias)
    write_shared(storage)
    fill_vectors(vectors)
    for user in ("ben", USER):
        queue.publish("t", user, user_id=user, key=user)
    queue.publish(f"session:{MARK}-1", MARK)
    queue.ack("reader", f"session:{MARK}-1", queue.last_cursor(f"session:{MARK}-1"))
    before, kept = everything(storage), rows(alias)
    counted = erase(storage, USER, vector_stores=[vectors], queues=[queue], dry_run=True)
    assert rows(alias) == kept
    mine = tmp_path / "mine.jsonl"
    export(storage, mine, Chosen(user=USER), vector_stores=[vectors], queues=[queue])
    lines = [next(iter(json.loads(line).items())) for line in mine.read_text().splitlines()]
    shown = Counter(next(iter(value)) if kind == "extract" else kind for kind, value in lines)
    assert {kind: shown[kind] for kind in counted.counts} == counted.counts
    assert load_export(Storage(MemoryBackend()), mine).broken == []
    receipt = tmp_path / "receipt.json"
    report = erase(storage, USER, vector_stores=[vectors], queues=[queue], receipt=receipt)
    assert report.counts == {**counted.counts, "file": 1, "queue_entry": 2}
    assert {**report.digests} == counted.digests
    found = rows(alias)
    assert MARK.lower() not in repr(found).lower()  # words of a search are folded
    assert others(everything(storage)) == others(before)
    assert [each.id for each in vectors.list("c")] == ["ben-1"]
    assert [each.event for each in queue.recover("t")] == ["ben", None]
    said = json.loads(receipt.read_text())
    assert (said["counts"], said["backups"]) == (report.counts, BACKUPS)
    assert MARK not in receipt.read_text()
    assert MARK not in export_of(storage, tmp_path)
    queue.close()
    with pytest.raises(InvalidRecord, match="is there already"):
        erase(storage, USER, receipt=receipt)


def export_of(storage: Storage, folder: Path) -> str:
    export(storage, folder / "all.jsonl", Chosen())
    return (folder / "all.jsonl").read_text()


def test_an_sqlite_file_has_no_trace_of_what_was_removed_before_either(other_databases: None, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    storage = connect(f"sqlite:///{path}")
    storage.migrate()
    write_shared(storage)
    make_tables(storage.alias)
    vectors = database_store(using=storage.alias)
    fill_vectors(vectors)
    storage.add_message(Message(session_id=f"{MARK}-1", role="user", content=MARK), fence=1)
    storage.delete_messages(f"{MARK}-1", fence=1)
    assert erase(storage, USER, vector_stores=[vectors]).remains == []
    storage.close()
    files = [each.read_bytes() for each in tmp_path.glob("a.db*")]
    assert not any(MARK.lower().encode() in data.lower() for data in files)
    assert any(b"ben said" in data for data in files)


def test_of_every_database_nothing_is_left_on_the_disk(other_databases: None, tmp_path: Path) -> None:
    storage, beside = Storage(MemoryBackend()), connect(f"sqlite:///{tmp_path}/beside.db")
    write_shared(storage)
    beside.migrate()
    make_tables(beside.alias)
    vectors, queue = database_store(using=beside.alias), OrmQueue(using=beside.alias)
    fill_vectors(vectors)
    queue.publish("t", MARK * 500, user_id=USER)
    assert erase(storage, USER, vector_stores=[vectors], queues=[queue]).remains == []
    queue.close()
    beside.close()
    assert not any(MARK.lower().encode() in each.read_bytes().lower() for each in tmp_path.glob("beside.db*"))


def test_what_was_published_on_a_held_session_s_topic_stays_and_who_held_it() -> None:
    storage, queue = Storage(MemoryBackend()), MemoryQueue()
    for session, user in (("s", "ann"), ("of ben", "ben")):
        storage.create_session(Session(id=session, user_id=user))
        storage.set_legal_hold(session, True, actor="court", reason="a lawsuit")
    for topic in ("session:s", "session:of ben", "t"):
        queue.publish(topic, "said", user_id="ann")
    report = erase(storage, "ann", queues=[queue])
    assert (report.counts, report.held) == ({"queue_entry": 1}, ["of ben", "s"])
    assert [each.topic for each in queue.list_user_entries("ann")] == ["session:of ben", "session:s"]
    [held] = storage.list_audit_logs(resource="s", action="session.legal_hold")
    assert (held.actor, held.detail["reason"]) == ("court", "a lawsuit")


def test_nothing_goes_without_its_receipt(tmp_path: Path) -> None:
    storage = Storage(MemoryBackend())
    storage.create_session(Session(id="s", user_id="ann"))
    with pytest.raises(FileNotFoundError):
        erase(storage, "ann", receipt=tmp_path / "nowhere" / "receipt.json")
    assert storage.get_session("s") is not None
    assert erase(storage, "ann", receipt=tmp_path / "receipt.json").counts == {"session": 1}
    assert [each.name for each in tmp_path.iterdir()] == ["receipt.json"]


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_who_may_not_vacuum_is_told_so(storage_committed: Storage, alias: str) -> None:
    undone = f"dead rows in the database '{alias}': run VACUUM there"
    assert undone not in clear_leftovers(alias)
    with connections[alias].cursor() as cursor:
        cursor.execute("SET ROLE pg_monitor")  # the server's own, which owns nothing
        try:
            assert undone in clear_leftovers(alias)
        finally:
            cursor.execute("RESET ROLE")


def test_files_have_no_trace(tmp_path: Path) -> None:
    storage = connect(f"file://{tmp_path}/store")
    write_shared(storage)
    erase(storage, USER)
    storage.close()
    for path in (tmp_path / "store").rglob("*"):
        assert MARK not in str(path)
        assert not path.is_file() or MARK.encode() not in path.read_bytes(), path


def test_what_was_broken_off_anywhere_goes_on() -> None:
    class Stopped(Exception):
        pass

    def stopping(after: int) -> Callable[[Erased], object]:
        left = iter(range(after))

        def progress(report: Erased) -> None:
            if next(left, None) is None:
                raise Stopped

        return progress

    for after in range(0, 12, 2):
        storage, queue = Storage(MemoryBackend()), MemoryQueue()
        write_shared(storage)
        queue.publish(f"session:{MARK}-1", MARK)
        with pytest.raises(Stopped):
            erase(storage, USER, queues=[queue], progress=stopping(after))
        assert storage.list_audit_logs(action="user.erase") == []
        erase(storage, USER, queues=[queue])
        assert MARK not in repr(everything(storage))
        assert queue.recover(f"session:{MARK}-1") == []
        assert len(storage.list_audit_logs(action="user.erase")) == 1
        assert all(verdict.intact for verdict in storage.verify_all())


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_the_command_asks_first(storage: Storage, monkeypatch: Any) -> None:
    storage.create_session(Session(id="s", user_id="ann "))
    typed = iter(["ben", "ann "])
    monkeypatch.setattr("builtins.input", lambda *args: next(typed))
    stdout = io.StringIO()
    with pytest.raises(CommandError, match="Not confirmed"):
        call_command("chronos_erase", "--user", "ann ", stdout=stdout)
    call_command("chronos_erase", "--user", "ann ", "--dry-run", stdout=stdout)
    assert storage.get_session("s") is not None
    storage.set_legal_hold("s", True, actor="court", reason="case 7")
    call_command("chronos_erase", "--user", "ann ", stdout=stdout)
    assert "Session 's' is under a legal hold and was left." in stdout.getvalue()
    storage.set_legal_hold("s", False, actor="court", reason="settled")
    call_command("chronos_erase", "--user", "ann ", "--no-input", stdout=stdout)
    assert storage.get_session("s") is None
