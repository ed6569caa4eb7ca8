"""What each route stores and returns."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from chronos_storage import codec
from chronos_storage.facade import Storage
from chronos_storage.records import Session, TokenUsage, Trace
from tests.api.conftest import Api

#: Content whose order of keys and numbers a careless parser or database would change.
ODD = {"b": 1.0, "a": [1e300, -0.0, 1e-7, 2**63 - 1, -(2**63)], "é": "  spaced ", "n": None, "t": True}


def test_a_session_is_created_read_changed_and_hidden(ada: Api, site: Storage) -> None:
    created = ada.post("sessions", {"agent_id": "support", "title": " A refund ", "metadata": {"lang": "en"}})
    assert created["user_id"] == ada.user_id
    assert created["title"] == " A refund "
    assert created["status"] == "active"
    assert ada.get(f"sessions/{created['id']}") == created

    changed = ada.patch(f"sessions/{created['id']}", {"status": "completed"})
    assert changed["status"] == "completed"
    assert changed["title"] == " A refund "
    merged = ada.patch(f"sessions/{created['id']}/metadata", {"mood": "fine"})
    assert merged["metadata"] == {"lang": "en", "mood": "fine"}

    ada.delete(f"sessions/{created['id']}")
    ada.get(f"sessions/{created['id']}", 404)
    ada.delete(f"sessions/{created['id']}", 404)
    assert ada.get("sessions")["results"] == []
    assert site.get_session(created["id"], include_deleted=True) is not None


def test_staff_see_deleted_sessions_when_they_ask(staff: Api, site: Storage) -> None:
    site.create_session(Session(id="gone"))
    site.delete_session("gone")
    assert staff.get("sessions")["results"] == []
    [listed] = staff.get("sessions?include_deleted=true")["results"]
    assert listed["id"] == "gone"
    assert listed["deleted_at"] is not None


def test_sessions_are_filtered_and_ordered(staff: Api, site: Storage) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(4):
        site.create_session(
            Session(
                id=f"s{number}",
                agent_id=f"agent{number % 2}",
                status="failed" if number == 3 else "active",
                created_at=start + timedelta(hours=number),
                last_activity_at=start + timedelta(hours=10 - number),
            )
        )
    assert ids(staff.get("sessions")) == ["s3", "s2", "s1", "s0"]
    assert ids(staff.get("sessions?order=-last_activity_at")) == ["s0", "s1", "s2", "s3"]
    assert ids(staff.get("sessions?agent_id=agent1")) == ["s3", "s1"]
    assert ids(staff.get("sessions?status=failed")) == ["s3"]
    staff.get("sessions?order=title", 400)


def ids(page: Any) -> list[str]:
    return [each["id"] for each in page["results"]]


def test_messages(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    usage = {"prompt_tokens": 3, "completion_tokens": 0}
    first = ada.post(f"sessions/{session}/messages", {"role": "user", "content": ODD, "usage": usage})
    assert first["seq_num"] == 1
    assert list(first["content"]) == list(ODD)
    assert first["content"] == ODD
    assert first["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 0,
        "total_tokens": None,
        "cache_read_tokens": None,
        "cache_creation_tokens": None,
    }
    batch = ada.post(
        f"sessions/{session}/messages/batch",
        {"messages": [{"role": "assistant", "content": "a", "tool_calls": [{"id": 1}]}, {"role": "tool"}]},
    )["messages"]
    assert [each["seq_num"] for each in batch] == [2, 3]
    assert batch[1]["kind"] == "tool-result"

    assert ids(ada.get(f"sessions/{session}/messages")) == [first["id"], *(each["id"] for each in batch)]
    assert ids(ada.get(f"sessions/{session}/messages?order=desc&page_size=1")) == [batch[1]["id"]]
    assert ada.get(f"sessions/{session}/messages/{first['id']}") == first
    assert ada.get(f"sessions/{session}/usage")["prompt_tokens"] == 3

    ada.delete(f"sessions/{session}/messages/{first['id']}")
    ada.delete(f"sessions/{session}/messages/{first['id']}", 404)
    assert site.count_messages(session) == 2


def test_a_count_of_tokens_has_the_limit_of_the_storage(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    path, names = f"sessions/{session}/messages", [field.name for field in dataclasses.fields(TokenUsage)]
    for _ in range(2):
        ada.post(path, {"role": "user", "usage": dict.fromkeys(names, codec.MAX_TOKENS)})
    for name in names:
        problem = ada.post(path, {"role": "user", "usage": {name: codec.MAX_TOKENS + 1}}, 400)
        assert [each["field"] for each in problem["errors"]] == [f"usage.{name}"]
    assert ada.get(f"sessions/{session}/usage") == dict.fromkeys(names, 2 * codec.MAX_TOKENS)

    schemas = ada.get("schema")["components"]["schemas"]
    for name in names:
        assert schemas["TokenUsageRequest"]["properties"][name]["maximum"] == codec.MAX_TOKENS
        assert "maximum" not in schemas["TokenTotals"]["properties"][name]


def test_events_are_appended_and_read(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    events = f"sessions/{session}/events"
    first = ada.post(events, {"type": "node_executed", "payload": ODD})
    assert first["seq_num"] == 1
    assert first["payload"] == ODD
    batch = ada.post(f"{events}/batch", {"events": [{"type": "a"}, {"type": "b"}], "expected_seq": 1})["events"]
    assert [each["seq_num"] for each in batch] == [2, 3]
    assert ids(ada.get(f"{events}?after_seq=1")) == [each["id"] for each in batch]
    assert ids(ada.get(f"{events}?order=desc&page_size=1")) == [batch[1]["id"]]
    assert ada.get(f"{events}/{first['id']}") == first
    assert site.verify_events(session).intact


def test_an_append_says_which_number_it_expected(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    ada.post(f"sessions/{session}/events", {"type": "a", "expected_seq": 0})
    for path, body in (("events", {"type": "b"}), ("events/batch", {"events": [{"type": "b"}]})):
        problem = ada.post(f"sessions/{session}/{path}", {**body, "expected_seq": 0}, 409)
        assert problem["type"] == "urn:chronos-storage:problem:sequence-conflict"
        assert (problem["expected"], problem["actual"]) == (0, 1)
    assert site.last_seq(session) == 1


def test_checkpoints_and_forks(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {"title": "first"})["id"]
    checkpoints = f"sessions/{session}/checkpoints"
    ada.get(f"{checkpoints}/latest", 404)
    first = ada.post(checkpoints, {"state": ODD, "run_id": "r1"})
    second = ada.post(checkpoints, {"state": {"step": 2}, "run_id": "r2"})
    elsewhere = ada.post(checkpoints, {"namespace": "tools"})
    assert (first["seq_num"], second["seq_num"], elsewhere["seq_num"]) == (1, 2, 1)
    assert first["state"] == ODD
    assert ids(ada.get(checkpoints)) == [second["id"], first["id"]]
    assert ids(ada.get(f"{checkpoints}?run_id=r1")) == [first["id"]]
    assert ids(ada.get(f"{checkpoints}?before_seq=2&order=asc")) == [first["id"]]
    assert ids(ada.get(f"{checkpoints}?namespace=tools")) == [elsewhere["id"]]
    assert ada.get(f"{checkpoints}/latest") == second
    assert ada.get(f"{checkpoints}/latest?run_id=r1") == first
    assert ada.get(f"{checkpoints}/{first['id']}") == first

    fork = ada.post(f"sessions/{session}/fork", {"checkpoint_id": first["id"], "title": "again"})
    assert (fork["title"], fork["user_id"]) == ("again", ada.user_id)
    assert fork["metadata"]["forked_from"]["session_id"] == session
    assert ada.get(f"sessions/{fork['id']}/checkpoints/latest")["state"] == ODD
    ada.post(f"sessions/{session}/fork", {"checkpoint_id": "unheard of"}, 404)


def test_traces(ada: Api) -> None:
    session = ada.post("sessions", {})["id"]
    root = ada.post("traces", {"session_id": session, "name": "run", "kind": "graph"})
    leaf = ada.post("traces", {"session_id": session, "name": "tool", "parent_id": root["id"], "input": ODD})
    assert leaf["input"] == ODD
    assert ids(ada.get(f"sessions/{session}/traces")) == [root["id"], leaf["id"]]
    tree = ada.get(f"sessions/{session}/traces/tree")["spans"]
    assert [(each["depth"], each["trace"]["id"]) for each in tree] == [(0, root["id"]), (1, leaf["id"])]
    ended = ada.post(f"traces/{root['id']}/end", {"output": ODD}, 200)
    assert ended["output"] == ODD
    assert ended["ended_at"] is not None
    assert ada.get(f"traces/{root['id']}") == ended


def test_a_spans_cost_is_exact(ada: Api) -> None:
    session = ada.post("sessions", {})["id"]
    fields = {"session_id": session, "cost": "0.000000001", "usage": {"total_tokens": 3}, "events": [{"at": 1.0}]}
    span = ada.post("traces", fields)
    assert {name: span[name] for name in ("cost", "events")} == {"cost": "0.000000001", "events": [{"at": 1.0}]}
    assert (span["usage"]["total_tokens"], span["usage"]["prompt_tokens"]) == (3, None)
    assert ada.post("traces", {"session_id": session, "cost": "12.5"})["cost"] == "12.5"
    ada.post("traces", {"session_id": session, "cost": "-1"}, 400)
    ada.post("traces", {"session_id": session, "cost": "NaN"}, 400)


def test_a_tree_of_spans_may_be_deep(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    site.load(
        [
            Trace(
                id=f"t{n:04}",
                session_id=session,
                parent_id=f"t{n - 1:04}" if n else "",
                started_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
            for n in range(1200)
        ]
    )
    tree, after = [], ""
    while after is not None:
        page = ada.get(f"sessions/{session}/traces/tree?page_size=400" + (f"&after={after}" if after else ""))
        tree += page["spans"]
        after = page["next"]
    assert [each["depth"] for each in tree] == list(range(1200))


def test_memory(ada: Api, site: Storage) -> None:
    first = ada.post("memory", {"agent_id": "a", "key": "k", "value": ODD})
    assert first["user_id"] == ada.user_id
    assert first["value"] == ODD
    again = ada.post("memory", {"agent_id": "a", "key": "k", "value": 2})
    assert (again["id"], again["value"]) == (first["id"], 2)
    assert ada.get("memory?agent_id=a&key=k")["results"] == [again]
    changed = ada.patch(f"memory/{first['id']}", {"value": 3})
    assert (changed["key"], changed["value"]) == ("k", 3)
    ada.patch(f"memory/{first['id']}", {"key": "another"}, 400)
    ada.patch(f"memory/{first['id']}", {"expires_at": "2020-01-01T00:00:00Z"})
    ada.get(f"memory/{first['id']}", 404)
    assert ada.get("memory")["results"] == []
    second = ada.post("memory", {"agent_id": "a", "key": "l"})
    ada.delete(f"memory/{second['id']}")
    ada.delete(f"memory/{second['id']}", 404)


def test_audit_logs(staff: Api, ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    entry = {"session_id": session, "user_id": ada.user_id, "actor": "x", "action": "read", "detail": ODD}
    stored = staff.post("audit-logs", entry)
    assert stored["detail"] == ODD
    other = staff.post("audit-logs", {"agent_id": "a", "action": "other"})
    assert ids(staff.get("audit-logs")) == [other["id"], stored["id"]]
    assert ids(staff.get("audit-logs?action=read")) == [stored["id"]]
    assert ada.get("audit-logs")["results"] == [stored]
    assert ada.get(f"audit-logs/{stored['id']}") == stored
    assert site.verify_audit_logs(session).intact


def test_containers_and_images(staff: Api) -> None:
    container = staff.post("containers", {"id": "c", "config": ODD})
    assert container["config"] == ODD
    assert staff.patch("containers/c", {"config": {"b": 1}})["config"] == {"b": 1}
    image = staff.post("images", {"name": "n", "container_id": "c", "mcp_servers": ODD, "metadata": {"a": 1}})
    assert image["mcp_servers"] == ODD
    renamed = staff.patch(f"images/{image['id']}", {"name": "m"})
    assert (renamed["name"], renamed["container_id"]) == ("m", "c")
    assert staff.patch(f"images/{image['id']}/metadata", {"b": 2})["metadata"] == {"a": 1, "b": 2}
    assert ids(staff.get("images?name=m")) == [image["id"]]
    assert ids(staff.get("containers")) == ["c"]
    staff.post("containers", {"id": "c", "config": {"other": 1}}, 409)
    staff.delete("containers/c")
    staff.delete("containers/c", 404)
    staff.delete(f"images/{image['id']}")


def test_an_export_has_all_that_belongs_to_the_session(ada: Api, staff: Api, site: Storage) -> None:
    session = ada.post("sessions", {"title": "all of it"})
    path = f"sessions/{session['id']}"
    message = ada.post(f"{path}/messages", {"role": "user", "content": ODD})
    events = ada.post(f"{path}/events/batch", {"events": [{"type": f"t{n}", "payload": ODD} for n in range(700)]})
    checkpoint = ada.post(f"{path}/checkpoints", {"state": ODD})
    trace = ada.post("traces", {"session_id": session["id"], "name": "t"})
    memory = ada.post("memory", {"agent_id": "a", "key": "k", "session_id": session["id"]})
    log = staff.post("audit-logs", {"session_id": session["id"], "user_id": ada.user_id})
    staff.post("audit-logs", {"session_id": session["id"], "user_id": "another"})

    response = ada.ask("GET", f"{path}/export")
    assert response.streaming
    document = json.loads(response.getvalue())
    assert document == {
        "session": ada.get(path),
        "messages": [message],
        "events": events["events"],
        "checkpoints": [checkpoint],
        "traces": [trace],
        "memory": [memory],
        "audit_logs": [log],
        "artifacts": [],
    }
    assert len(json.loads(staff.ask("GET", f"{path}/export").getvalue())["audit_logs"]) == 2
