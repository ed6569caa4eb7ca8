"""`chronos_distribute`, and what a database is like afterwards."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connections
from django.test.utils import CaptureQueriesContext

from chronos_storage.distributed.places import PLACES
from chronos_storage.distributed.state import distributed
from chronos_storage.exceptions import AlreadyExists
from chronos_storage.facade import Storage
from chronos_storage.ledger import triggers
from chronos_storage.records import KINDS, AuditLog, Checkpoint, Event, Message, Session
from tests.cluster.conftest import distribute


def everything(storage: Storage) -> dict[str, list[Any]]:
    """All that a storage has."""
    return {kind: sorted(storage.scan(kind), key=repr) for kind in KINDS}


def warnings(alias: str) -> list[str]:
    return [each.msg for each in run_checks(databases=[alias], tags=["database"]) if each.id == "chronos_storage.W008"]


def execute(alias: str, statement: str) -> list[Any]:
    with connections[alias].cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_what_was_there_is_there_and_goes_on(filled: Storage, capsys: Any) -> None:
    before = everything(filled)
    distribute(filled.alias, shards=4)
    assert "Tables: 12 distributed." in capsys.readouterr().out
    assert everything(filled) == before
    assert all(verdict.intact for verdict in filled.verify_all())
    counts = execute(
        filled.alias,
        "SELECT table_name::text, shard_count FROM citus_tables WHERE table_name::text LIKE 'chronos_storage_%'",
    )
    assert dict(counts) == dict.fromkeys([*(place.table for place in PLACES), "chronos_storage_auditid"], 4)
    for number in range(8):
        assert filled.add_message(Message(session_id=f"s{number}", role="user", content="more")).seq_num == 4
        assert filled.append_event(Event(session_id=f"s{number}", type="t")).seq_num == 4
        assert filled.append_audit_log(AuditLog(session_id=f"s{number}", action="a")).seq_num == 2
    assert all(verdict.intact for verdict in filled.verify_all())


def test_again_it_does_nothing_and_printing_does_nothing_at_all(migrated: str) -> None:
    stdout = io.StringIO()
    distribute(migrated, only_print=True, stdout=stdout)
    printed = stdout.getvalue()
    assert distributed(connections[migrated]) == {}
    assert "Statements: " in printed
    for line in printed.splitlines():
        if line.endswith(";"):
            execute(migrated, line)
    connections[migrated].close()
    assert distributed(connections[migrated]) == {place.table: place.column for place in PLACES}
    again = io.StringIO()
    distribute(migrated, only_print=True, stdout=again)
    assert again.getvalue() == "Statements: 0 to be run.\n"
    distribute(migrated)
    call_command("migrate", database=migrated, verbosity=0)
    assert triggers.missing(migrated) == []


def test_a_check_says_what_is_not_distributed(migrated: str) -> None:
    assert ["chronos_storage_session" in text for text in warnings(migrated)] == [True]
    distribute(migrated, shards=2)
    assert warnings(migrated) == []


def test_a_function_of_another_version_runs_on_the_workers_too(migrated: str) -> None:
    distribute(migrated, shards=2)
    [(name,)] = execute(
        migrated,
        "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'chronos_storage_event_append%'",
    )
    execute(migrated, f"DROP FUNCTION {name}")
    [(trigger, table)] = execute(
        migrated,
        "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgname LIKE 'chronos_storage_event_append_only%'"
        " AND tgrelid = 'chronos_storage_event'::regclass",
    )
    execute(migrated, f"DROP TRIGGER {trigger} ON {table}")
    call_command("migrate", database=migrated, verbosity=0)
    assert warnings(migrated) == []
    storage = _storage(migrated)
    storage.create_session(Session(id="s"))
    storage.append_event(Event(id="e", session_id="s", type="t"))
    with pytest.raises(IntegrityError, match="append-only"):
        execute(migrated, "UPDATE chronos_storage_event SET type = 'x'")


def test_a_table_that_refers_to_one_of_them_is_named(migrated: str) -> None:
    execute(migrated, "CREATE TABLE notes (session_id varchar REFERENCES chronos_storage_session (id))")
    with pytest.raises(CommandError, match="notes can't be distributed"):
        distribute(migrated)
    assert distributed(connections[migrated]) == {}


def test_a_database_without_citus_is_refused(tmp_path: Any, other_databases: None) -> None:
    from tests.databases import hand_written

    with pytest.raises(CommandError, match="has no extension citus"):
        distribute(hand_written(f"sqlite:///{tmp_path}/db.sqlite3"))


def test_an_append_is_one_task_on_one_worker(filled: Storage) -> None:
    distribute(filled.alias, shards=4)
    connection, nodes = connections[filled.alias], set()
    for number in range(8):
        id = f"s{number}"
        with CaptureQueriesContext(connection) as queries:
            filled.append_event(Event(session_id=id, type="t"))
            filled.add_message(Message(session_id=id, role="user", content="hello"))
            filled.add_messages([Message(session_id=id, role="user", content="hello")] * 2)
            filled.save_checkpoint(Checkpoint(session_id=id, state={}))
        assert len(queries) == 4
        for query in queries:
            [(plan,)] = execute(filled.alias, f"EXPLAIN (FORMAT JSON) {query['sql']}")
            job = plan[0]["Plan"]["Distributed Query"]["Job"]
            assert job["Task Count"] == 1
            nodes.add(job["Tasks"][0]["Node"])
    assert len(nodes) == 2


def test_an_id_of_an_audit_entry_is_taken_in_all_chains(filled: Storage) -> None:
    distribute(filled.alias, shards=4)
    filled.append_audit_log(AuditLog(id="one", session_id="s1", action="a"))
    for number in range(8):
        with pytest.raises(AlreadyExists):
            filled.append_audit_log(AuditLog(id="one", agent_id=f"s{number}", action="a"))
    filled.delete_session("s1", hard=True)
    assert filled.append_audit_log(AuditLog(id="one", agent_id="x", action="a")).seq_num == 1


def _storage(alias: str) -> Storage:
    from chronos_storage.backends.orm import OrmBackend

    return Storage(OrmBackend(using=alias))
