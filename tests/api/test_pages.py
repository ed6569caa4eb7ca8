"""The API in a browser, and under ASGI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from chronos_storage.facade import Storage
from chronos_storage.queues import following
from chronos_storage.records import Event, Message, Session
from tests.api.conftest import Api, signed_in
from tests.api.routes import ROUTES
from tests.conftest import ONLY_SQLITE

pytestmark = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


@pytest.mark.usefixtures("filled")
def test_every_address_has_a_page(staff: Api, subtests: Any) -> None:
    names = {"{session_id}": "s", "{collection}": "x", "{topic}": "t", "{id}": "x"}
    for path, operations in staff.get("schema")["paths"].items():
        if "get" not in operations or path.endswith(("/export", "/stream")):
            continue
        for name, value in names.items():
            path = path.replace(name, value)
        with subtests.test(path):
            response = staff.client.get(f"/api{path}", headers={"Accept": "text/html"})
            assert response["Content-Type"] == "text/html; charset=utf-8"
            assert response.status_code == 200
            assert b"Django REST framework" in response.content


def test_an_error_has_a_page_too(ada: Api, anonymous: Api) -> None:
    for asker, status in ((ada, 404), (anonymous, 401)):
        response = asker.client.get("/api/sessions/none", headers={"Accept": "text/html"})
        assert (response.status_code, response["Content-Type"]) == (status, "text/html; charset=utf-8")


def test_the_front_page_names_the_lists(ada: Api) -> None:
    lists = ada.get("")
    assert {f"GET {name}" for name in lists} <= {route.name for route in ROUTES}
    assert lists["sessions"] == "http://testserver/api/sessions"


def test_an_export_is_streamed_under_asgi(committed_site: Storage) -> None:
    site, ada = committed_site, signed_in("ada")
    site.create_session(Session(id="s", user_id=ada.user_id))
    site.add_message(Message(session_id="s", role="user", content="Hello"))
    site.append_events([Event(session_id="s", payload="x" * 1000) for _ in range(600)])
    client = AsyncClient()
    client.cookies = ada.client.cookies

    async def fetch() -> list[bytes]:
        response: Any = await client.get("/api/sessions/s/export")
        assert response.is_async
        return [chunk async for chunk in response]

    chunks = async_to_sync(fetch)()
    following.READERS.close()
    assert len(chunks) > 5
    document = json.loads(b"".join(chunks))
    assert [event["seq_num"] for event in document["events"]] == list(range(1, 601))
    assert len(document["messages"]) == 1
