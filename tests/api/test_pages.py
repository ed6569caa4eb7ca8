"""The API in a browser, and under ASGI."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient
from django.urls import include, path

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
    for address, operations in staff.get("schema")["paths"].items():
        if "get" not in operations or address.endswith(("/content", "/export", "/stream")):
            continue
        for name, value in names.items():
            address = address.replace(name, value)
        given = operations["get"].get("parameters", ())
        if needed := [each["name"] for each in given if each["in"] == "query" and each.get("required")]:
            address += "?" + "&".join(f"{name}=x" for name in needed)
        with subtests.test(address):
            response = staff.client.get(f"/api{address}", headers={"Accept": "text/html"})
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


def test_the_api_stands_below_paths_of_the_project_s_own(ada: Api, site: Storage, settings: Any) -> None:
    settings.ROOT_URLCONF = (
        path("<int:tenant>/<uuid:shop>/api/", include("chronos_storage.api.urls")),
        path("<str:city>/api/", include("chronos_storage.api.urls", namespace="by_city")),
    )
    for prefix in ("/7/6b7e0f0a-6f0e-4d55-9b0f-3a1f6a3d8c11/api/", f"/{quote('Köln am Rhein')}/api/"):
        response = ada.client.get(prefix, headers={"Accept": "application/json"})
        assert response.json()["sessions"] == f"http://testserver{prefix}sessions"
        created = [
            ada.client.post(f"{prefix}sessions", {}, "application/json", headers={"Idempotency-Key": "k"})
            for _ in range(2)
        ]
        assert [answer.get("Idempotent-Replayed") for answer in created] == [None, "true"]
        assert created[0].json() == created[1].json()
        where = created[0]["Location"]
        assert where.startswith(f"http://testserver{prefix}")
        assert ada.client.post(f"{where}/messages", {"role": "user"}, "application/json").status_code == 201
        checkpoint = ada.client.post(f"{where}/checkpoints", {}, "application/json").json()["id"]
        forked = ada.client.post(f"{where}/fork", {"checkpoint_id": checkpoint}, "application/json")
        assert ada.client.get(forked["Location"]).status_code == 200
        assert ada.client.get(f"{prefix}schema").json()["servers"]
