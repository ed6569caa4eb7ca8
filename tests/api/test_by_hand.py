"""Beside views that a project would write by hand: benchmarks compare their speed, these tests their queries."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from chronos_storage.facade import Storage
from chronos_storage.ledger import kept
from chronos_storage.records import AuditLog, Checkpoint, Event, MemoryRecord, Message, Session, Trace
from tests.api.conftest import Api
from tests.conftest import each_database

#: What is asked for below a session that has 60 events and messages.
ASKED: list[tuple[str, str, Any]] = [
    ("GET", "events/e7", None),
    ("GET", "events", None),
    ("POST", "events", {"type": "x", "payload": {"n": 1}}),
    ("GET", "messages/m7", None),
    ("GET", "messages", None),
    ("POST", "messages", {"role": "user", "content": "Hello"}),
]


@pytest.mark.parametrize("count", [20, 50, 60])
def test_no_request_takes_a_query_more(ada: Api, site: Storage, settings: Any, subtests: Any, count: int) -> None:
    settings.ROOT_URLCONF = "benchmarks.by_hand"
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.append_events([Event(id=f"e{number}", session_id="s", type="x") for number in range(count)])
    site.add_messages([Message(id=f"m{number}", session_id="s", role="user") for number in range(count)])
    for method, address, body in ASKED:
        with subtests.test(f"{method} {address}"):
            ours, by_hand = (
                _queries(ada, site, method, f"/{start}/sessions/s/{address}", body) for start in ("api", "by-hand")
            )
            assert len(ours) <= len(by_hand), "\n".join(ours)


@pytest.mark.parametrize("alias", each_database(without=["postgres15", "mariadb"]), indirect=True)
def test_statements_are_kept_but_what_they_read_is_the_users_own(ada: Api, bob: Api, staff: Api, site: Storage) -> None:
    users = {"ada": ada, "bob": bob}
    for name, user in users.items():
        own = {"user_id": user.user_id}
        site.create_session(Session(id=name, **own))
        site.append_events([Event(id=f"{name}{number}", session_id=name) for number in range(3)])
        site.add_messages([Message(id=f"{name}{number}", session_id=name, role="user") for number in range(3)])
        site.insert_traces([Trace(id=f"{name}{number}", session_id=name) for number in range(3)])
        for number in range(3):
            site.save_checkpoint(Checkpoint(id=f"{name}{number}", session_id=name))
            site.append_audit_log(AuditLog(id=f"{name}{number}", session_id=name, **own))
            site.put_memory(MemoryRecord(id=f"{name}{number}", session_id=name, key=f"{number}", **own))

    def reads(asker: Api, name: str) -> None:
        """All that is `name`'s, a row and a page after another of each kind."""
        within = f"sessions/{name}"
        for path in (f"{within}/events", f"{within}/messages", f"{within}/checkpoints", "memory", "audit-logs"):
            assert asker.get(f"{path}/{name}1")["id"] == f"{name}1"
            found, page = [], path + "?page_size=2"
            while page:
                answer = asker.get(page)
                found += [each["id"] for each in answer["results"]]
                page = answer["next"] and answer["next"].partition("/api/")[2]
            wanted = {
                f"{user}{at}" for user in ([name] if within in path or asker is not staff else users) for at in range(3)
            }
            assert set(found) == wanted
            assert len(found) == len(wanted)
        assert [each["id"] for each in asker.get(f"{within}/traces")["results"]] == [f"{name}{at}" for at in range(3)]
        assert asker.get(f"traces/{name}1")["session_id"] == name

    def asks(user: str) -> None:
        for asker in (users[user], staff):
            reads(asker, user)
        users[user].post(f"sessions/{user}/messages", {"role": "user"})

    asks("ada")
    before = set(kept.KEPT)
    asks("bob")
    assert set(kept.KEPT) == before
    for path in ("events", "messages", "checkpoints", "traces"):
        bob.get(f"sessions/ada/{path}", 404)
    for path in ("sessions/ada", "memory/ada1", "audit-logs/ada1", "traces/ada1", "sessions/ada/events/ada1"):
        bob.get(path, 404)
    bob.post("sessions/ada/messages", {"role": "user"}, 404)
    site.delete_session("bob")
    for path in ("sessions/bob", "sessions/bob/events", "memory/bob1", "audit-logs/bob1", "traces/bob1"):
        bob.get(path, 404)


def _queries(ada: Api, site: Storage, method: str, path: str, body: Any) -> list[str]:
    with CaptureQueriesContext(connections[site.alias]) as captured:
        answer = ada.client.generic(method, path, json.dumps(body) if body else "", content_type="application/json")
    assert answer.status_code in (200, 201), answer.content
    return [each["sql"] for each in captured.captured_queries]
