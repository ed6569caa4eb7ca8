"""The API over a database, and who asks it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.http import HttpResponse
from django.test import Client

from chronos_storage import queue, vector_store
from chronos_storage.facade import Storage
from chronos_storage.records import (
    Artifact,
    AuditLog,
    Checkpoint,
    Container,
    Embedding,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    TokenUsage,
    Trace,
)
from tests.admin.conftest import site as site
from tests.api.routes import GONE, ID, TOPIC

SNAPSHOT = Path(__file__).with_name("openapi.json")


@dataclass
class Api:
    """A client that speaks JSON, and the user it is signed in as."""

    client: Client
    user: User | None = None

    @property
    def user_id(self) -> str:
        assert self.user is not None
        return str(self.user.pk)

    def ask(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> Any:
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        return self.client.generic(
            method,
            f"/api/{path}",
            content,
            content_type="application/json",
            headers={"Accept": "application/json", **{name.replace("_", "-"): text for name, text in headers.items()}},
        )

    def get(self, path: str, status: int = 200, **headers: str) -> Any:
        return read(self.ask("GET", path, **headers), status)

    def post(self, path: str, body: Any, status: int = 201, **headers: str) -> Any:
        return read(self.ask("POST", path, body, **headers), status)

    def patch(self, path: str, body: Any, status: int = 200, **headers: str) -> Any:
        return read(self.ask("PATCH", path, body, **headers), status)

    def delete(self, path: str, status: int = 204) -> Any:
        return read(self.ask("DELETE", path), status)


def read(response: HttpResponse, status: int) -> Any:
    """The body of a response that must have this status."""
    assert response.status_code == status, response.content
    return json.loads(response.content) if response.content else None


def body_of(response: Any) -> bytes:
    """All of a response, which is over then; one that is streamed and isn't keeps its user's place."""
    body: bytes = response.getvalue() if response.streaming else response.content
    return body


@contextmanager
def connections_kept() -> Iterator[None]:
    """A request closes no connection, and so doesn't end the test's transaction; Django's own client does the same."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


def signed_in(name: str, *, staff: bool = False, superuser: bool = False, permissions: bool = False) -> Api:
    user = User.objects.create_user(name, is_staff=staff, is_superuser=superuser)
    if permissions:
        user.user_permissions.set(Permission.objects.filter(content_type__app_label__startswith="chronos"))
    client = Client()
    client.force_login(user)
    return Api(client, user)


@pytest.fixture
def committed_site(site: Storage, transactional_db: None) -> Storage:
    """The same, really committing, for threads."""
    return site


@pytest.fixture
def anonymous(site: Storage) -> Api:
    return Api(Client())


@pytest.fixture
def ada(site: Storage) -> Api:
    """A user like any other."""
    return signed_in("ada")


@pytest.fixture
def bob(site: Storage) -> Api:
    """Another one."""
    return signed_in("bob")


@pytest.fixture
def staff(site: Storage) -> Api:
    """Staff with every permission on our models."""
    return signed_in("staff", staff=True, permissions=True)


@pytest.fixture
def novice(site: Storage) -> Api:
    """Staff without a permission."""
    return signed_in("novice", staff=True)


@pytest.fixture
def superuser(site: Storage) -> Api:
    return signed_in("root", staff=True, superuser=True)


@pytest.fixture
def cursor(site: Storage, ada: Api) -> str:
    """What the examples of the OpenAPI document name, all of it ada's where it belongs to a user; the cursor of what is
    published on her session's topic.
    """
    site.create_session(Session(id=ID, user_id=ada.user_id))
    site.acquire(ID, "worker-1")
    site.create_session(Session(id=GONE, user_id=ada.user_id))
    site.delete_session(GONE)
    site.add_message(Message(id=ID, session_id=ID, role="user", usage=TokenUsage(prompt_tokens=1)))
    site.append_events(Event(id=id, session_id=ID) for id in ("first", "second", ID))
    site.save_checkpoint(Checkpoint(id=ID, session_id=ID))
    site.insert_trace(Trace(id=ID, session_id=ID))
    site.put_memory(MemoryRecord(id=ID, user_id=ada.user_id, key="k", session_id=ID))
    site.append_audit_log(AuditLog(id=ID, session_id=ID, user_id=ada.user_id))
    site.put_artifact(Artifact(id=ID, session_id=ID, name="report.txt", mime_type="text/plain"), b"Hello")
    site.save_container(Container(id=ID))
    site.save_image(Image(id=ID))
    vector_store.create_collection(ID, 3)
    vector_store.upsert(ID, [Embedding(id=ID, vector=[1, 0, 0])])
    queue.publish(TOPIC, {"n": 1})
    return queue.publish(f"session:{ID}", {"n": 1})


@pytest.fixture
def filled(site: Storage) -> dict[str, str]:
    """One of everything, and which ids in paths name it."""
    return fill(site)


def fill(site: Storage, user_id: str = "", suffix: str = "") -> dict[str, str]:
    """One of everything, which belongs to this user, and what in paths and bodies names it; ids end with the suffix."""
    s, x, gone, t = f"s{suffix}", f"x{suffix}", f"gone{suffix}", f"t{suffix}"
    site.create_session(Session(id=s, user_id=user_id))
    site.add_message(Message(id=x, session_id=s, role="user", content=[{"a": 1.5}]))
    site.append_event(Event(id=x, session_id=s, payload={"é": None}))
    site.save_checkpoint(Checkpoint(id=x, session_id=s))
    site.create_session(Session(id=x, user_id=user_id))
    site.acquire(x, "worker-1")
    site.create_session(Session(id=gone, user_id=user_id))
    site.delete_session(gone)
    site.insert_trace(Trace(id=x, session_id=s))
    site.put_memory(MemoryRecord(id=x, key="k", session_id=s, user_id=user_id))
    site.append_audit_log(AuditLog(id=x, user_id=user_id))
    site.put_artifact(Artifact(id=x, session_id=s, name="report.txt"), b"Hello")
    site.save_container(Container(id=x))
    site.save_image(Image(id=x))
    vector_store.create_collection(x, 2)
    vector_store.upsert(x, [Embedding(id=x, vector=[1, 0])])
    of_paths = {"session_id": s, "id": x, "collection": x, "topic": t, "gone": gone}
    return {**of_paths, "checkpoint_id": x, "after_message_id": x, "cursor": queue.publish(t, {"n": 1})}
