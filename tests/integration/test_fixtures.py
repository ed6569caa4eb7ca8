"""Ledgers in Django's fixtures: dumped and loaded they are the same chains; what doesn't fit is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core import serializers
from django.core.management import call_command
from django.db import IntegrityError, transaction

from chronos_storage.exceptions import AppendOnlyError
from chronos_storage.facade import Storage
from chronos_storage.models import AuditLog, Event, Head, Session
from chronos_storage.records import KINDS
from chronos_storage.records import AuditLog as AuditLogRecord
from chronos_storage.records import Checkpoint as CheckpointRecord
from chronos_storage.records import Event as EventRecord
from chronos_storage.records import Message as MessageRecord
from chronos_storage.records import Session as SessionRecord
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, STRICTEST
from tests.emptying import empty

#: What JSON in a fixture could lose: the order of keys, the kind of a number, what is no ASCII.
PAYLOAD = {"z": 1, "a": [1.0, 1e23, -0.0, 2**63 - 1], "\u00e9": "\u2028\U0001f642", "": {"deep": [None, True]}}

Objects = list[dict[str, Any]]


@pytest.fixture
def ledger(storage_committed: Storage) -> Storage:
    """Two sessions with events, one of them purged at its beginning, one soft-deleted, and three audit chains."""
    storage = storage_committed
    for session_id in ("s", "purged", "deleted"):
        storage.create_session(SessionRecord(id=session_id))
        storage.append_events([EventRecord(id=f"e{n}", session_id=session_id, payload=n) for n in range(4)])
        storage.add_message(MessageRecord(id="m", session_id=session_id, role="user"))
        storage.save_checkpoint(CheckpointRecord(session_id=session_id, seq_num=7))
    storage.append_event(EventRecord(id="odd", session_id="s", payload=PAYLOAD))
    # ids in another order than their numbers
    for id in ("c", "a", "b"):
        storage.append_audit_log(AuditLogRecord(id=id, session_id="s", detail=PAYLOAD))
        storage.append_audit_log(AuditLogRecord(id=f"{id}2", agent_id="agent"))
    with storage.purge_permit(reason="too old") as permit:
        permit.purge_events("purged", through_seq=2)
        permit.purge_audit_logs(agent_id="agent", through_seq=1)
    storage.delete_session("deleted")
    return storage


def everything(storage: Storage) -> dict[str, list[Any]]:
    return {kind: list(storage.scan(kind)) for kind in KINDS}


def ledger_rows(storage: Storage) -> list[Any]:
    return [list(model.objects.using(storage.alias).order_by("pk").values()) for model in (Event, AuditLog, Head)]


@pytest.fixture
def dump(ledger: Storage, tmp_path: Path) -> Path:
    """The ledger as `dumpdata` writes it."""
    path = tmp_path / "dump.json"
    call_command("dumpdata", "chronos_storage", database=ledger.alias, output=str(path), verbosity=0)
    return path


def load(storage: Storage, path: Path) -> None:
    call_command("loaddata", str(path), database=storage.alias, verbosity=0)


def write(path: Path, objects: Objects) -> Path:
    path.write_text(json.dumps(objects))
    return path


def rows_of(objects: Objects, model: str) -> Objects:
    return [given for given in objects if given["model"] == f"chronos_storage.{model}"]


def without(objects: Objects, model: str) -> Objects:
    return [given for given in objects if given["model"] != f"chronos_storage.{model}"]


def require_intact(storage: Storage, chains: int = 6) -> None:
    verdicts = list(storage.verify_all())
    assert len(verdicts) == chains
    assert [verdict for verdict in verdicts if not verdict.intact] == []


def test_a_dump_that_is_loaded_is_the_same_ledger(ledger: Storage, dump: Path) -> None:
    before = everything(ledger)
    verdicts = list(ledger.verify_all())
    call_command("flush", database=ledger.alias, interactive=False, verbosity=0)
    assert not any(everything(ledger).values())
    load(ledger, dump)
    after = everything(ledger)
    assert (after["event"], after["audit_log"]) == (before["event"], before["audit_log"])
    assert {kind: len(records) for kind, records in after.items()} == {
        kind: len(records) for kind, records in before.items()
    }
    assert list(ledger.verify_all()) == verdicts
    require_intact(ledger)


def test_after_loading_numbers_go_on(ledger: Storage, dump: Path) -> None:
    empty(ledger.alias)
    load(ledger, dump)
    assert ledger.append_event(EventRecord(session_id="s"), expected_seq=5).seq_num == 6
    assert ledger.append_event(EventRecord(session_id="purged")).seq_num == 5
    assert ledger.append_audit_log(AuditLogRecord(session_id="s")).seq_num == 4
    assert ledger.append_audit_log(AuditLogRecord(agent_id="agent")).seq_num == 4
    assert ledger.add_message(MessageRecord(session_id="s", role="user")).seq_num == 2
    assert ledger.save_checkpoint(CheckpointRecord(session_id="s")).seq_num == 8
    ledger.create_session(SessionRecord(id="new"))
    assert ledger.append_event(EventRecord(session_id="new")).seq_num == 1
    with pytest.raises(LookupError):
        ledger.append_event(EventRecord(session_id="deleted"))
    require_intact(ledger, chains=7)


@pytest.mark.parametrize("alias", STRICTEST)
def test_a_dump_from_before_there_were_owners_is_loaded(ledger: Storage, dump: Path) -> None:
    verdicts = list(ledger.verify_all())
    objects = json.loads(dump.read_text())
    for given in objects:
        given["fields"].pop("owner", None)
        if "series" in given["fields"]:
            given["fields"]["owner"] = given["fields"].pop("series")
    empty(ledger.alias)
    load(ledger, write(dump, objects))
    assert list(ledger.verify_all()) == verdicts
    assert ledger.append_audit_log(AuditLogRecord(session_id="s")).seq_num == 4


def test_loading_again_changes_nothing(ledger: Storage, dump: Path) -> None:
    before = ledger_rows(ledger)
    load(ledger, dump)
    assert ledger_rows(ledger) == before
    empty(ledger.alias)
    load(ledger, dump)
    before = ledger_rows(ledger)
    load(ledger, dump)
    assert ledger_rows(ledger) == before
    require_intact(ledger)


def test_an_older_dump_does_not_set_chains_back(ledger: Storage, dump: Path) -> None:
    ledger.append_event(EventRecord(id="later", session_id="s"))
    ledger.append_audit_log(AuditLogRecord(id="later", session_id="s"))
    before = ledger_rows(ledger)
    load(ledger, dump)
    assert ledger_rows(ledger) == before
    assert ledger.append_event(EventRecord(session_id="s")).seq_num == 7
    require_intact(ledger)


def test_a_later_dump_appends_what_is_missing(ledger: Storage, dump: Path, tmp_path: Path) -> None:
    ledger.append_event(EventRecord(id="later", session_id="s"))
    later = tmp_path / "later.json"
    call_command("dumpdata", "chronos_storage", database=ledger.alias, output=str(later), verbosity=0)
    empty(ledger.alias)
    load(ledger, dump)
    load(ledger, later)
    assert [event.id for event in ledger.list_events("s")] == ["e0", "e1", "e2", "e3", "odd", "later"]
    require_intact(ledger)


def test_beside_other_sessions_none_is_disturbed(ledger: Storage, dump: Path) -> None:
    """Heads are numbered by each database for itself: those of a fixture don't take the place of others."""
    empty(ledger.alias)
    ledger.create_session(SessionRecord(id="other"))
    ledger.add_messages([MessageRecord(session_id="other", role="user") for _ in range(3)])
    ledger.append_audit_log(AuditLogRecord(session_id="other"))
    objects = [given for given in json.loads(dump.read_text()) if given["model"] != "chronos_storage.message"]
    load(ledger, write(dump, objects))
    assert ledger.add_message(MessageRecord(session_id="other", role="user")).seq_num == 4
    assert ledger.append_audit_log(AuditLogRecord(session_id="other")).seq_num == 2
    assert ledger.append_event(EventRecord(session_id="s")).seq_num == 6
    require_intact(ledger, chains=7)


# Backwards messages come before their sessions, and keys are checked at once on a cluster.
@pytest.mark.parametrize("order", ["heads first", pytest.param("backwards", marks=pytest.mark.one_node), "ledger last"])
def test_objects_come_in_any_order(ledger: Storage, dump: Path, order: str) -> None:
    objects = json.loads(dump.read_text())
    ordered = {
        "heads first": rows_of(objects, "head") + without(objects, "head"),
        "backwards": objects[::-1],
        "ledger last": without(without(objects, "event"), "auditlog")
        + rows_of(objects, "auditlog")
        + rows_of(objects, "event")[::-1],
    }[order]
    empty(ledger.alias)
    load(ledger, write(dump, ordered))
    require_intact(ledger)
    assert ledger.append_event(EventRecord(session_id="s")).seq_num == 6


def test_rows_without_heads_make_their_own(ledger: Storage, dump: Path) -> None:
    objects = without(json.loads(dump.read_text()), "head")
    whole = [given for given in objects if given["fields"].get("session") != "purged"]
    whole = [given for given in whole if given["fields"].get("chain") != "agent:agent"]
    empty(ledger.alias)
    load(ledger, write(dump, whole))
    require_intact(ledger, chains=4)
    assert ledger.append_event(EventRecord(session_id="s")).seq_num == 6
    assert ledger.append_audit_log(AuditLogRecord(session_id="s")).seq_num == 4
    with pytest.raises(LookupError):
        ledger.append_event(EventRecord(session_id="deleted"))


def change(model: str, number: int, **changes: Any) -> Callable[[Objects], Objects]:
    """Other values in a row of the chain of "s"."""

    def apply(objects: Objects) -> Objects:
        chosen(objects, model, number)["fields"].update(changes)
        return objects

    return apply


def chosen(objects: Objects, model: str, number: int) -> dict[str, Any]:
    place = {"event": ("session", "s"), "auditlog": ("chain", "session:s"), "head": ("owner", "s")}[model]
    for given in rows_of(objects, model):
        if given["fields"][place[0]] == place[1] and given["fields"]["seq_num"] == number:
            return given
    raise LookupError(number)


def leave_out(model: str, number: int) -> Callable[[Objects], Objects]:
    def apply(objects: Objects) -> Objects:
        objects.remove(chosen(objects, model, number))
        return objects

    return apply


def swap(model: str, one: int, other: int) -> Callable[[Objects], Objects]:
    """Two rows in each other's place, hashes and all."""

    def apply(objects: Objects) -> Objects:
        first, second = chosen(objects, model, one)["fields"], chosen(objects, model, other)["fields"]
        first["seq_num"], second["seq_num"] = other, one
        return objects

    return apply


TAMPERED: dict[str, Callable[[Objects], Objects]] = {
    "a payload": change("event", 2, payload="changed"),
    "a payload's number": change("event", 5, payload=PAYLOAD | {"z": 1.0}),
    "a payload's order": change("event", 5, payload=dict(reversed(PAYLOAD.items()))),
    "a type": change("event", 1, type="changed"),
    "an id": change("event", 1, event_id="changed"),
    "a time": change("event", 3, created_at="2026-01-01T00:00:00+00:00"),
    "a hash": change("event", 2, hash="0" * 64),
    "the last hash": change("event", 5, hash="0" * 64),
    "no hash": change("event", 5, hash=""),
    "a number": change("event", 5, seq_num=6),
    "a number below all": change("event", 1, seq_num=-1),
    "a session": change("event", 5, session="purged"),
    "a gap": leave_out("event", 3),
    "no first row": leave_out("event", 1),
    "no last row": leave_out("event", 5),
    "rows in each other's place": swap("event", 2, 3),
    "a head's number": change("head", 5, seq_num=9),
    "a head's hash": change("head", 5, hash="0" * 64),
    "a head's beginning": change("head", 5, base_seq=2),
    "an audit entry's detail": change("auditlog", 2, detail={}),
    "an audit entry's actor": change("auditlog", 3, actor="changed"),
    "an audit entry's chain": change("auditlog", 3, chain="session:other"),
    "an audit entry's session": change("auditlog", 3, session_id="other"),
    "a gap in audit entries": leave_out("auditlog", 2),
}


#: Over what is stored these are no change: rows that are there stay, and heads that went on are not set back.
PASSED_OVER = {
    *("a gap", "no first row", "no last row", "a gap in audit entries"),
    *("a head's hash", "a head's beginning"),
}


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_a_fixture_that_does_not_fit_is_refused_whole(ledger: Storage, dump: Path, subtests: pytest.Subtests) -> None:
    text = dump.read_text()
    empty(ledger.alias)
    for name, tamper in TAMPERED.items():
        with subtests.test(name):
            with pytest.raises((AppendOnlyError, IntegrityError)):
                load(ledger, write(dump, tamper(json.loads(text))))
            assert not any(everything(ledger).values())
            assert ledger_rows(ledger) == [[], [], []]


@pytest.mark.parametrize("alias", SQLITE_AND_POSTGRES, indirect=True)
def test_over_what_is_stored_nothing_is_changed(ledger: Storage, dump: Path, subtests: pytest.Subtests) -> None:
    text = dump.read_text()
    before = ledger_rows(ledger)
    for name, tamper in TAMPERED.items():
        with subtests.test(name):
            path = write(dump, tamper(json.loads(text)))
            if name in PASSED_OVER:
                load(ledger, path)
            else:
                with pytest.raises((AppendOnlyError, IntegrityError)):
                    load(ledger, path)
            assert ledger_rows(ledger) == before
    require_intact(ledger)


def test_a_fixture_of_rows_alone_does_not_change_one(ledger: Storage, dump: Path) -> None:
    before = ledger_rows(ledger)
    objects = json.loads(dump.read_text())
    chosen(objects, "event", 5)["fields"].update(hash="0" * 64, payload=None)
    with pytest.raises(AppendOnlyError):
        load(ledger, write(dump, rows_of(objects, "event")))
    assert ledger_rows(ledger) == before


def deserialize(storage: Storage, objects: Objects) -> None:
    """Save the objects one by one, as Django does for ``serialized_rollback``, without `loaddata`."""
    with transaction.atomic(using=storage.alias):
        for given in serializers.deserialize("json", json.dumps(objects), using=storage.alias):
            given.save(using=storage.alias)


@pytest.mark.one_node  # elsewhere the keys, by which the rows come, tell no order
def test_rows_can_be_deserialized_one_by_one(ledger: Storage, dump: Path) -> None:
    objects = json.loads(dump.read_text())
    session = [given for given in rows_of(objects, "session") if given["pk"] == "s"]
    events = [given for given in rows_of(objects, "event") if given["fields"]["session"] == "s"]
    empty(ledger.alias)
    deserialize(ledger, session + events)
    assert ledger.verify_events("s").intact
    assert ledger.append_event(EventRecord(session_id="s")).seq_num == 6
    empty(ledger.alias)
    events[4]["fields"]["payload"] = "changed"
    with pytest.raises(AppendOnlyError):
        deserialize(ledger, session + events)
    assert ledger_rows(ledger) == [[], [], []]


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_a_fixture_of_before_a_hold_does_not_lift_it(storage: Storage) -> None:
    storage.create_session(SessionRecord(id="s"))
    storage.set_legal_hold("s", True, actor="counsel", reason="case 7")
    [stored] = Session.objects.using(storage.alias).all()
    [given] = json.loads(serializers.serialize("json", [stored]))
    for changes in ({"legal_hold": False}, {}):
        del given["fields"]["legal_hold"]
        given["fields"] |= changes | {"title": "new"}
        for loaded in serializers.deserialize("json", json.dumps([given]), using=storage.alias):
            loaded.save(using=storage.alias)
        session = storage.get_session("s")
        assert session is not None
        assert (session.title, session.legal_hold) == ("new", True)
