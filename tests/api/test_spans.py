"""Spans: their runs, their batches and their ends."""

from __future__ import annotations

from typing import Any

from chronos_storage.facade import Storage
from chronos_storage.records import Session, Trace
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)

#: What a caller may say of a span, and what is empty unless it does.
SAID: dict[str, Any] = {
    "trace_id": "run",
    "status": "ok",
    "model": "a-model",
    "cost": "12.000000001",
    "attributes": {"gen_ai.system": "x"},
    "resource": {"service.name": "shop"},
    "events": [{"name": "first", "at": 1.50}, None],
    "links": [{"trace_id": "b", "a": 1e23}],
}
EMPTY = {
    **dict.fromkeys(("model", "parent_id", "error"), ""),
    "attributes": {},
    "resource": {},
    "status": "unset",
    "usage": None,
    "cost": None,
    "events": [],
    "links": [],
}


def ids(page: Any) -> list[str]:
    return [each["id"] for each in page["results"]]


def test_what_is_said_of_a_span_comes_back(ada: Api) -> None:
    session = ada.post("sessions", {})["id"]
    said = ada.post("traces", {**SAID, "session_id": session, "usage": {"total_tokens": 3}})
    assert {name: said[name] for name in SAID} == SAID
    assert (said["usage"]["total_tokens"], said["usage"]["prompt_tokens"]) == (3, None)
    unsaid = ada.post("traces", {"session_id": session})
    assert {name: unsaid[name] for name in EMPTY} == EMPTY
    assert unsaid["trace_id"] == unsaid["id"]
    assert ada.get(f"sessions/{session}/traces")["results"] == [said, unsaid]
    for name, wrong in (
        *(("cost", cost) for cost in (0.0021, 1, "-1", "NaN", "1e3", "1.0000000001", "1000000", "", "1\n", "٣")),
        *(("status", status) for status in ("", "failed", None, True)),
        ("events", {}),
        ("links", None),
        ("resource", []),
        ("usage", {"total_tokens": -1}),
    ):
        with case(name, wrong):
            problem = ada.post("traces", {"session_id": session, name: wrong}, 400)
            assert problem["errors"][0]["field"].partition(".")[0] == name


def test_the_end_of_a_span_sets_what_it_names(ada: Api) -> None:
    session = ada.post("sessions", {})["id"]
    begun = ada.post("traces", {**SAID, "session_id": session, "status": "unset"})
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    end = {"status": "ok", "model": "b", "cost": "0.5", "attributes": {"n": 1}, "events": [1], "usage": usage}
    ended = ada.post(f"traces/{begun['id']}/end", end, 200)
    assert ended["ended_at"] is not None
    assert ended["usage"] | usage == ended["usage"]
    assert ended == {**begun, **end, "usage": ended["usage"], "ended_at": ended["ended_at"]}
    failed = ada.post(f"traces/{begun['id']}/end", {"error": "it broke", "cost": None}, 200)
    assert failed == {**ended, "error": "it broke", "status": "error", "cost": None}


def test_a_run_s_spans_are_listed_over_its_sessions(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    for id, owner in (("a", ada), ("b", ada), ("c", bob)):
        site.create_session(Session(id=id, user_id=owner.user_id))
        site.insert_trace(Trace(id=id, trace_id="run", session_id=id, kind="node", error="no" if id == "b" else ""))
        site.insert_trace(Trace(id=f"{id}2", session_id=id, status="ok"))
    assert ids(ada.get("traces?trace_id=run")) == ["a", "b"]
    assert ids(bob.get("traces?trace_id=run")) == ["c"]
    assert ids(staff.get("traces?trace_id=run")) == ["a", "b", "c"]
    first = ada.get("traces?trace_id=run&page_size=1")
    assert ids(ada.get(first["next"].partition("/api/")[2])) == ["b"]
    for query, wanted in (
        ("status=error", ["b"]),
        ("status=unset", ["a"]),
        ("failed=false", ["a"]),
        ("kind=node&failed=true", ["b"]),
        ("kind=none", []),
    ):
        with case(query):
            assert ids(ada.get(f"traces?trace_id=run&{query}")) == wanted
    assert ids(ada.get("sessions/a/traces?trace_id=run")) == ["a"]
    assert ids(ada.get("sessions/a/traces?status=ok")) == ["a2"]
    for query in ("", "?kind=node", "?trace_id="):
        assert ada.get(f"traces{query}", 400)["errors"][0]["field"] == "trace_id"
    assert ada.get("traces?trace_id=run&status=lost", 400)["errors"][0]["field"] == "status"


def test_spans_are_stored_in_batches(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.create_session(Session(id="his", user_id=bob.user_id))
    batch = {"traces": [{"session_id": "s", "name": "a"}, {"session_id": "s", "name": "b", "cost": "1"}]}
    stored = ada.post("traces/batch", batch, Idempotency_Key="k")
    assert [(each["name"], each["cost"]) for each in stored["traces"]] == [("a", None), ("b", "1")]
    assert stored["new"] == [each["id"] for each in stored["traces"]]
    assert ada.post("traces/batch", batch, Idempotency_Key="k") == stored
    ada.post("traces/batch", {"traces": batch["traces"][:1]}, 409, Idempotency_Key="k")

    for wrong in ("his", "none", ""):
        ada.post("traces/batch", {"traces": [{"session_id": "s"}, {"session_id": wrong}]}, 404)
    problem = ada.post("traces/batch", {"traces": [{"session_id": "s"}, {"session_id": "s", "error": "\0"}]}, 400)
    assert problem["errors"][0]["field"] == "traces[1].error"
    assert len(site.list_traces("s")) == 2

    known = [
        {"id": each["id"], **each_given} for each, each_given in zip(stored["traces"], batch["traces"], strict=True)
    ]
    again = staff.post("traces/batch", {"traces": [*known, {"id": "c", "session_id": "s"}]})
    assert ([each["name"] for each in again["traces"]], again["new"]) == (["a", "b", ""], ["c"])

    family = [{"id": "child", "parent_id": "root"}, {"id": "root", "trace_id": "run"}]
    assert [each["trace_id"] for each in staff.post("traces/batch", {"traces": family})["traces"]] == ["run", "run"]


def test_a_parent_gives_its_run_only_to_who_sees_it(ada: Api, bob: Api, site: Storage) -> None:
    for id, owner in (("hers", ada), ("his", bob)):
        site.create_session(Session(id=id, user_id=owner.user_id))
        site.insert_trace(Trace(id=f"{id}-root", trace_id=f"{id}-run", session_id=id))
    own = {"session_id": "hers", "parent_id": "hers-root"}
    others = {"session_id": "hers", "parent_id": "his-root"}
    unknown = {"session_id": "hers", "parent_id": "none"}
    assert ada.post("traces", own)["trace_id"] == "hers-run"
    for stored in (
        ada.post("traces", others),
        ada.post("traces", others, Idempotency_Key="k"),
        ada.post("traces", others, Idempotency_Key="k"),
        *ada.post("traces/batch", {"traces": [others, unknown]})["traces"],
    ):
        assert stored["trace_id"] == stored["id"]
    assert ids(bob.get("traces?trace_id=his-run")) == ["his-root"]
