"""Data of five releases in one store: what old and new workers make of them, and what no upcaster reaches."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from chronos_storage import connect, upcasters
from chronos_storage.facade import Storage
from chronos_storage.operations.state_versions import check_versions
from chronos_storage.records import Checkpoint, Event, MemoryRecord, Session
from tests.conftest import ONLY_SQLITE, STRICTEST
from tests.integration.test_processes import environment_for
from tests.releases import NEWEST, PER_SESSION, register, side_by_side


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is for that test."""
    monkeypatch.setattr(upcasters, "_steps", {})


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_old_and_new_workers_side_by_side_resume_every_session(storage_committed: Storage) -> None:
    storage, count = storage_committed, 3 * PER_SESSION
    done = side_by_side(storage, storage.alias, environment_for(storage.alias), count)
    old, new = done[3], done[NEWEST]
    assert (new["left"], new["resumed"]) == (0, 3)
    assert count <= new["read"] <= count + old["resumed"]
    assert old["left"] >= count * 2 // 5
    register(NEWEST)
    latest = [storage.get_latest_checkpoint(session.id) for session in storage.list_sessions()]
    assert {each.schema_version for each in latest if each} == {NEWEST}
    assert check_versions(storage).unreached == []


def filled() -> Storage:
    storage = connect("memory://", migrate=True)
    storage.create_session(Session(id="s"))
    versions = {"order": (1, 1, 2, 5), "untouched": (1, 2), "one": (4,), "": (0, 3)}
    for schema, numbers in versions.items():
        for place, version in enumerate(numbers):
            id = f"{schema}{place}"
            storage.append_event(Event(id=id, session_id="s", schema=schema, schema_version=version))
    storage.save_checkpoint(Checkpoint(id="c", session_id="s", schema="order", schema_version=4))
    storage.put_memory(MemoryRecord(id="m", agent_id="a", key="k", schema="order", schema_version=3))
    upcasters.register("order", 1, dict)
    upcasters.register("order", 3, dict)
    return storage


def test_what_no_upcaster_reaches_is_listed() -> None:
    storage = filled()
    report = check_versions(storage)
    assert (report.records, report.versions) == (11, 8)
    assert [(v.kind, v.schema, v.version, v.count, v.id, v.session_id) for v in report.unreached] == [
        ("event", "order", 1, 2, "order0", "s"),
        ("event", "order", 2, 1, "order2", "s"),
        ("event", "order", 5, 1, "order3", "s"),
        ("event", "untouched", 1, 1, "untouched0", "s"),
    ]
    first, _, newer, _ = map(str, report.unreached)
    assert first == ("event 'order' version 1: 2, such as 'order0' of session 's'; no upcaster leads from 2 on to 4")
    assert newer.endswith("; newer than 4, the newest that this code knows")
    for schema, version in (("order", 2), ("order", 4), ("untouched", 1)):
        upcasters.register(schema, version, dict)
    assert check_versions(storage).unreached == []


@pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)
def test_the_command(storage: Storage) -> None:
    def check(*options: str) -> str:
        call_command("chronos_state", "check", *options, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    out = io.StringIO()
    storage.create_session(Session(id="s"))
    storage.append_event(Event(id="e", session_id="s", schema="order", schema_version=1))
    assert check() == "Records: 1 in 1 versions, 0 of them unreached.\n"
    upcasters.register("order", 2, dict)
    with pytest.raises(CommandError, match="no upcaster leads to the newest"):
        check()
    assert (
        "event 'order' version 1: 1, such as 'e' of session 's'; no upcaster leads from 1 on to 3\n" in out.getvalue()
    )
    out = io.StringIO()
    with pytest.raises(CommandError):
        check("--json")
    assert json.loads(out.getvalue())["unreached"][0] == {
        "kind": "event",
        "schema": "order",
        "version": 1,
        "count": 1,
        "id": "e",
        "session_id": "s",
        "reached": 1,
        "newest": 3,
    }
