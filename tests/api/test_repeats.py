"""Updates that write only over what was seen, and creations that may be repeated."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from django.db import connections, transaction
from django.test import Client

from chronos_storage.facade import Storage
from chronos_storage.models import Session as SessionModel
from chronos_storage.records import Message, Session
from chronos_storage.testing.conformance.helpers import PATIENCE, case, together, writers
from tests.api.conftest import Api, signed_in
from tests.conftest import ONLY_SQLITE, STRICTEST

once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

MUTABLE: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("sessions", {"title": "first"}, {"title": "second"}),
    ("memory", {"agent_id": "a", "key": "k", "value": 1}, {"value": 2}),
    ("containers", {"config": {"n": 1}}, {"config": {"n": 2}}),
    ("images", {"name": "first"}, {"name": "second"}),
]


def test_an_update_writes_only_over_what_was_seen(staff: Api) -> None:
    for path, first, second in MUTABLE:
        with case(path):
            created = staff.ask("POST", path, first)
            assert created.status_code == 201
            one = f"{path}/{created.json()['id']}"
            seen = staff.ask("GET", one)["ETag"]
            assert seen == created["ETag"]

            updated = staff.ask("PATCH", one, second, If_Match=f'"another", {seen}')
            assert updated.status_code == 200
            assert updated["ETag"] == staff.ask("GET", one)["ETag"] != seen
            problem = staff.patch(one, second, 412, If_Match=seen)
            assert problem["type"] == "urn:chronos-storage:problem:precondition-failed"
            staff.patch(one, second, 412, If_Match=f"W/{updated['ETag']}")  # a weak one never fits
            assert staff.get(one) == updated.json()
            staff.patch(one, second, If_Match="*")
            staff.patch(one, second)


@once
def test_a_deletion_takes_only_what_was_seen(staff: Api) -> None:
    for path, first, second in MUTABLE:
        with case(path):
            created = staff.ask("POST", path, first)
            one = f"{path}/{created.json()['id']}"
            staff.patch(one, second)
            assert staff.ask("DELETE", one, If_Match=created["ETag"]).status_code == 412
            assert staff.ask("DELETE", one, If_Match=staff.ask("GET", one)["ETag"]).status_code == 204


@once
def test_what_compares_nothing_takes_no_condition(staff: Api, site: Storage) -> None:
    site.create_session(Session(id="s"))
    message = site.add_message(Message(id="m", session_id="s", role="user"))
    for method, path, body in (
        ("DELETE", "sessions/s/messages/m", None),
        ("POST", "sessions/s/messages", {"role": "user"}),
        ("POST", "sessions/s/restore", None),
        ("PUT", "topics/t/consumers/c", {"cursor": "0" * 16}),
    ):
        response = staff.ask(method, path, body, If_Match='"another"')
        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "If-Match"), path
    assert site.list_messages("s") == [message]


@once
def test_an_etag_is_of_the_body_and_of_one_representation(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    for path in ("sessions/s", "sessions/s/messages", "sessions"):
        seen = ada.ask("GET", path)
        assert seen["Cache-Control"] == "private, no-cache"
        assert {"Accept", "Authorization", "Cookie"} <= {name.strip() for name in seen["Vary"].split(",")}
        again = ada.ask("GET", path, If_None_Match=seen["ETag"])
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", seen["ETag"])
        site.add_message(Message(session_id="s", role="user"))
        assert ada.ask("HEAD", path, If_Match=seen["ETag"]).status_code == 412
        refused = ada.ask("GET", path, If_Match=seen["ETag"])
        assert (refused.status_code, refused["Content-Type"]) == (412, "application/problem+json")
        assert (refused["Cache-Control"], refused["Vary"]) == (seen["Cache-Control"], seen["Vary"])
        assert refused.json()["type"] == "urn:chronos-storage:problem:precondition-failed"
        changed = ada.ask("GET", path, If_None_Match=seen["ETag"])
        assert (changed.status_code, changed["ETag"] != seen["ETag"]) == (200, True)
        page = ada.client.get(f"/api/{path}", headers={"Accept": "text/html", "If-None-Match": changed["ETag"]})
        assert (page.status_code, page.get("ETag")) == (200, None)


def test_metadata_is_merged_into_what_was_seen(staff: Api) -> None:
    for path in ("sessions", "images"):
        created = staff.ask("POST", path, {"metadata": {"a": 1}})
        one = f"{path}/{created.json()['id']}/metadata"
        staff.patch(one, {"b": 2}, If_Match=created["ETag"])
        staff.patch(one, {"c": 3}, 412, If_Match=created["ETag"])
        assert staff.patch(one, {"c": 3})["metadata"] == {"a": 1, "b": 2, "c": 3}
        staff.patch(one, ["no object"], 400)


def test_a_new_message_is_no_change_of_the_session(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    seen = ada.ask("GET", "sessions/s")["ETag"]
    site.add_message(Message(session_id="s", role="user"))
    ada.patch("sessions/s", {"title": "new"}, If_Match=seen)


def threads_of(asker: Api, count: int) -> list[Api]:
    """The same user in several browsers."""
    askers = []
    for _ in range(count):
        client = Client()
        client.cookies = asker.client.cookies
        askers.append(Api(client, asker.user))
    return askers


def test_writers_of_different_fields_both_win_and_what_was_removed_stays_so(committed_site: Storage) -> None:
    staff = signed_in("staff", staff=True, permissions=True)
    changes: dict[str, dict[str, Any]] = {
        "images": {"name": "new", "description": "new", "system_prompt": "new", "parent_image_id": "new"},
        "memory": {"value": "new", "expires_at": "2999-01-01T00:00:00.000000Z"},
    }
    askers = threads_of(staff, 5)
    for path, fields in changes.items():
        for removes in (False, True):
            one = f"{path}/{staff.post(path, {})['id']}"
            asked = [("PATCH", {name: value}) for name, value in fields.items()]

            def write(number: int, one: str = one, asked: Any = (*asked, *([("DELETE", None)] * removes))) -> Any:
                return askers[number].ask(asked[number][0], one, asked[number][1])

            answers = together(committed_site, *writers(write, len(asked) + removes))
            if removes:
                assert answers[-1].status_code == 204
                staff.get(one, 404)
            else:
                assert fields.items() <= staff.get(one).items()


def test_of_several_writers_who_saw_one_version_one_wins(committed_site: Storage) -> None:
    staff = signed_in("staff", staff=True, permissions=True)
    askers = threads_of(staff, 4)
    for path, first, _ in MUTABLE:
        created = staff.ask("POST", path, first)
        one, seen = f"{path}/{created.json()['id']}", created["ETag"]
        field, value = list(first.items())[-1]

        def write(number: int, one: str = one, seen: str = seen, field: str = field, value: Any = value) -> Any:
            new = {"n": number} if isinstance(value, dict) else f"writer {number}"
            return askers[number].ask("PATCH", one, {field: new}, If_Match=seen)

        answers = together(committed_site, *writers(write, len(askers)))
        assert sorted(answer.status_code for answer in answers) == [200] + [412] * 3
        [won] = [answer.json() for answer in answers if answer.status_code == 200]
        assert staff.get(one) == won


CREATIONS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("sessions", {"title": "first"}, {"title": "other"}),
    ("sessions/s/fork", {"checkpoint_id": "k"}, {"checkpoint_id": "l"}),
    ("sessions/s/messages", {"role": "user", "content": "first"}, {"role": "user", "content": "other"}),
    ("sessions/s/events", {"type": "t", "payload": 1}, {"type": "t", "payload": 2}),
    ("sessions/s/checkpoints", {"state": {"n": 1}}, {"state": {"n": 2}}),
    ("traces", {"session_id": "s", "name": "first"}, {"session_id": "s", "name": "other"}),
    ("memory", {"key": "k", "value": 1}, {"key": "k", "value": 2}),
    ("audit-logs", {"action": "first"}, {"action": "other"}),
    ("containers", {"config": {"n": 1}}, {"config": {"n": 2}}),
    ("images", {"name": "first"}, {"name": "other"}),
]


def with_checkpoints(staff: Api) -> None:
    staff.post("sessions", {"id": "s"})
    for id in ("k", "l"):
        staff.post("sessions/s/checkpoints", {"id": id})


def test_a_repeated_creation_returns_what_is_stored(staff: Api) -> None:
    with_checkpoints(staff)
    for path, first, other in CREATIONS:
        with case(path):
            created = staff.post(path, first, Idempotency_Key="one")
            again = staff.ask("POST", path, first, Idempotency_Key="one")
            assert (again.json(), again["Idempotent-Replayed"]) == (created, "true")
            problem = staff.post(path, other, 409, Idempotency_Key="one")
            assert problem["type"] == "urn:chronos-storage:problem:already-exists"
            assert staff.post(path, first, Idempotency_Key="two")["id"] != created["id"] or path == "memory"
            staff.post(path, {**first, "id": "named"}, 400, Idempotency_Key="three")
            staff.post(path, first, 400, Idempotency_Key="")


def test_a_repeated_publishing_returns_its_cursor(staff: Api) -> None:
    path, body = "topics/news/entries", {"event": {"a": 1, "b": [1.5]}}
    created = staff.ask("POST", path, body, Idempotency_Key="one")
    assert (created.status_code, "Idempotent-Replayed" in created) == (201, False)
    again = staff.ask("POST", path, {"event": {"b": [1.5], "a": 1}}, Idempotency_Key="one")
    assert (again.status_code, again.json(), again["Idempotent-Replayed"]) == (201, created.json(), "true")
    for other in ({"event": {"a": 1}}, {**body, "user_id": "ada"}):
        problem = staff.post(path, other, 409, Idempotency_Key="one")
        assert problem["type"] == "urn:chronos-storage:problem:already-exists"
    others = [
        staff.ask("POST", path, body, Idempotency_Key="two"),
        signed_in("second", staff=True, permissions=True).ask("POST", path, body, Idempotency_Key="one"),
        staff.ask("POST", path, body),
        staff.ask("POST", "topics/other/entries", body, Idempotency_Key="one"),
    ]
    assert not any("Idempotent-Replayed" in each for each in others)
    assert len({each.json()["cursor"] for each in (created, *others[:3])}) == 4
    assert len(staff.get(path)["results"]) == 4
    staff.post(path, body, 400, Idempotency_Key="")


@once
def test_what_is_created_says_where_it_is(staff: Api) -> None:
    with_checkpoints(staff)
    for path, body, _ in CREATIONS:
        with case(path):
            created = staff.ask("POST", path, body, Idempotency_Key="one")
            assert "Idempotent-Replayed" not in created
            assert staff.get(created["Location"].partition("/api/")[2])["id"] == created.json()["id"]
    for id in ("a/b", "batch", "history", "~", ".."):
        for path in ("sessions/s/messages", "sessions/s/checkpoints"):
            with case(path, id):
                created = staff.ask("POST", path, {"id": id, "role": "user"} if "messages" in path else {"id": id})
                assert staff.get(created["Location"].partition("/api/")[2])["id"] == id
    collection = staff.ask("POST", "collections", {"name": "é", "dimension": 2})
    assert staff.get(collection["Location"].partition("/api/")[2])["name"] == "é"


def test_a_repeated_batch_returns_what_is_stored(ada: Api) -> None:
    session = ada.post("sessions", {})["id"]
    batches = {"events": {"events": [{"type": "a"}] * 3}, "messages": {"messages": [{"role": "user"}] * 3}}
    for path, body in batches.items():
        first, second = (ada.ask("POST", f"sessions/{session}/{path}/batch", body, Idempotency_Key="one") for _ in "12")
        assert len({each["id"] for each in first.json()[path]}) == 3
        assert second.json() == first.json()
        assert ("Idempotent-Replayed" in first, second["Idempotent-Replayed"]) == (False, "true")


@once
def test_a_batch_of_another_length_or_order_is_no_repeat(ada: Api) -> None:
    session = ada.post("sessions", {})["id"]
    items = {
        "events": [{"type": kind} for kind in "abc"],
        "messages": [{"role": role} for role in ("user", "tool", "x")],
    }
    for name, batch in items.items():
        path = f"sessions/{session}/{name}/batch"
        created = ada.post(path, {name: batch[:2]}, Idempotency_Key="one")
        for other in (batch, batch[:1], batch[1::-1], [*batch[:2], *batch]):
            problem = ada.post(path, {name: other}, 409, Idempotency_Key="one")
            assert problem["type"] == "urn:chronos-storage:problem:already-exists"
        assert ada.get(f"sessions/{session}/{name}")["results"] == created[name]


def test_of_concurrent_batches_with_one_key_one_is_stored(committed_site: Storage) -> None:
    ada = signed_in("ada")
    session = ada.post("sessions", {})["id"]
    askers = threads_of(ada, 6)

    def append(number: int) -> Any:
        body = {"events": [{"type": "t"}] * (number % 3 + 1)}
        return askers[number].ask("POST", f"sessions/{session}/events/batch", body, Idempotency_Key="one")

    answers = together(committed_site, *writers(append, len(askers)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 4
    [stored] = {len(answer.json()["events"]) for answer in answers if answer.status_code == 201}
    assert committed_site.last_seq(session) == stored


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
@pytest.mark.parametrize(("count", "later"), [(2, 3), (3, 2)])
def test_of_batches_of_spans_at_once_with_one_key_one_is_stored(
    committed_site: Storage, count: int, later: int
) -> None:
    ada = signed_in("ada")
    session = ada.post("sessions", {})["id"]
    askers, alias = threads_of(ada, 2), committed_site.alias
    begun = threading.Event()

    def store(number: int, spans: int) -> Any:
        body = {"traces": [{"session_id": session, "name": "n"}] * spans}
        return askers[number].ask("POST", "traces/batch", body, Idempotency_Key="one")

    def store_first() -> Any:
        with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
            answer = store(0, count)
            begun.set()
            deadline, waits = time.monotonic() + PATIENCE, 0
            while not waits and time.monotonic() < deadline:  # until the other waits for this transaction
                cursor.execute(
                    "SELECT count(*) FROM citus_lock_waits"
                    if alias == "citus"
                    else "SELECT count(*) FROM pg_locks"
                    " WHERE NOT granted AND transactionid = pg_current_xact_id_if_assigned()::xid"
                )
                (waits,) = cursor.fetchone()
        return answer

    def store_then() -> Any:
        assert begun.wait(PATIENCE)
        return store(1, later)

    first, other = together(committed_site, store_first, store_then)
    assert (first.status_code, other.status_code) == (201, 409), other.content
    assert len(committed_site.list_traces(session)) == count
    again = store(0, count)
    assert (again.json()["traces"], again["Idempotent-Replayed"]) == (first.json()["traces"], "true")


def test_a_key_is_one_users_and_one_routes(ada: Api, bob: Api) -> None:
    sessions = [asker.post("sessions", {}, Idempotency_Key="one")["id"] for asker in (ada, bob)]
    assert sessions[0] != sessions[1]
    other = ada.post("sessions", {}, Idempotency_Key="two")["id"]
    events = [
        ada.post(f"sessions/{id}/events", {"type": "t"}, Idempotency_Key="one")["id"] for id in (sessions[0], other)
    ]
    assert events[0] != events[1]


def test_a_repeat_after_a_change_returns_what_is_stored_now(ada: Api) -> None:
    session = ada.post("sessions", {"title": "first"}, Idempotency_Key="one")
    changed = ada.patch(f"sessions/{session['id']}", {"title": "second"})
    assert ada.post("sessions", {"title": "first"}, Idempotency_Key="one") == changed
    ada.delete(f"sessions/{session['id']}")
    ada.post("sessions", {"title": "first"}, 409, Idempotency_Key="one")

    source = ada.post("sessions", {})["id"]
    ada.post(f"sessions/{source}/checkpoints", {})
    fork = {"checkpoint_id": ada.get(f"sessions/{source}/checkpoints/latest")["id"]}
    forked = ada.post(f"sessions/{source}/fork", fork, Idempotency_Key="two")
    changed = ada.patch(f"sessions/{forked['id']}", {"metadata": {}})
    assert ada.post(f"sessions/{source}/fork", fork, Idempotency_Key="two") == changed


def test_concurrent_repeats_store_one(committed_site: Storage) -> None:
    staff = signed_in("staff", staff=True, permissions=True)
    with_checkpoints(staff)
    askers = threads_of(staff, 4)
    before = SessionModel.objects.using(committed_site.alias).count()
    for path, body, _ in CREATIONS:

        def create(number: int, path: str = path, body: Any = body) -> Any:
            return askers[number].ask("POST", path, body, Idempotency_Key="one")

        answers = together(committed_site, *writers(create, len(askers)))
        assert {answer.status_code for answer in answers} == {201}, (path, [answer.content for answer in answers])
        assert len({answer.json()["id"] for answer in answers}) == 1, path
    assert SessionModel.objects.using(committed_site.alias).count() == before + 2  # a new one and a fork
    assert committed_site.last_seq("s") == 1
