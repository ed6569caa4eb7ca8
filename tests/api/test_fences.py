"""A session's fence over HTTP: who gets it, and that who was overtaken writes nothing more."""

from __future__ import annotations

from copy import deepcopy

import pytest
from django.db import transaction

from chronos_storage.facade import Storage
from chronos_storage.records import MemoryRecord, Session
from chronos_storage.testing.conformance.helpers import case, cases, everything
from tests.api.conftest import Api
from tests.api.routes import ID, ROUTES, Route, check_declared
from tests.conftest import SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)

FENCE = f"sessions/{ID}/fence"


def takes_fence(route: Route) -> bool:
    return any(each["name"] == "Fence" for each in (route.operation or {}).get("parameters", ()))


def test_a_writer_gets_it_keeps_it_and_gives_it_back(cursor: str, ada: Api) -> None:
    first = ada.post(FENCE, {"holder": "a", "ttl": 60}, 200)
    assert (first["session_id"], first["holder"], first["token"]) == (ID, "a", 2)
    assert ada.get(FENCE) == first
    response = ada.ask("POST", FENCE, {"holder": "b"})
    problem = response.json()
    assert (response.status_code, problem["type"]) == (409, "urn:chronos-storage:problem:fence-held")
    assert (problem["holder"], problem["expires_at"]) == ("a", first["expires_at"])
    assert 1 <= problem["retry_after"] <= 60
    assert response["Retry-After"] == str(problem["retry_after"])
    renewed = ada.patch(FENCE, {"ttl": 3600}, Fence="2")
    assert (renewed["token"], renewed["holder"]) == (2, "a")
    assert renewed["expires_at"] > first["expires_at"]
    assert ada.ask("DELETE", FENCE, Fence="2").status_code == 204
    second = ada.post(FENCE, {"holder": "b", "ttl": 60}, 200)
    assert second["token"] == 3
    assert ada.post(FENCE, {"holder": "a", "force": True}, 200)["token"] == 4
    for method, body in (("PATCH", {}), ("DELETE", None)):
        assert ada.ask(method, FENCE, body, Fence="3").json()["token"] == 4
        assert "Fence" in ada.ask(method, FENCE, body).json()["detail"]


def test_a_session_that_has_given_none(site: Storage, ada: Api) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    ada.get("sessions/s/fence", 404)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "holder"),
        ({"holder": ""}, "holder"),
        ({"holder": "a", "ttl": 0}, "ttl"),
        ({"holder": "a", "ttl": "60"}, "ttl"),
        ({"holder": "a", "force": "yes"}, "force"),
        ({"holder": "a", "token": 9}, "token"),
    ],
)
def test_what_is_not_right(cursor: str, ada: Api, body: dict[str, object], field: str) -> None:
    assert [error["field"] for error in ada.post(FENCE, body, 400)["errors"]] == [field]


def test_who_was_overtaken_writes_nothing_by_any_route(site: Storage, alias: str, cursor: str, staff: Api) -> None:
    site.acquire(ID, "worker-2")
    for route in cases(route for route in ROUTES if takes_fence(route)):
        body = deepcopy(route.body(cursor))
        with case(route.name), transaction.atomic(using=alias):
            if route.pattern.endswith("/restore"):
                site.restore_session("gone")
                site.acquire("gone", "worker-1")
                site.acquire("gone", "worker-2")
                site.delete_session("gone")
            if route.pattern in ("memory", "memory/batch", "traces", "traces/batch", "audit-logs"):
                inner = next(iter(body.values())) if route.pattern.endswith("batch") else [body]
                for record in inner:
                    record["session_id"] = ID
            before = everything(site)
            answer = staff.ask(route.method, route.path(), body, Fence="1")
            assert answer.status_code == 409, answer.content
            assert answer.json()["type"] == "urn:chronos-storage:problem:stale-writer"
            assert answer.json()["token"] == 2
            check_declared(route, answer)
            assert everything(site) == before
            answer = staff.ask(route.method, route.path(), body, Fence="2")
            assert answer.status_code == route.staff, answer.content
            transaction.set_rollback(True, using=alias)


def test_a_repeat_of_who_was_overtaken_is_refused(site: Storage, cursor: str, ada: Api) -> None:
    kept = {"agent_id": "a", "key": "k", "session_id": ID, "value": 1}
    asked = [
        (f"sessions/{ID}/events", {"type": "t"}),
        (f"sessions/{ID}/messages/batch", {"messages": [{"role": "user"}]}),
        ("memory", kept),
    ]
    for path, body in asked:
        ada.post(path, body, Idempotency_Key="k", Fence="1")
        assert ada.ask("POST", path, body, Idempotency_Key="k", Fence="1")["Idempotent-Replayed"] == "true"
    site.acquire(ID, "worker-2")
    for path, body in asked:
        ada.post(path, body, 409, Idempotency_Key="k", Fence="1")
        ada.post(path, body, 201, Idempotency_Key="k", Fence="2")


def test_no_token(cursor: str, ada: Api, staff: Api) -> None:
    path = f"sessions/{ID}/events"
    for wrong in ("", "one", "-1", "1.0", "0x1", "\u0661", '"1"', "9" * 19, "1" * 400):
        with case(wrong):
            problem = ada.post(path, {"type": "t"}, 400, Fence=wrong)
            assert [error["field"] for error in problem["errors"]] == ["Fence"]
    # Where there is nothing to compare it with.
    for method, path in (
        ("POST", "sessions"),
        ("POST", f"sessions/{ID}/fork"),
        ("POST", "containers"),
        ("POST", FENCE),
    ):
        answer = staff.ask(method, path, {}, Fence="1")
        assert (answer.status_code, "Fence" in answer.json()["detail"]) == (400, True)
    # Of no session.
    record = {"agent_id": "a", "key": "k", "value": 1}
    assert [error["field"] for error in ada.post("memory", record, 400, Fence="1")["errors"]] == ["fence"]
    assert ada.ask("GET", path, Fence="99").status_code == 200


def test_a_session_that_requires_a_fence(site: Storage, cursor: str, ada: Api) -> None:
    assert ada.patch(f"sessions/{ID}", {"require_fence": True})["require_fence"] is True
    assert ada.patch(f"sessions/{ID}", {"require_fence": 1}, 400)
    for path, body in (
        (f"sessions/{ID}/events", {"type": "t"}),
        (f"sessions/{ID}/messages/batch", {"messages": [{"role": "user"}]}),
        (f"sessions/{ID}/checkpoints", {"state": {}}),
    ):
        assert ada.post(path, body, 409, Idempotency_Key="k")["detail"] == (
            f"session '{ID}' requires a fence: acquire() gives one"
        )
        ada.post(path, body, Fence="1")
    ada.post("traces", {"session_id": ID, "name": "n"})
    site.put_memory(MemoryRecord(agent_id="a", key="k", session_id=ID))
    ada.patch(f"sessions/{ID}", {"title": "t"}, 409)
    ada.patch(f"sessions/{ID}", {"require_fence": False}, Fence="1")
    ada.patch(f"sessions/{ID}", {"title": "t"})
