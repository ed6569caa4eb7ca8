"""Whatever stands in a field is shown as text: it runs nothing, hides nothing, and turns nothing around."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from chronos_storage import Storage, codec
from chronos_storage.models import Checkpoint as CheckpointRow
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
    TokenUsage,
    Trace,
)
from chronos_storage.text import name, visible
from tests.admin.pages import DELETABLE, NAMES, first, url
from tests.conftest import STRICTEST, alias_of

alias = alias_of(STRICTEST)

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;"
TURNED = "safe\u202etxt.exe\u2066\u200f"
CONTROL = "bell\x07\x1b[31mred\x7f\x85\ufeff\U000e0041"
SHORT = f"{MARKUP}{TURNED}{CONTROL}{{{{ 7|add:7 }}}}{{% load x %}}"
DEEP = "[" * 10_000 + '{"a":' * 10_000
#: What must not stand in a page as it is.
RAW = (
    "<script>alert",
    "<img src=x",
    "\u202e",
    "\u2066",
    "\u200f",
    "\x07",
    "\x1b",
    "\x7f",
    "\x85",
    "\ufeff",
    "\U000e0041",
)


def fill(storage: Storage, long: str) -> None:
    """Something of each kind, hostile in every string."""
    value: dict[str, Any] = {SHORT: [long, {"nested": SHORT}]}
    mine = {"session_id": SHORT}
    whose = {"agent_id": SHORT, "user_id": SHORT}
    storage.create_session(
        Session(
            **whose,
            id=SHORT,
            author=SHORT,
            title=long,
            status=SHORT,
            metadata=value,
            container_id=SHORT,
            image_id=SHORT,
        )
    )
    said = {"role": "assistant", "kind": SHORT, "name": SHORT, "model": SHORT, "parent_id": SHORT}
    call = {"id": SHORT, "function": {"name": long, "arguments": long}}
    usage = TokenUsage(prompt_tokens=1)
    storage.add_message(Message(**mine, **said, id=SHORT, content=long, tool_calls=[call], metadata=value, usage=usage))
    storage.add_message(Message(**mine, role=SHORT, tool_call_id=SHORT, content=value))
    storage.put_memory(MemoryRecord(**mine, **whose, id=SHORT, kind=SHORT, key=SHORT, value=value))
    storage.append_audit_log(
        AuditLog(**mine, **whose, id=SHORT, actor=SHORT, action=SHORT, resource=SHORT, detail=value)
    )
    storage.insert_trace(
        Trace(**mine, id=SHORT, parent_id="p", name=SHORT, kind=SHORT, input=long, error=long, attributes=value)
    )
    storage.append_event(Event(**mine, id=SHORT, type=SHORT, payload=value))
    for number in range(2):
        storage.save_checkpoint(
            Checkpoint(
                **mine,
                id=f"{number}{SHORT}"[:255],
                namespace=SHORT,
                run_id=SHORT,
                node_id=SHORT,
                state={**value, "n": number},
            )
        )
    storage.put_artifact(Artifact(**mine, id=SHORT, user_id=SHORT, name=SHORT, mime_type=SHORT, metadata=value), b"x")
    queue, topic = OrmQueue(), SHORT[: codec.MAX_TOPIC]
    queue.ack(SHORT, topic, queue.publish(topic, value, user_id=SHORT))
    storage.save_container(Container(id=SHORT, config=value))
    texts = {"description": long, "system_prompt": long, "mcp_servers": value, "metadata": value}
    image = {"container_id": SHORT, "session_id": SHORT, "name": SHORT, "parent_image_id": SHORT}
    storage.save_image(Image(**image, **texts, id=SHORT))


def addresses() -> list[str]:
    one, two = CheckpointRow.objects.order_by("pk").values_list("pk", flat=True)
    about = url("session", "change", SHORT).removesuffix("change/")
    return [
        *(url(model_name) for model_name in NAMES),
        *(url(model_name, "change", first(model_name).pk) for model_name in NAMES),
        *(url(model_name, "history", first(model_name).pk) for model_name in NAMES),
        *(url(model_name, "delete", SHORT) for model_name in DELETABLE),
        *(
            f"{about}{page}/"
            for page in ("spans", "tokens", "context", "checkpoints", "verdict", "hold", f"fork/{one}")
        ),
        f"{about}compare/?a={one}&b={two}",
        url("session", "overview"),
        url("session", "overview") + "?since=x&until=\x00",
    ]


@pytest.mark.parametrize("long", [SHORT, DEEP], ids=["markup", "brackets"])
def test_no_page_does_what_a_string_says(site, superuser: Client, viewer: Client, long: str) -> None:
    fill(site, long)
    for client in (viewer, superuser):
        for address in addresses():
            response = client.get(address)
            if client is superuser or not any(part in address for part in ("/delete/", "/fork/", "/hold/")):
                assert response.status_code == 200, address
            page = response.content.decode()
            shown = _without_inputs(page) if client is superuser else page
            assert [raw for raw in RAW if raw in shown] == [], address
            for part in ("<style", " style=", " onclick=", " onerror=x", "javascript:"):
                assert part not in page.replace("onerror=alert(1)", ""), address
            assert not re.search(r"<script(?![^>]* src=)", page), address


def _without_inputs(page: str) -> str:
    """The page without the values of its fields, which stay as they are stored, so that saving changes nothing."""
    page = re.sub(r"<textarea.*?</textarea>", "", page, flags=re.DOTALL)
    return re.sub(r"<input[^>]*>", "", page)


def test_long_contents_are_text_too(site, viewer) -> None:
    fill(site, DEEP + SHORT)
    for model_name in NAMES:
        row = first(model_name)
        for field in apps.get_model("chronos_storage", model_name)._meta.concrete_fields:
            response = viewer.get(url(model_name, "content", row.pk, field.attname))
            assert response.status_code in (200, 404)
            if response.status_code == 200:
                text = response.content.decode()
                assert response["Content-Type"].startswith("text/plain")
                assert [raw for raw in RAW[2:] if raw in text] == []


def test_what_cannot_be_seen_is_written_out() -> None:
    assert visible("a\u202eb\x00\x1b\tc\nd") == "a⟨U+202E⟩b⟨U+0000⟩⟨U+001B⟩\tc\nd"
    assert visible("\U0001f469\u200d\U0001f680 é שלום") == "\U0001f469\u200d\U0001f680 é שלום"
    assert visible("\ud800\U000e0041\r") == "⟨U+D800⟩⟨U+E0041⟩⟨U+000D⟩"
    assert name(" a\n b\u2028c ") == "a b c"
    assert name("x" * 300) == "x" * 200 + "…"
    assert name("\x1f" * 3) == "⟨U+001F⟩" * 3
