"""The admin on every database, and who looks at it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from chronos_storage import Storage
from chronos_storage.backends.orm import OrmStorage
from chronos_storage.records import (
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)

NAMES = (
    *("session", "message", "memoryrecord", "auditlog", "trace", "event", "checkpoint", "container", "image"),
    "head",
)


class OneDatabase:
    """A database router that sends everything to one alias."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def db_for_read(self, model: object, **hints: object) -> str:
        return self.alias

    db_for_write = db_for_read


@pytest.fixture
def site(alias: str, settings) -> Storage:
    """The facade over the database that the whole site now uses."""
    settings.DATABASE_ROUTERS = [OneDatabase(alias)]
    return OrmStorage()


@pytest.fixture
def superuser(site) -> Client:
    return _logged_in(User.objects.create_superuser("root"))


@pytest.fixture
def viewer(site) -> Client:
    """Staff who may look at everything of ours and nothing more."""
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="chronos_storage", codename__startswith="view_")
    )
    return _logged_in(user)


@pytest.fixture
def stranger(site) -> Client:
    """Staff without any permission."""
    return _logged_in(User.objects.create_user("stranger", is_staff=True))


def _logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def populate(storage: Storage, name: str = "s") -> None:
    """A session of that id and one of everything else, whose ids begin with it."""
    mine = {"session_id": name, "agent_id": "agent", "user_id": "user"}
    value = {"b": [1.0, "<b>&é"], "a": None}
    storage.create_session(Session(id=name, agent_id="agent", user_id="user", title=f"Title of {name}", metadata=value))
    storage.add_message(Message(id=f"{name}-m", session_id=name, role="tool", content=value, tool_calls=[value]))
    storage.put_memory(MemoryRecord(id=f"{name}-memory", **mine, kind="long_term", key="key", value=value))
    storage.append_audit_log(AuditLog(id=f"{name}-log", **mine, actor="actor", action="do", detail=value))
    storage.insert_trace(Trace(id=f"{name}-t", session_id=name, kind="node", input=value, attributes=value))
    storage.append_event(Event(id=f"{name}-e", session_id=name, type="t", payload=value))
    storage.save_checkpoint(Checkpoint(id=f"{name}-c", session_id=name, state=value, metadata=value))
    storage.save_container(Container(id=f"{name}-container", config=value))
    storage.save_image(
        Image(id=f"{name}-image", container_id=f"{name}-container", name="image", system_prompt="line\nline")
    )
