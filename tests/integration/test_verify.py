"""The ledger against raw SQL: refused while the triggers are there, found by `chronos_verify` when they are not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, connections, transaction

from chronos_storage import Storage
from chronos_storage.ledger import triggers
from chronos_storage.models import AuditLog, Event
from chronos_storage.records import AuditLog as AuditLogRecord
from chronos_storage.records import Event as EventRecord
from chronos_storage.records import Session
from tests.conftest import STRICTEST

EVENTS, AUDIT_LOGS, HEADS = "chronos_storage_event", "chronos_storage_auditlog", "chronos_storage_head"
ROWS = 5


@pytest.fixture
def fill(storage) -> Callable[[], None]:
    """Makes two sessions, "s" and "t", each with a chain of events and one of audit logs."""

    def run() -> None:
        for session_id in ("s", "t"):
            storage.create_session(Session(id=session_id))
            storage.append_events(
                [EventRecord(session_id=session_id, id=f"e{n}", type="t", payload={"n": n}) for n in range(ROWS)]
            )
            for n in range(ROWS):
                storage.append_audit_log(
                    AuditLogRecord(id=f"{session_id}{n}", session_id=session_id, actor="a", detail={"n": n})
                )

    return run


def run_sql(alias: str, *statements: str) -> None:
    with connections[alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def rows(alias: str) -> list[list[tuple]]:
    """All of the ledger, as it lies there."""
    return [list(model.objects.using(alias).order_by("pk").values_list()) for model in (Event, AuditLog)]


@contextmanager
def without_triggers(alias: str) -> Iterator[None]:
    connection = connections[alias]
    for table in (EVENTS, AUDIT_LOGS):
        if connection.vendor == "postgresql":
            run_sql(alias, f"ALTER TABLE {table} DISABLE TRIGGER USER")
        else:
            installed = triggers._VENDORS[connection.vendor].installed(connection)
            run_sql(alias, *(f"DROP TRIGGER {name}" for name in installed if name.startswith(table)))
    try:
        yield
    finally:
        triggers.install(alias)


def copy_row(model: type[Any], where: str, **values: str) -> str:
    """SQL that inserts a copy of a row, but for these values."""
    columns = [column.column for column in model._meta.concrete_fields if column.column != "id" or "id" in values]
    table = model._meta.db_table
    selected = ", ".join(values.get(column, column) for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {selected} FROM {table} WHERE {where}"


def swap(table: str, where: str) -> list[str]:
    """SQL by which the rows of numbers 2 and 4 change places."""
    return [
        f"UPDATE {table} SET seq_num = {new} WHERE {where} AND seq_num = {old}"
        for old, new in ((2, 1000), (4, 2), (1000, 4))
    ]


def event_tampering() -> dict[str, tuple[list[str], int]]:
    """What is done to the events of session "s", and the number of the first row that is then wrong."""
    s = "session_id = 's'"
    return {
        "content changed": ([f"UPDATE {EVENTS} SET payload = '{{\"n\":7}}' WHERE {s} AND seq_num = 3"], 3),
        "content spelled otherwise": ([f"UPDATE {EVENTS} SET payload = '{{\"n\": 2}}' WHERE {s} AND seq_num = 3"], 3),
        "schema changed": ([f"UPDATE {EVENTS} SET schema = 'p' WHERE {s} AND seq_num = 2"], 2),
        "version of the schema changed": ([f"UPDATE {EVENTS} SET schema_version = 1 WHERE {s} AND seq_num = 4"], 4),
        "type changed": ([f"UPDATE {EVENTS} SET type = 'T' WHERE {s} AND seq_num = 1"], 1),
        "id changed": ([f"UPDATE {EVENTS} SET event_id = 'e1 ' WHERE {s} AND seq_num = 2"], 2),
        "time changed": (
            [f"UPDATE {EVENTS} SET created_at = '2001-02-03 04:05:06.000007' WHERE {s} AND seq_num = 5"],
            5,
        ),
        "hash changed": ([f"UPDATE {EVENTS} SET hash = '{'0' * 64}' WHERE {s} AND seq_num = 4"], 4),
        "first removed": ([f"DELETE FROM {EVENTS} WHERE {s} AND seq_num = 1"], 1),
        "middle removed": ([f"DELETE FROM {EVENTS} WHERE {s} AND seq_num = 3"], 3),
        "last removed": ([f"DELETE FROM {EVENTS} WHERE {s} AND seq_num = {ROWS}"], ROWS),
        "all removed": ([f"DELETE FROM {EVENTS} WHERE {s}"], 1),
        "removed and renumbered": (
            [
                f"DELETE FROM {EVENTS} WHERE {s} AND seq_num = 3",
                f"UPDATE {EVENTS} SET seq_num = 3 WHERE {s} AND seq_num = 4",
                f"UPDATE {EVENTS} SET seq_num = 4 WHERE {s} AND seq_num = 5",
                f"UPDATE {HEADS} SET seq_num = 4 WHERE owner = 's' AND kind = 'event'",
            ],
            3,
        ),
        "last removed, head moved back": (
            [
                f"DELETE FROM {EVENTS} WHERE {s} AND seq_num = {ROWS}",
                f"UPDATE {HEADS} SET seq_num = {ROWS - 1} WHERE owner = 's' AND kind = 'event'",
            ],
            ROWS - 1,
        ),
        "inserted after the last": ([copy_row(Event, f"{s} AND seq_num = 2", seq_num="6", event_id="'new'")], 6),
        "inserted before the first": ([copy_row(Event, f"{s} AND seq_num = 2", seq_num="0", event_id="'new'")], 0),
        "inserted in the middle": (
            [
                *(f"UPDATE {EVENTS} SET seq_num = {n + 1} WHERE {s} AND seq_num = {n}" for n in range(ROWS, 2, -1)),
                copy_row(Event, f"{s} AND seq_num = 2", seq_num="3", event_id="'new'"),
                f"UPDATE {HEADS} SET seq_num = {ROWS + 1} WHERE owner = 's' AND kind = 'event'",
            ],
            3,
        ),
        "reordered": (swap(EVENTS, s), 2),
        "moved to another session": (
            [
                f"DELETE FROM {EVENTS} WHERE {s} AND seq_num = 2",
                copy_row(Event, "session_id = 't' AND seq_num = 2", session_id="'s'"),
            ],
            2,
        ),
        "head removed": ([f"DELETE FROM {HEADS} WHERE owner = 's' AND kind = 'event'"], 1),
        "a row without a head": (
            [
                f"DELETE FROM {HEADS} WHERE owner = 's' AND kind = 'event'",
                f"DELETE FROM {EVENTS} WHERE {s} AND seq_num > 1",
            ],
            1,
        ),
    }


def audit_tampering() -> dict[str, tuple[list[str], int]]:
    s = "chain = 'session:s'"
    changed = {
        column: ([f"UPDATE {AUDIT_LOGS} SET {column} = 'x' WHERE {s} AND seq_num = 3"], 3)
        for column in ("session_id", "agent_id", "user_id", "actor", "action", "resource")
    }
    return changed | {
        "detail changed": ([f"UPDATE {AUDIT_LOGS} SET detail = '{{}}' WHERE {s} AND seq_num = 2"], 2),
        "removed": ([f"DELETE FROM {AUDIT_LOGS} WHERE {s} AND seq_num = 4"], 4),
        "reordered": (swap(AUDIT_LOGS, s), 2),
        "inserted": ([copy_row(AuditLog, f"{s} AND seq_num = 1", id="'new'", seq_num="6")], 6),
        "moved to another chain": ([f"UPDATE {AUDIT_LOGS} SET chain = 'session:u' WHERE {s} AND seq_num = 5"], 5),
    }


def test_tampering_without_the_triggers_is_found_and_named(storage_committed, alias, command, fill) -> None:
    fill()
    intact = command("chronos_verify")
    assert (intact.status, intact.stdout) == (0, f"Chains: 4 checked, 0 broken. Rows: {4 * ROWS}.\n")
    before = rows(alias)
    cases = [("events of 's'", *case) for case in event_tampering().items()]
    cases += [("audit logs of 'session:s'", *case) for case in audit_tampering().items()]
    with without_triggers(alias):
        for chain, name, (statements, bad) in cases:
            with transaction.atomic(using=alias):
                run_sql(alias, *statements)
                for options in ({}, {"session": "s"}):
                    found = command("chronos_verify", **options)
                    assert found.status == 1, name
                    assert found.stderr == "The ledger is not as it was appended.\n"
                    *broken, summary = found.stdout.splitlines()
                    assert broken[0].startswith(f"{chain}: number {bad} "), (name, broken)
                    assert f" checked, {len(broken)} broken. " in summary
                    assert all("of 't'" not in line and "session:t" not in line for line in broken), (name, broken)
                assert command("chronos_verify", session="t").status == 0, name
                transaction.set_rollback(True, using=alias)
    assert rows(alias) == before
    assert triggers.missing(alias) == []
    assert command("chronos_verify").status == 0


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_chains_that_are_checked_at_once_are_told_as_one_after_the_other(storage_committed, alias, command) -> None:
    for number in range(12):
        session = storage_committed.create_session(Session())
        storage_committed.append_events([EventRecord(session_id=session.id, id=f"e{n}") for n in range(number % 4)])
        storage_committed.append_audit_log(AuditLogRecord(agent_id=f"agent {number}"))
    run_sql(alias, copy_row(Event, "event_id = 'e2'", seq_num="5", event_id="'new'"))
    told = [command("chronos_verify", jobs=jobs) for jobs in (1, 3)]
    assert told[0] == told[1]
    assert told[0].status == 1
    assert told[0].stdout.count("number 5 was inserted after the last, 3") == 3
    reports = [command("chronos_verify", jobs=jobs, json=True).stdout for jobs in (1, 3)]
    assert reports[0] == reports[1]
    assert "jobs: is 0" in command("chronos_verify", jobs=0).stderr


def test_an_insert_that_the_triggers_let_through_is_found(storage, alias, command, fill) -> None:
    fill()
    run_sql(alias, copy_row(Event, "session_id = 's' AND seq_num = 2", seq_num="6", event_id="'new'"))
    found = command("chronos_verify", session="s")
    assert (found.status, found.stdout.splitlines()[0]) == (
        1,
        "events of 's': number 6 was inserted after the last, 5",
    )


def refused(vendor: str, table: str) -> list[str]:
    """SQL that would change or remove rows of the table."""
    always = [
        f"UPDATE {table} SET hash = 'x'",
        f"UPDATE {table} SET hash = hash",
        f"UPDATE {table} SET seq_num = seq_num + 10 WHERE seq_num = 5",
        f"DELETE FROM {table}",
        f"DELETE FROM {table} WHERE seq_num = 5",
    ]
    upsert = "ON CONFLICT (id) DO UPDATE SET hash = 'x'"
    return (
        always
        + {
            "sqlite": [
                f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE seq_num = 5",
                f"REPLACE INTO {table} SELECT * FROM {table} WHERE seq_num = 5",
                f"INSERT INTO {table} SELECT * FROM {table} WHERE seq_num = 5 {upsert}",
                f"UPDATE OR REPLACE {table} SET seq_num = 4 WHERE seq_num = 5",
                f"UPDATE OR IGNORE {table} SET hash = 'x'",
            ],
            "postgresql": [
                f"INSERT INTO {table} SELECT * FROM {table} WHERE seq_num = 5 {upsert}",
                f"MERGE INTO {table} AS t USING {table} AS o ON t.id = o.id WHEN MATCHED THEN UPDATE SET hash = 'x'",
                f"MERGE INTO {table} AS t USING {table} AS o ON t.id = o.id WHEN MATCHED THEN DELETE",
            ],
            "mysql": [
                f"REPLACE INTO {table} SELECT * FROM {table} WHERE seq_num = 5",
                f"INSERT INTO {table} SELECT * FROM {table} WHERE seq_num = 5 ON DUPLICATE KEY UPDATE hash = 'x'",
                f"UPDATE IGNORE {table} SET hash = 'x'",
                f"DELETE {table} FROM {table} JOIN {HEADS} ON {HEADS}.owner = 's'",
            ],
        }[vendor]
    )


@pytest.mark.one_node  # Citus refuses some of these statements itself, with errors of its own
def test_raw_sql_is_refused_by_the_triggers(storage, alias, command, fill) -> None:
    fill()
    before = rows(alias)
    for table in (EVENTS, AUDIT_LOGS):
        for statement in refused(connections[alias].vendor, table):
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(using=alias):
                run_sql(alias, statement)
            assert rows(alias) == before, statement
    assert command("chronos_verify").status == 0


@pytest.mark.one_node
def test_a_replaced_unique_key_is_refused_too(storage, alias, fill) -> None:
    """A row that has another primary key, and the number or the id of one that is there."""
    fill()
    before = rows(alias)
    insert = {"sqlite": "INSERT OR REPLACE", "postgresql": "INSERT", "mysql": "REPLACE"}[connections[alias].vendor]
    for values in ({"event_id": "'new'"}, {"seq_num": "1000"}):
        statement = copy_row(Event, "session_id = 's' AND seq_num = 2", **values)
        with pytest.raises(IntegrityError), transaction.atomic(using=alias):
            run_sql(alias, statement.replace("INSERT", insert, 1))
        assert rows(alias) == before


# What the command says of what is intact


@pytest.fixture
def odd(storage: Storage) -> Storage:
    storage.create_session(Session(id="gone\n\x1b[2J"))
    storage.append_event(EventRecord(session_id="gone\n\x1b[2J"))
    storage.delete_session("gone\n\x1b[2J")
    storage.create_session(Session(id="silent"))
    storage.append_audit_log(AuditLogRecord(session_id="never there"))
    return storage


@pytest.mark.parametrize(("session_id", "count"), [("gone\n\x1b[2J", 1), ("silent", 0), ("never there", 1)])
def test_one_session(odd, command, session_id: str, count: int) -> None:
    ran = command("chronos_verify", session=session_id)
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout == f"Chains: 2 checked, 0 broken. Rows: {count}.\n"


def test_an_unknown_session_is_an_error(odd, command) -> None:
    ran = command("chronos_verify", session="x\n")
    assert (ran.status, ran.stdout, ran.stderr) == (1, "", "There is no session 'x\\n'.\n")


@pytest.mark.parametrize(
    ("options", "problem"),
    [({"storage": "elsewhere"}, "is not configured"), ({"session": "x" * 256}, "session_id: is 256 characters long")],
)
def test_wrong_options_are_refused(command, options: dict[str, str], problem: str) -> None:
    ran = command("chronos_verify", **options)
    assert (ran.status, ran.stdout) == (1, "")
    assert problem in ran.stderr


def test_a_name_of_control_codes_stays_on_its_line(odd, alias, command) -> None:
    run_sql(alias, copy_row(Event, "seq_num = 1", seq_num="2", event_id="'new'"))
    ran = command("chronos_verify")
    assert ran.stdout.splitlines()[0] == "events of 'gone\\n\\x1b[2J': number 2 was inserted after the last, 1"


def test_a_purged_chain_is_intact_from_where_it_begins(storage, command, fill) -> None:
    fill()
    with storage.purge_permit(reason="old") as permit:
        permit.purge_events("s", through_seq=3)
    ran = command("chronos_verify", session="s")
    assert (ran.status, ran.stdout) == (0, f"Chains: 2 checked, 0 broken. Rows: {ROWS + 2}.\n")
    assert command("chronos_verify").status == 0
