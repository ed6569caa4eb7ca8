"""What is done to what belongs to a session: taken back, restored, removed, compared, verified, added up."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connections

from chronos_storage.api.history import MAX_CHANGES
from chronos_storage.facade import Storage
from chronos_storage.ledger.pages import MAX_PAGE
from chronos_storage.records import AuditLog, Checkpoint, Event, Message, Session, TokenUsage
from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)

START = datetime(2026, 1, 1, tzinfo=UTC)


def ids(page: Any) -> list[str]:
    return [each["id"] for each in page["results"]]


def test_messages_are_taken_back(ada: Api, bob: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.add_messages([Message(id=f"m{n}", session_id="s", role="user") for n in range(4)])
    path = "sessions/s/messages/truncate"
    bob.post(path, {"after_message_id": "m1"}, 404)
    assert ada.post(path, {"after_message_id": "m1"}, 200) == {"deleted": 2}
    assert ada.post(path, {"after_message_id": "m1"}, 200) == {"deleted": 0}
    assert ids(ada.get("sessions/s/messages")) == ["m0", "m1"]
    ada.post(path, {"after_message_id": "m3"}, 404)
    assert ada.post(path, {}, 400)["errors"][0]["field"] == "after_message_id"


def test_checkpoints_are_removed_one_by_one_and_thinned_out(ada: Api, bob: Api, site: Storage) -> None:
    for session_id, user_id in (("s", ada.user_id), ("his", bob.user_id)):
        site.create_session(Session(id=session_id, user_id=user_id))
        for number in range(4):
            site.save_checkpoint(Checkpoint(id=f"k{number}", session_id=session_id))
    ada.delete("sessions/s/checkpoints/k3")
    ada.delete("sessions/s/checkpoints/k3", 404)
    ada.delete("sessions/his/checkpoints/k3", 404)
    assert ada.post("sessions/s/checkpoints/prune", {"keep_last": 1}, 200) == {"deleted": 2}
    for wrong in ({}, {"keep_last": -1}, {"keep_last": "1"}, {"keep_last": None}):
        assert ada.post("sessions/s/checkpoints/prune", wrong, 400)["errors"][0]["field"] == "keep_last"
    assert ids(ada.get("sessions/s/checkpoints")) == ["k2"]
    assert len(ids(bob.get("sessions/his/checkpoints"))) == 4


def test_the_history_says_what_changed(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    states: list[Any] = [{"n": 1, "a/b": [1]}, {"n": True, "a/b": [1, {"~": None}]}, {"a/b": [1, {"~": None}]}]
    for number, state in enumerate(states):
        site.save_checkpoint(Checkpoint(id=f"k{number}", session_id="s", state=state))
        site.save_checkpoint(Checkpoint(id=f"x{number}", session_id="s", namespace="x", state={"x": number}))
    path = "sessions/s/checkpoints/history"
    found = ada.get(path)["results"]
    assert [each["checkpoint"]["state"] for each in found] == states[::-1]
    assert [each["more"] for each in found] == [False] * 3
    assert [each["changes"] for each in found] == [
        [{"path": "/n", "kind": "removed", "before": True, "after": None}],
        [
            {"path": "/n", "kind": "changed", "before": 1, "after": True},
            {"path": "/a~1b/1", "kind": "added", "before": None, "after": {"~": None}},
        ],
        [
            {"path": "/n", "kind": "added", "before": None, "after": 1},
            {"path": "/a~1b", "kind": "added", "before": None, "after": [1]},
        ],
    ]
    [latest] = ada.get(f"{path}?namespace=x&page_size=1")["results"]
    assert latest["changes"] == [{"path": "/x", "kind": "changed", "before": 1, "after": 2}]
    assert ada.get(f"{path}?namespace=none")["results"] == []
    # page by page it is the same
    pages, link = [], f"{path}?page_size=1"
    while link:
        page = ada.get(link)
        pages += page["results"]
        link = page["next"] and page["next"].partition("/api/")[2]
    assert pages == found


def test_the_history_is_bounded(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    for number in range(3):  # a long place, which each change of it would repeat
        state = {"k" * 200_000: {f"{n}": number for n in range(2 * MAX_CHANGES)}}
        site.save_checkpoint(Checkpoint(session_id="s", state={"first": number, **state}))
        site.save_checkpoint(Checkpoint(session_id="s", namespace="many", state={f"{n}": number for n in range(999)}))
    response = ada.ask("GET", "sessions/s/checkpoints/history")
    assert len(response.content) < 3 * MAX_PAGE
    assert [each["more"] for each in response.json()["results"]] == [True, True, False]
    many = ada.get("sessions/s/checkpoints/history?namespace=many")["results"]
    assert [(len(each["changes"]), each["more"]) for each in many] == [(MAX_CHANGES, True)] * 3


def test_staff_restore_what_was_deleted_and_remove_it_for_good(ada: Api, staff: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    ada.post(f"sessions/{session}/events", {"type": "t"})
    ada.delete(f"sessions/{session}")
    assert staff.post(f"sessions/{session}/restore", None, 200)["deleted_at"] is None
    staff.post(f"sessions/{session}/restore", None, 404)
    assert ada.get(f"sessions/{session}")["id"] == session
    ada.delete(f"sessions/{session}")
    staff.delete(f"sessions/{session}?hard=yes", 400)
    staff.delete(f"sessions/{session}?hard=true")
    staff.get(f"sessions/{session}", 404)
    assert site.get_session(session, include_deleted=True) is None
    assert site.list_events(session) == []
    [log] = site.list_audit_logs(action="session.delete")
    assert log.resource == session


def test_what_goes_with_a_session_must_be_theirs_to_remove(staff: Api, site: Storage) -> None:
    assert staff.user is not None
    staff.user.user_permissions.remove(*staff.user.user_permissions.filter(codename="delete_message"))
    site.create_session(Session(id="s"))
    staff.delete("sessions/s?hard=true", 403)
    staff.delete("sessions/s")


def test_a_chain_is_verified(ada: Api, staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.append_events([Event(session_id="s") for _ in range(3)])
    site.append_audit_log(AuditLog(session_id="s"))
    intact = {"intact": True, "base_seq": 0, "last_seq": 3, "checked": 3, "bad_seq": None, "problem": ""}
    intact["erased"] = 0
    assert ada.get("sessions/s/verify") == {"events": intact, "audit_logs": None}
    assert staff.get("sessions/s/verify")["audit_logs"] == {**intact, "last_seq": 1, "checked": 1}
    with connections[site.alias].cursor() as cursor:
        cursor.execute("UPDATE chronos_storage_head SET seq_num = 4 WHERE kind = 'event'")
    found = ada.get("sessions/s/verify")["events"]
    assert (found["intact"], found["last_seq"]) == (False, 4)
    assert found["problem"]


def test_audit_logs_are_exported(ada: Api, staff: Api, site: Storage) -> None:
    for number in range(3):
        site.append_audit_log(AuditLog(id=f"{number}", action="a" if number else "b", user_id=ada.user_id))
    site.append_audit_log(AuditLog(id="other", action="a"))

    def exported(asker: Api, query: str) -> list[str]:
        response = asker.ask("GET", f"audit-logs/export{query}")
        return [log["id"] for log in json.loads(response.getvalue())["audit_logs"]]

    assert exported(ada, "") == ["2", "1", "0"]
    assert exported(staff, "?action=a") == ["other", "2", "1"]
    assert ada.get("audit-logs/export?page_size=1", 400)["errors"][0]["field"] == "page_size"


def test_usage_of_a_period(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    for number, (agent_id, user_id) in enumerate((("a", ada.user_id), ("b", ada.user_id), ("a", bob.user_id))):
        site.create_session(Session(id=f"s{number}", agent_id=agent_id, user_id=user_id))
        for day in range(2):
            usage, timestamp = TokenUsage(prompt_tokens=10 ** (2 * number + day)), START + timedelta(days=day)
            site.add_message(Message(session_id=f"s{number}", role="user", usage=usage, created_at=timestamp))

    def used(asker: Api, query: str = "") -> int:
        total: int = asker.get(f"usage{query}")["total_tokens"]
        return total

    assert (used(ada), used(bob), used(staff)) == (1_111, 110_000, 111_111)
    assert used(ada, f"?user_id={bob.user_id}") == 0
    assert used(staff, f"?agent_id=a&user_id={bob.user_id}") == 110_000
    assert used(ada, "?agent_id=b") == 1_100
    assert used(ada, "?since=2026-01-02T00:00:00Z") == 1_010
    assert used(ada, "?until=2026-01-01T00:00:00Z") == 101
    for wrong in ("2026-01-01", "yesterday", "2026-01-01T00:00:00"):
        assert ada.get(f"usage?since={wrong}", 400)["errors"][0]["field"] == "since"
    ada.delete("sessions/s0")
    assert used(ada) == 1_100
