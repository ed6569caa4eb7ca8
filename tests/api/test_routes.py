"""Who may use which route: every route and method stands in the table, or the test fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import transaction

from chronos_storage import queue, vector_store
from chronos_storage.api import urls
from chronos_storage.api.ids import OWN_NAMES
from chronos_storage.backends.orm import OrmStorage
from chronos_storage.records import (
    AuditLog,
    Checkpoint,
    Container,
    Embedding,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from tests.api.conftest import Api
from tests.conftest import STRICTEST, alias_of

alias = alias_of(STRICTEST)


@dataclass
class Case:
    """A request about what belongs to ada, and what each asker is answered; who isn't signed in, 401 every time.

    Attributes:
        owner: the status for ada herself.
        other: the status for bob; where it is 200 on a list, the list must be empty.
        staff: the status for staff with every permission.
        novice: the status for staff without any.
    """

    path: str
    body: Any = None
    owner: int = 200
    other: int = 404
    staff: int = 200
    novice: int = 403


def everyone(path: str, status: int = 200) -> Case:
    return Case(path, None, status, status, status, status)


def for_staff(path: str, body: Any = None, staff: int = 200) -> Case:
    return Case(path, body, 403, 403, staff)


TABLE = {
    "GET ": everyone(""),
    "GET schema": everyone("schema"),
    "GET usage": Case("usage", other=200),
    "GET sessions": Case("sessions", other=200),
    "POST sessions": Case("sessions", {"title": "new"}, 201, 201, 201),
    "GET sessions/<str:id>": Case("sessions/s"),
    "PATCH sessions/<str:id>": Case("sessions/s", {"title": "new"}),
    "DELETE sessions/<str:id>": Case("sessions/s", None, 204, 404, 204),
    "PATCH sessions/<str:id>/metadata": Case("sessions/s/metadata", {"k": 1}),
    "POST sessions/<str:id>/fork": Case("sessions/s/fork", {"checkpoint_id": "k"}, 201, 404, 201),
    "GET sessions/<str:id>/export": Case("sessions/s/export"),
    "POST sessions/<str:id>/restore": for_staff("sessions/gone/restore"),
    "GET sessions/<str:id>/usage": Case("sessions/s/usage"),
    "GET sessions/<str:id>/verify": Case("sessions/s/verify"),
    "GET sessions/<str:session_id>/messages": Case("sessions/s/messages"),
    "POST sessions/<str:session_id>/messages": Case("sessions/s/messages", {"role": "user"}, 201, 404, 201),
    "POST sessions/<str:session_id>/messages/batch": Case(
        "sessions/s/messages/batch", {"messages": [{"role": "user"}]}, 201, 404, 201
    ),
    "POST sessions/<str:session_id>/messages/truncate": Case("sessions/s/messages/truncate", {"after_message_id": "m"}),
    "GET sessions/<str:session_id>/messages/<str:id>": Case("sessions/s/messages/m"),
    "DELETE sessions/<str:session_id>/messages/<str:id>": Case("sessions/s/messages/m", None, 204, 404, 204),
    "GET sessions/<str:session_id>/events": Case("sessions/s/events"),
    "POST sessions/<str:session_id>/events": Case("sessions/s/events", {"type": "t"}, 201, 404, 201),
    "POST sessions/<str:session_id>/events/batch": Case(
        "sessions/s/events/batch", {"events": [{"type": "t"}]}, 201, 404, 201
    ),
    "GET sessions/<str:session_id>/events/<str:id>": Case("sessions/s/events/e"),
    # Streams need ASGI, as all but those who may follow are not even told here.
    "GET sessions/<str:session_id>/events/stream": Case("sessions/s/events/stream", None, 501, 404, 501),
    "GET sessions/<str:session_id>/checkpoints": Case("sessions/s/checkpoints"),
    "POST sessions/<str:session_id>/checkpoints": Case("sessions/s/checkpoints", {}, 201, 404, 201),
    "GET sessions/<str:session_id>/checkpoints/latest": Case("sessions/s/checkpoints/latest"),
    "GET sessions/<str:session_id>/checkpoints/history": Case("sessions/s/checkpoints/history"),
    "POST sessions/<str:session_id>/checkpoints/prune": Case("sessions/s/checkpoints/prune", {"keep_last": 1}),
    "GET sessions/<str:session_id>/checkpoints/<str:id>": Case("sessions/s/checkpoints/k"),
    "DELETE sessions/<str:session_id>/checkpoints/<str:id>": Case("sessions/s/checkpoints/k", None, 204, 404, 204),
    "GET sessions/<str:session_id>/traces": Case("sessions/s/traces"),
    "GET sessions/<str:session_id>/traces/tree": Case("sessions/s/traces/tree"),
    "POST traces": Case("traces", {"session_id": "s"}, 201, 404, 201),
    "GET traces/<str:id>": Case("traces/t"),
    "POST traces/<str:id>/end": Case("traces/t/end", {}),
    "GET memory": Case("memory", other=200),
    "POST memory": Case("memory", {"key": "new", "session_id": "s"}, 201, 404, 201),
    "GET memory/<str:id>": Case("memory/y"),
    "PATCH memory/<str:id>": Case("memory/y", {"value": 2}),
    "DELETE memory/<str:id>": Case("memory/y", None, 204, 404, 204),
    "GET audit-logs": Case("audit-logs", other=200),
    "POST audit-logs": for_staff("audit-logs", {"session_id": "s"}, 201),
    "GET audit-logs/export": Case("audit-logs/export", other=200),
    "GET audit-logs/<str:id>": Case("audit-logs/a"),
    "GET containers": for_staff("containers"),
    "POST containers": for_staff("containers", {}, 201),
    "GET containers/<str:id>": for_staff("containers/c"),
    "PATCH containers/<str:id>": for_staff("containers/c", {"config": {}}),
    "DELETE containers/<str:id>": for_staff("containers/c", None, 204),
    "GET images": for_staff("images"),
    "POST images": for_staff("images", {}, 201),
    "GET images/<str:id>": for_staff("images/i"),
    "PATCH images/<str:id>": for_staff("images/i", {"name": "new"}),
    "DELETE images/<str:id>": for_staff("images/i", None, 204),
    "PATCH images/<str:id>/metadata": for_staff("images/i/metadata", {"k": 1}),
    "GET topics/<str:topic>/entries": Case("topics/session:s/entries"),
    "GET topics/<str:topic>/stream": Case("topics/session:s/stream", None, 501, 404, 501),
    "POST topics/<str:topic>/entries": Case("topics/session:s/entries", {"event": 1}, 403, 404, 403),
    "GET topics/<str:topic>/consumers/<str:id>": Case("topics/session:s/consumers/x"),
    "PUT topics/<str:topic>/consumers/<str:id>": Case("topics/session:s/consumers/x", {"cursor": "CURSOR"}),
    "GET collections": for_staff("collections"),
    "POST collections": for_staff("collections", {"name": "new", "dimension": 2}, 201),
    "GET collections/<str:id>": for_staff("collections/docs"),
    "DELETE collections/<str:id>": for_staff("collections/docs", None, 204),
    "POST collections/<str:id>/search": for_staff("collections/docs/search", {"vector": [1, 0]}),
    "POST collections/<str:collection>/embeddings": for_staff(
        "collections/docs/embeddings", {"embeddings": [{"vector": [1, 0]}]}, 201
    ),
    "GET collections/<str:collection>/embeddings/<str:id>": for_staff("collections/docs/embeddings/v"),
    "DELETE collections/<str:collection>/embeddings/<str:id>": for_staff("collections/docs/embeddings/v", None, 204),
}
TABLE |= {
    f"{method} <path:rest>": everyone("no/such/thing", 404) for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
}
#: What else belongs to staff alone: a topic that is no session's.
MORE = {
    "DELETE a session for good": for_staff("sessions/s?hard=true", None, 204),
    "GET another topic": for_staff("topics/news/entries"),
    "POST another topic": for_staff("topics/news/entries", {"event": 1}, 201),
    "GET another topic's consumer": for_staff("topics/news/consumers/x"),
    "GET a topic of a session that isn't there": Case("topics/session:none/entries", None, 404),
}


def routes() -> Iterator[str]:
    for pattern in urls.urlpatterns:
        callback: Any = pattern.callback
        methods = getattr(callback, "actions", None) or [
            name for name in callback.cls.http_method_names if name != "head" and hasattr(callback.cls, name)
        ]
        for method in methods:
            if method != "head":
                yield f"{method.upper()} {pattern.pattern}"


def test_every_route_is_in_the_table() -> None:
    assert sorted(routes()) == sorted(TABLE)


def test_the_names_of_routes_are_no_addresses_of_ids() -> None:
    paths = {str(pattern.pattern) for pattern in urls.urlpatterns}
    lists = {path.removesuffix("<str:id>") for path in paths if path.endswith("/<str:id>")}
    names = {path.removeprefix(each) for path in paths for each in lists if path.startswith(each)}
    assert {name for name in names if "<" not in name and "/" not in name} == OWN_NAMES


@pytest.fixture
def cursor(site: OrmStorage, ada: Api) -> str:
    """Something of every kind, all of it ada's where it belongs to a user; the cursor of what is published."""
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.create_session(Session(id="gone", user_id=ada.user_id))
    site.delete_session("gone")
    site.add_message(Message(id="m", session_id="s", role="user"))
    site.append_event(Event(id="e", session_id="s"))
    site.save_checkpoint(Checkpoint(id="k", session_id="s"))
    site.insert_trace(Trace(id="t", session_id="s"))
    site.put_memory(MemoryRecord(id="y", user_id=ada.user_id, key="k", session_id="s"))
    site.append_audit_log(AuditLog(id="a", session_id="s", user_id=ada.user_id))
    site.save_container(Container(id="c"))
    site.save_image(Image(id="i"))
    vector_store.create_collection("docs", 2)
    vector_store.upsert("docs", [Embedding(id="v", vector=[1, 0])])
    return queue.publish("session:s", {"n": 1})


@pytest.mark.parametrize("who", ["anonymous", "owner", "other", "novice", "staff"])
def test_who_is_answered_what(
    who: str, alias: str, cursor: str, anonymous: Api, ada: Api, bob: Api, novice: Api, staff: Api, subtests: Any
) -> None:
    asker = {"anonymous": anonymous, "owner": ada, "other": bob, "novice": novice, "staff": staff}[who]
    for name, case in (TABLE | MORE).items():
        method = name.partition(" ")[0]
        body = {"cursor": cursor} if case.body == {"cursor": "CURSOR"} else case.body
        with subtests.test(name), transaction.atomic(using=alias):
            response = asker.ask(method, case.path, body)
            assert response.status_code == (401 if who == "anonymous" else getattr(case, who)), response.content
            if response.status_code >= 400:
                assert response["Content-Type"] == "application/problem+json"
                assert response.json()["status"] == response.status_code
            elif who == "other" and method == "GET":
                found = json.loads(response.getvalue() if response.streaming else response.content)
                assert not found.get("results")
                assert not found.get("audit_logs")
            if response.status_code == 401:
                assert response["WWW-Authenticate"]
            transaction.set_rollback(True, using=alias)


def test_other_methods_are_not_allowed(ada: Api, cursor: str, subtests: Any) -> None:
    paths = {name.partition(" ")[2]: case.path for name, case in TABLE.items()}
    for route, path in paths.items():
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            if f"{method} {route}" in TABLE or "<path" in route:
                continue
            with subtests.test(f"{method} {route}"):
                status = ada.ask(method, path, {}).status_code
                # who may not even look is told so first
                assert status in ((403, 405) if TABLE.get(f"GET {route}", for_staff("")).owner == 403 else (405,))
