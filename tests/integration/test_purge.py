"""The one way to remove ledger rows: what it removes, what it refuses, what it leaves after, and when it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError, connections, transaction

from chronos_storage import ledger, signals
from chronos_storage.exceptions import AppendOnlyError, InvalidRecord
from chronos_storage.facade import Storage
from chronos_storage.models import AuditLog, Event, Head
from chronos_storage.records import AuditLog as AuditLogRecord
from chronos_storage.records import Event as EventRecord
from chronos_storage.records import Session as SessionRecord
from chronos_storage.testing.conformance.helpers import case

TABLES = ("chronos_storage_event", "chronos_storage_auditlog")


@pytest.fixture
def filled(storage: Storage) -> Storage:
    return fill(storage)


@pytest.fixture
def filled_committed(storage_committed: Storage) -> Storage:
    return fill(storage_committed)


def fill(storage: Storage) -> Storage:
    """Sessions "s" and "t" with five events each, five audit entries of "s" and of the agent "a"."""
    for session_id in ("s", "t"):
        storage.create_session(SessionRecord(id=session_id))
        storage.append_events([EventRecord(id=f"e{n}", session_id=session_id, payload=n) for n in range(1, 6)])
    for n in range(1, 6):
        storage.append_audit_log(AuditLogRecord(id=f"s{n}", session_id="s", agent_id="a"))
        storage.append_audit_log(AuditLogRecord(id=f"a{n}", agent_id="a"))
    return storage


def numbers(storage: Storage, session_id: str = "s") -> list[int]:
    return [event.seq_num for event in storage.list_events(session_id)]


def audit_numbers(storage: Storage, chain: str) -> list[int]:
    rows = AuditLog.objects.using(storage.alias).filter(chain=chain).order_by("seq_num")
    return list(rows.values_list("seq_num", flat=True))


def ledger_rows(storage: Storage) -> list[Any]:
    return [list(model.objects.using(storage.alias).order_by("pk").values()) for model in (Event, AuditLog, Head)]


def raw_delete(using: str, table: str, condition: str = "") -> None:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} {condition}")


def run(block: AbstractContextManager[Any], *steps: Callable[[Any], object]) -> None:
    """Take these steps in the block; each gets what it gives."""
    with block as opened:
        for step in steps:
            step(opened)


def fail(*args: Any) -> None:
    raise ZeroDivisionError


def assert_closed(storage: Storage) -> None:
    """Nothing can be removed on this connection any more, in Python or SQL."""
    before = ledger_rows(storage)
    for table in TABLES:
        with pytest.raises(IntegrityError):
            raw_delete(storage.alias, table)
    for model in (Event, AuditLog):
        with pytest.raises(AppendOnlyError):
            model.objects.using(storage.alias).all().delete()
    assert ledger_rows(storage) == before


def assert_intact(storage: Storage) -> None:
    assert [verdict for verdict in storage.verify_all() if not verdict.intact] == []


# What is removed


def by_permit(storage: Storage) -> AbstractContextManager[Any]:
    return storage.purge_permit(reason="too old")


def by_function(storage: Storage) -> AbstractContextManager[Any]:
    return ledger.purge_permit(reason="too old", using=storage.alias)


@pytest.fixture(params=[by_permit, by_function], ids=["storage.purge_permit", "ledger.purge_permit"])
def permitted(request: pytest.FixtureRequest) -> Callable[[Storage], AbstractContextManager[Any]]:
    opener: Callable[[Storage], AbstractContextManager[Any]] = request.param
    return opener


def test_querysets_delete_the_beginning_of_chains(filled: Storage, permitted: Any) -> None:
    using = filled.alias
    with permitted(filled):
        assert Event.objects.using(using).filter(seq_num__lte=2).delete() == (4, {"chronos_storage.Event": 4})
        assert AuditLog.objects.using(using).filter(chain="agent:a", seq_num__lt=3).delete()[0] == 2
    assert (numbers(filled), numbers(filled, "t")) == ([3, 4, 5], [3, 4, 5])
    assert audit_numbers(filled, "agent:a") == [3, 4, 5]
    assert audit_numbers(filled, "session:s") == [1, 2, 3, 4, 5]
    assert (filled.verify_events("s").base_seq, filled.verify_audit_logs(agent_id="a").base_seq) == (2, 2)
    assert_intact(filled)
    assert filled.append_event(EventRecord(session_id="s"), expected_seq=5).seq_num == 6
    assert filled.append_audit_log(AuditLogRecord(agent_id="a")).seq_num == 6
    assert_intact(filled)
    assert_closed(filled)


def test_querysets_delete_whole_chains(filled: Storage, permitted: Any) -> None:
    with permitted(filled):
        Event.objects.using(filled.alias).filter(session_id="s").delete()
        AuditLog.objects.using(filled.alias).filter(session_id="s").delete()
    assert (numbers(filled), numbers(filled, "t")) == ([], [1, 2, 3, 4, 5])
    assert filled.verify_events("s").base_seq == filled.verify_audit_logs("s").base_seq == 5
    assert filled.append_event(EventRecord(session_id="s")).seq_num == 6
    assert filled.append_audit_log(AuditLogRecord(session_id="s")).seq_num == 6
    assert_intact(filled)
    assert_closed(filled)


def test_every_spelling_of_delete(filled: Storage, permitted: Any) -> None:
    using = filled.alias
    with permitted(filled):
        assert Event.objects.using(using).get(session_id="s", seq_num=1).delete()[0] == 1
        assert async_to_sync(Event.objects.using(using).get(session_id="s", seq_num=2).adelete)()[0] == 1
        assert async_to_sync(Event.objects.using(using).filter(session_id="s", seq_num=3).adelete)()[0] == 1
        assert Event.objects.using(using).none().delete()[0] == 0
    assert numbers(filled) == [4, 5]
    assert_intact(filled)


def test_a_hole_is_refused(filled: Storage, permitted: Any) -> None:
    before = ledger_rows(filled)

    def purge(rows: Any, seqs: list[int]) -> None:
        rows.filter(seq_num=1).delete()
        rows.filter(seq_num__in=seqs).delete()

    for seqs in ([3], [5], [2, 4], [3, 4, 5], [2, 3, 5]):
        for model in (Event, AuditLog):
            with case(seqs, model):
                with pytest.raises(AppendOnlyError), permitted(filled):
                    purge(model.objects.using(filled.alias), seqs)
                assert ledger_rows(filled) == before
    assert_closed(filled)


def test_a_hole_in_one_chain_keeps_all_of_them(filled: Storage) -> None:
    with filled.purge_permit(reason="r") as permit:
        permit.purge_events("t", through_seq=1)
    before = ledger_rows(filled)
    # number 2 is the first of "t", but not of "s"
    with filled.purge_permit(reason="in vain"), pytest.raises(AppendOnlyError, match="'s'"):
        Event.objects.using(filled.alias).filter(seq_num=2).delete()
    assert ledger_rows(filled) == before


def test_inside_the_block_raw_sql_and_changes_are_refused_too(filled: Storage, permitted: Any) -> None:
    before = ledger_rows(filled)
    with permitted(filled):
        for table in TABLES:
            with pytest.raises(IntegrityError):
                raw_delete(filled.alias, table)
        with pytest.raises(AppendOnlyError):
            Event.objects.using(filled.alias).update(type="changed")
        with pytest.raises(AppendOnlyError):
            Event.objects.using(filled.alias)._raw_delete(filled.alias)
    assert ledger_rows(filled) == before


# What it leaves after


def test_the_audit_entry_says_what_went_and_why(filled: Storage) -> None:
    with filled.purge_permit(reason="the user asked") as permit:
        permit.purge_events("s", through_seq=2)
        permit.purge_events("t")
        permit.purge_audit_logs(agent_id="a", through_seq=1)
    [entry] = filled.list_audit_logs(action="ledger.purge")
    assert (entry.actor, entry.session_id, entry.agent_id) == ("chronos_storage", "", "")
    assert entry.detail == {
        "reason": "the user asked",
        "chains": [
            {"kind": "event", "chain": "s", "rows": 2, "through_seq": 2},
            {"kind": "event", "chain": "t", "rows": 5, "through_seq": 5},
            {"kind": "audit_log", "chain": "agent:a", "rows": 1, "through_seq": 1},
        ],
    }
    assert filled.verify_audit_logs().checked == 1


def test_without_a_purge_there_is_no_entry(filled: Storage) -> None:
    with filled.purge_permit(reason="nothing to do") as permit:
        assert permit.purge_events("s", through_seq=0) == permit.purge_events("unknown") == 0
    assert filled.list_audit_logs(action="ledger.purge") == []


@pytest.mark.parametrize("reason", ["", "\x00"], ids=repr)
def test_a_purge_needs_a_reason_that_can_be_kept(filled: Storage, reason: str) -> None:
    before = ledger_rows(filled)
    with pytest.raises(InvalidRecord, match="reason"), filled.purge_permit(reason=reason) as permit:
        permit.purge_events("s")
    assert ledger_rows(filled) == before


def test_what_was_rolled_back_inside_is_not_in_the_entry(filled: Storage) -> None:
    with filled.purge_permit(reason="partly") as permit:
        permit.purge_events("t", through_seq=1)
        with pytest.raises(ZeroDivisionError):
            run(filled.atomic(), lambda _: permit.purge_events("s"), fail)
    assert (numbers(filled), numbers(filled, "t")) == ([1, 2, 3, 4, 5], [2, 3, 4, 5])
    [entry] = filled.list_audit_logs(action="ledger.purge")
    assert entry.detail["chains"] == [{"kind": "event", "chain": "t", "rows": 1, "through_seq": 1}]
    assert_intact(filled)


def test_the_entries_of_purges_can_be_purged_and_leave_one(filled: Storage) -> None:
    for session_id in ("s", "t"):
        with filled.purge_permit(reason=session_id) as permit:
            permit.purge_events(session_id)
    with filled.purge_permit(reason="old entries") as permit:
        assert permit.purge_audit_logs() == 2
    [entry] = filled.list_audit_logs(action="ledger.purge")
    assert (entry.seq_num, entry.detail["reason"]) == (3, "old entries")
    assert_intact(filled)


def test_a_receiver_hears_of_it_after_the_commit(filled_committed: Storage) -> None:
    heard: list[Any] = []

    def receiver(audit_log: AuditLogRecord, using: str, **kwargs: Any) -> None:
        heard.append((connections[using].in_atomic_block, using, audit_log))

    signals.ledger_purged.connect(receiver)
    try:
        with pytest.raises(ZeroDivisionError):
            run(filled_committed.purge_permit(reason="r"), lambda permit: permit.purge_events("s"), fail)
        assert heard == []
        with filled_committed.purge_permit(reason="r") as permit:
            permit.purge_events("s")
            assert heard == []
    finally:
        signals.ledger_purged.disconnect(receiver)
    [entry] = filled_committed.list_audit_logs(action="ledger.purge")
    assert heard == [(False, filled_committed.alias, entry)]


def test_hard_deletion_says_what_went(filled: Storage) -> None:
    with filled.purge_permit(reason="r") as permit:
        permit.purge_events("s", through_seq=2)
    assert filled.delete_session("s", hard=True)
    assert audit_numbers(filled, "session:s") == numbers(filled) == []
    assert not Head.objects.using(filled.alias).filter(owner="s").exists()
    [entry] = filled.list_audit_logs(action="session.delete")
    assert (entry.resource, entry.session_id, entry.agent_id, entry.actor) == ("s", "", "", "chronos_storage")
    assert entry.detail["chains"] == [
        {"kind": "event", "chain": "s", "rows": 3, "through_seq": 5},
        {"kind": "audit_log", "chain": "session:s", "rows": 5, "through_seq": 5},
    ]
    assert_intact(filled)
    assert_closed(filled)


def test_hard_deletion_that_is_rolled_back_removes_nothing(filled: Storage) -> None:
    before = ledger_rows(filled)
    with pytest.raises(ZeroDivisionError):
        run(filled.atomic(), lambda _: filled.delete_session("s", hard=True), fail)
    assert ledger_rows(filled) == before
    assert_closed(filled)


@pytest.mark.parametrize("changes", [{"base_hash": "0" * 64}, {"base_hash": "no hash"}, {"base_seq": 1}], ids=str)
def test_where_a_chain_begins_cannot_be_changed_unseen(filled: Storage, changes: dict[str, Any]) -> None:
    with filled.purge_permit(reason="r") as permit:
        permit.purge_events("s", through_seq=2)
    assert filled.verify_events("s").intact
    Head.objects.using(filled.alias).filter(kind="event", owner="s").update(**changes)
    assert filled.verify_events("s").bad_seq == {"base_seq": 2}.get(*changes, 3)


# When it ends


def test_it_ends_with_its_block(filled_committed: Storage, permitted: Any) -> None:
    with permitted(filled_committed) as permit:
        permit.purge_events("s", through_seq=1)
    assert_closed(filled_committed)
    with pytest.raises(AppendOnlyError):
        permit.purge_events("s", through_seq=2)
    assert numbers(filled_committed) == [2, 3, 4, 5]


def test_it_ends_with_an_exception(filled_committed: Storage, permitted: Any) -> None:
    before = ledger_rows(filled_committed)

    def break_off(permit: Any, error: type[BaseException]) -> None:
        permit.purge_events("s", through_seq=1)
        raise error

    for error in (ZeroDivisionError, KeyboardInterrupt, IntegrityError):
        with case(error):
            with pytest.raises(error):
                run(permitted(filled_committed), partial(break_off, error=error))
            assert ledger_rows(filled_committed) == before
            assert_closed(filled_committed)


def test_it_ends_with_a_refusal_by_the_database(filled_committed: Storage) -> None:
    before = ledger_rows(filled_committed)
    users = User.objects.using(filled_committed.alias)

    def break_off(permit: Any) -> None:
        permit.purge_events("s", through_seq=1)
        users.create(username="same")
        users.create(username="same")

    with pytest.raises(IntegrityError):
        run(filled_committed.purge_permit(reason="r"), break_off)
    assert ledger_rows(filled_committed) == before
    assert_closed(filled_committed)


def test_in_a_host_s_transaction_it_ends_with_its_own_block(filled_committed: Storage, permitted: Any) -> None:
    with transaction.atomic(using=filled_committed.alias):
        with permitted(filled_committed) as permit:
            permit.purge_events("s", through_seq=2)
        assert_closed(filled_committed)
        User.objects.using(filled_committed.alias).create(username="host")
        assert filled_committed.append_event(EventRecord(session_id="s")).seq_num == 6
    assert numbers(filled_committed) == [3, 4, 5, 6]
    assert User.objects.using(filled_committed.alias).filter(username="host").exists()
    assert_intact(filled_committed)
    assert_closed(filled_committed)


def test_it_goes_with_a_host_s_transaction(filled_committed: Storage, permitted: Any) -> None:
    before = ledger_rows(filled_committed)
    with pytest.raises(ZeroDivisionError):
        run(
            transaction.atomic(using=filled_committed.alias),
            lambda _: run(permitted(filled_committed), lambda permit: permit.purge_events("s")),
            fail,
        )
    assert ledger_rows(filled_committed) == before
    assert_closed(filled_committed)


def test_an_inner_permit_does_not_end_the_outer_one(filled: Storage) -> None:
    with filled.purge_permit(reason="outer") as outer:
        outer.purge_events("s", through_seq=1)
        with filled.purge_permit(reason="inner") as inner:
            inner.purge_events("s", through_seq=2)
        filled.delete_session("t", hard=True)
        Event.objects.using(filled.alias).filter(session_id="s", seq_num=3).delete()
        outer.purge_events("s", through_seq=4)
    assert numbers(filled) == [5]
    reasons = {entry.detail["reason"]: entry.detail["chains"] for entry in filled.list_audit_logs(agent_id="")[::-1]}
    assert [chain["through_seq"] for chain in reasons["outer"]] == [1, 3, 4]
    assert [chain["through_seq"] for chain in reasons["inner"]] == [2]
    assert_intact(filled)
    assert_closed(filled)


def test_another_connection_is_not_permitted_meanwhile(filled_committed: Storage) -> None:
    storage, using = filled_committed, filled_committed.alias
    refusals: list[type[Exception]] = []

    def elsewhere(permit: Any) -> None:
        if connections[using].vendor == "sqlite":  # which has one writer, here the permit's transaction
            with connections[using].cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 50")
        attempts: list[Callable[[], object]] = [
            lambda: permit.purge_events("t"),
            lambda: Event.objects.using(using).all().delete(),
            lambda: raw_delete(using, "chronos_storage_event"),
            lambda: raw_delete(using, "chronos_storage_auditlog"),
        ]
        for attempt in attempts:
            try:
                attempt()
            except Exception as error:
                refusals.append(type(error))
        connections[using].close()

    with storage.purge_permit(reason="mine") as permit:
        thread = threading.Thread(target=elsewhere, args=[permit])
        thread.start()
        thread.join()
        permit.purge_events("s", through_seq=2)
    refused = OperationalError if connections[using].vendor == "sqlite" else IntegrityError
    assert refusals == [AppendOnlyError, AppendOnlyError, refused, refused]
    assert (numbers(storage), numbers(storage, "t")) == ([3, 4, 5], [1, 2, 3, 4, 5])
    assert_intact(storage)
    assert_closed(storage)


def test_a_new_connection_of_the_thread_is_not_permitted(filled_committed: Storage) -> None:
    with filled_committed.purge_permit(reason="r") as permit:
        permit.purge_events("s", through_seq=1)
    filled_committed.close()
    assert_closed(filled_committed)


def test_a_chain_that_is_purged_meanwhile_is_not_taken_for_broken(storage_committed: Storage) -> None:
    storage, rounds = storage_committed, 20
    storage.create_session(SessionRecord(id="s"))
    storage.append_events([EventRecord(session_id="s") for _ in range(rounds)])
    purging = threading.Event()

    def purge() -> None:
        for number in range(1, rounds + 1):
            with storage.purge_permit(reason="too old") as permit:
                permit.purge_events("s", through_seq=number)
            storage.append_event(EventRecord(session_id="s"))
        purging.set()
        storage.close()

    thread = threading.Thread(target=purge)
    thread.start()
    verdicts = []
    while not purging.is_set():
        verdicts.append(storage.verify_events("s"))
    thread.join()
    assert verdicts
    assert [verdict for verdict in verdicts if not verdict.intact] == []
    assert storage.verify_events("s").base_seq == rounds
