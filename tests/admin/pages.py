"""The admin's pages, and what is in the store that they show."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.apps import apps
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils.timezone import localtime

from chronos_storage import Storage
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import (
    Artifact,
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
    *(
        "session",
        "message",
        "memoryrecord",
        "auditlog",
        "trace",
        "event",
        "checkpoint",
        "container",
        "image",
        "artifact",
    ),
    *("head", "topic", "queueentry", "consumer"),
)
LEDGER = ("event", "auditlog", "head")
EDITABLE = ("session", "memoryrecord", "container", "image")
DELETABLE = (*EDITABLE, "artifact")
VALUE = {"b": [1.0, "<b>&é"], "a": None}


def url(name: str, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:chronos_storage_{name}_{page}", args=[quote(arg) for arg in args])


def model(name: str) -> Any:
    return apps.get_model("chronos_storage", name)


def first(name: str) -> Any:
    return model(name).objects.order_by("pk").first()


def listed(client: Client, name: str, /, **parameters: str) -> list[Any]:
    response = client.get(url(name), parameters)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def timeline_items(context: Any) -> list[Any]:
    """The items of a timeline, those that are folded after what they belong to."""
    return [item for entry in context["entries"] for item in (entry.item, *entry.folded)]


def calls(context: Any) -> dict[int, list[Any]]:
    """The calls of tools that a timeline shows, by the numbers of the messages that make them."""
    spoken = [item for item in timeline_items(context) if item.speech and item.speech.calls]
    return {item.number: item.speech.calls for item in spoken}


def post(client: Client, model_name: str, pk: Any, /, **changes: Any) -> Any:
    """What a browser sends from a change page, with these fields changed."""
    address = url(model_name, "change", pk)
    data: dict[str, Any] = {}
    for field in client.get(address).context["adminform"].form:
        if field.field.show_hidden_initial:
            data[f"initial-{field.name}"] = field.value()
        value = changes.get(field.name, field.value())
        if isinstance(value, datetime):
            local = localtime(value) if value.tzinfo else value
            data |= {f"{field.name}_0": local.date().isoformat(), f"{field.name}_1": f"{local:%H:%M:%S}"}
        elif value is not None:
            data[field.name] = value
    return client.post(address, data | changes)


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["adminform"].form.errors
    return found


def act(client: Client, name: str, *pks: Any) -> None:
    """Choose "delete selected" in the list, and confirm it."""
    data = {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
    assert client.post(url(name), data).status_code in (200, 302, 403)


def populate(storage: Storage, name: str = "s") -> None:
    """A session of that id and one of everything else, whose ids begin with it."""
    mine = {"session_id": name, "agent_id": "agent", "user_id": "user"}
    storage.create_session(Session(id=name, agent_id="agent", user_id="user", title=f"Title of {name}", metadata=VALUE))
    storage.add_message(Message(id=f"{name}-m", session_id=name, role="tool", content=VALUE, tool_calls=[VALUE]))
    storage.put_memory(MemoryRecord(id=f"{name}-memory", **mine, kind="long_term", key="key", value=VALUE))
    storage.append_audit_log(AuditLog(id=f"{name}-log", **mine, actor="actor", action="do", detail=VALUE))
    storage.insert_trace(Trace(id=f"{name}-t", session_id=name, kind="node", input=VALUE, attributes=VALUE))
    storage.append_event(Event(id=f"{name}-e", session_id=name, type="t", payload=VALUE))
    storage.save_checkpoint(Checkpoint(id=f"{name}-c", session_id=name, state=VALUE, metadata=VALUE))
    report = Artifact(id=f"{name}-artifact", session_id=name, name="report.txt", mime_type="text/plain", metadata=VALUE)
    storage.put_artifact(report, b"Nothing went wrong.")
    storage.save_container(Container(id=f"{name}-container", config=VALUE))
    storage.save_image(
        Image(id=f"{name}-image", container_id=f"{name}-container", name="image", system_prompt="line\nline")
    )
    queue = OrmQueue()
    cursor = queue.publish(f"{name}-topic", VALUE, user_id="user")
    queue.publish(f"{name}-topic", VALUE, user_id="user")
    queue.ack("consumer", f"{name}-topic", cursor)
