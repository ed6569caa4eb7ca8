"""Numbers that are expected, and what belongs to a session as a whole."""

from __future__ import annotations

from typing import Any

from chronos_storage.facade import Storage
from chronos_storage.records import Checkpoint, Event, Message, Session
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, alias_of

alias = alias_of(ONLY_SQLITE)


def ids(page: Any) -> list[str]:
    return [each["id"] for each in page["results"]]


def test_a_message_says_which_number_it_expected(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    messages = "sessions/s/messages"
    assert ada.get(f"{messages}/last-seq") == {"last_seq": 0}
    ada.post(messages, {"role": "user", "expected_seq": 0})
    batch = {"messages": [{"role": "user"}, {"role": "tool"}], "expected_seq": 1}
    stored = ada.post(f"{messages}/batch", batch, Idempotency_Key="k")
    assert [each["seq_num"] for each in stored["messages"]] == [2, 3]
    assert stored["new"] == [each["id"] for each in stored["messages"]]
    assert ada.post(f"{messages}/batch", batch, Idempotency_Key="k") == stored
    for path, body in ((messages, {"role": "user"}), (f"{messages}/batch", {"messages": [{"role": "user"}]})):
        problem = ada.post(path, {**body, "expected_seq": 1}, 409)
        assert (problem["type"], problem["expected"], problem["actual"]) == (
            "urn:chronos-storage:problem:sequence-conflict",
            1,
            3,
        )
        for wrong in (-1, "1", 1.5, True, None):
            with case(path, wrong):
                ada.post(path, {**body, "expected_seq": wrong}, 400)
    assert site.count_messages("s") == 3


def test_all_messages_of_a_session_are_removed_and_their_numbers_not_given_again(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.create_session(Session(id="t", user_id=ada.user_id))
    site.add_messages([Message(session_id=id, role="user") for id in ("s", "s", "t")])
    assert ada.post("sessions/s/messages/clear", None, 200) == {"deleted": 2}
    assert ada.post("sessions/s/messages/clear", None, 200) == {"deleted": 0}
    assert ada.get("sessions/s/messages")["results"] == []
    assert ada.get("sessions/s/messages/last-seq") == {"last_seq": 2}
    assert ada.post("sessions/s/messages", {"role": "user", "expected_seq": 2})["seq_num"] == 3
    assert site.count_messages("t") == 1


def test_the_last_number_of_the_ledger_is_expected_next(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.append_events([Event(session_id="s", type="t") for _ in range(3)])
    last = ada.get("sessions/s/events/last-seq")["last_seq"]
    stored = ada.post("sessions/s/events/batch", {"events": [{"type": "u"}], "expected_seq": last})
    assert (last, stored["events"][0]["seq_num"], stored["new"]) == (3, 4, [stored["events"][0]["id"]])


def test_checkpoints_by_namespace_metadata_and_run(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    checkpoints = "sessions/s/checkpoints"
    assert ada.get(f"{checkpoints}/namespaces") == {"namespaces": []}
    for number in range(6):
        site.save_checkpoint(
            Checkpoint(
                id=f"c{number}",
                session_id="s",
                namespace="tools" if number == 5 else "",
                run_id=f"r{number % 2}",
                metadata={"step": number // 2, "source": {"name": "loop"}},
            )
        )
    assert ada.get(f"{checkpoints}/namespaces") == {"namespaces": ["", "tools"]}
    assert ids(ada.get(f"{checkpoints}?metadata.step=1")) == ["c3", "c2"]
    assert ids(ada.get(f"{checkpoints}?metadata.step=1&run_id=r0&metadata.source.name=loop")) == ["c2"]
    assert ids(ada.get(f"{checkpoints}?metadata.source.name=loop&namespace=tools")) == ["c5"]
    ada.get(f"{checkpoints}?metadata.step=[1]", 400)
    ada.get(f"{checkpoints}/latest?metadata.step=1", 400)

    prune = f"{checkpoints}/prune"
    assert ada.post(prune, {"run_ids": ["r1"], "keep_last": 1}, 200) == {"deleted": 1}
    assert ids(ada.get(checkpoints)) == ["c4", "c3", "c2", "c0"]
    assert ada.post(prune, {"run_ids": ["r1", "none"]}, 200) == {"deleted": 2}
    assert ada.post(prune, {"run_ids": []}, 200) == {"deleted": 0}
    for wrong in ({}, {"run_ids": "r1"}, {"run_ids": [1]}, {"run_ids": None}, {"keep_last": -1}):
        with case(wrong):
            ada.post(prune, wrong, 400)
    assert ids(ada.get(checkpoints)) == ["c4", "c2", "c0"]


def test_staff_ensure_that_a_session_is_there(staff: Api, ada: Api, bob: Api, site: Storage) -> None:
    made = staff.ask("PUT", "sessions/s", {"user_id": ada.user_id, "title": "made"})
    assert (made.status_code, made["Location"]) == (201, "http://testserver/api/sessions/s")
    for body in ({"user_id": ada.user_id, "title": "again"}, {"title": "again"}, {"id": "s"}):
        again = staff.ask("PUT", "sessions/s", body)
        assert (again.status_code, again.content, again["ETag"]) == (200, made.content, made["ETag"])
    assert staff.ask("PUT", "sessions/s", {"user_id": bob.user_id}).status_code == 409
    assert staff.ask("PUT", "sessions/s", {"id": "t"}).status_code == 400
    site.delete_session("s")
    assert staff.ask("PUT", "sessions/s", {}).status_code == 409
    for asker in (ada, bob):  # whether it is there
        assert {asker.ask("PUT", f"sessions/{id}", {}).status_code for id in ("s", "none")} == {403}


def test_memory_is_put_in_batches(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.create_session(Session(id="his", user_id=bob.user_id))
    first = ada.post("memory", {"agent_id": "a", "key": "k1", "value": 1})
    given: list[dict[str, Any]] = [
        {"agent_id": "a", "key": f"k{n}", "value": n, "schema": "n", "schema_version": 2} for n in (1, 2, 2)
    ]
    given[2] |= {"value": [1e23], "session_id": "s", "kind": "long_term"}
    stored = ada.post("memory/batch", {"records": given})
    assert stored["records"][0]["id"] == first["id"]
    assert [each["value"] for each in stored["records"]] == [1, 2, [1e23]]
    assert {(each["user_id"], each["schema"], each["schema_version"]) for each in stored["records"]} == {
        (ada.user_id, "n", 2)
    }
    assert sorted(stored["new"]) == sorted(each["id"] for each in stored["records"])
    for wrong, status in (({"session_id": "his"}, 404), ({"user_id": bob.user_id}, 400), ({"id": "x"}, 400)):
        with case(wrong):
            ada.post("memory/batch", {"records": [{"agent_id": "a", "key": "k3"}, {"key": "k4", **wrong}]}, status)
    problem = ada.post("memory/batch", {"records": [{"key": "k3"}, {"key": "\0"}]}, 400)
    assert problem["errors"][0]["field"] == "records[1].key"
    assert len(site.list_memory("a")) == 3

    staff.post("memory", {"agent_id": "a", "key": "k1", "value": "another's"})
    assert len(ids(ada.get("memory?agent_id=a&prefix=k"))) == 3
    assert len(ids(staff.get("memory?agent_id=a&prefix=k1"))) == 2
    assert ids(ada.get("memory?kind=long_term")) == [stored["records"][2]["id"]]
    assert ids(staff.get("memory?kind=long_term&session_id=s")) == [stored["records"][2]["id"]]
    assert ada.get("memory?prefix=k", 400)["errors"][0]["field"] == "prefix"
    assert staff.get("memory?kind=long_term", 400)["errors"][0]["field"] == "kind"


def test_every_field_is_written_and_read(ada: Api, site: Storage) -> None:
    """Of those that have a place of their own; a row that says nothing has the defaults."""
    site.create_session(Session(id="s", user_id=ada.user_id))
    shape = {"schema": "order", "schema_version": 3}
    for path, needed, said, unsaid in (
        ("messages", {"role": "user"}, {"raw": {"b": [1e23], "a": 1.0}, "format": "x"}, {"raw": None, "format": ""}),
        ("events", {"type": "t"}, shape, {"schema": "", "schema_version": 0}),
        ("checkpoints", {}, shape, {"schema": "", "schema_version": 0}),
    ):
        for body, wanted in ((said, said), ({}, unsaid)):
            with case(path, body):
                stored = ada.post(f"sessions/s/{path}", {**needed, **body})
                assert {name: stored[name] for name in wanted} == wanted
                assert list(stored.get("raw") or {}) == list(wanted.get("raw") or {})
                assert ada.get(f"sessions/s/{path}/{stored['id']}") == stored
    ada.post("sessions/s/events", {"type": "t", "schema_version": -1}, 400)
    memory = ada.post("memory", {"key": "k", **shape})
    changed = ada.patch(f"memory/{memory['id']}", {"value": 1, "schema_version": 4})
    assert (changed["schema"], changed["schema_version"]) == ("order", 4)


def test_audit_logs_of_a_time(staff: Api) -> None:
    for hour in range(3):
        staff.post("audit-logs", {"id": f"a{hour}", "agent_id": "a", "created_at": f"2026-01-01T0{hour}:00:00Z"})
    query = "since=2026-01-01T01:00:00Z&until=2026-01-01T01:00:00Z"
    assert ids(staff.get(f"audit-logs?agent_id=a&{query}")) == ids(staff.get(f"audit-logs?{query}")) == ["a1"]
