"""What comes in and goes out: ids in addresses, JSON, limits, problems, and what is not logged."""

from __future__ import annotations

import gzip
import json
import logging
from typing import Any
from urllib.parse import quote

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import cache
from django.db import connections
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from chronos_storage import codec
from chronos_storage.api.ids import address, read_address
from chronos_storage.api.throttling import Throttle
from chronos_storage.facade import Storage
from chronos_storage.models import Session as SessionModel
from chronos_storage.queues.cursors import cursor_of
from chronos_storage.records import Event, Message, Session
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api
from tests.api.routes import ROUTES, check_declared
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)
once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

HOSTILE = [
    "a/b?c#d",
    "..",
    ".",
    "~tilde",
    "x ",
    " x",
    "é",
    "e\u0301",
    "1e5",
    "a:b",
    "%2F",
    "\n",
    "🦀",
    "batch",
    "a" * 255,
]


@given(st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1))
def test_every_id_has_an_address(id: str) -> None:
    assert read_address(address(id)) == id
    assert quote(address(id), safe="~:@") == address(id)


def test_what_is_no_address_is_no_id() -> None:
    for segment in ("", ".", "..", "a b", "é", "~", "~!", "~A", "~_w", "~AA", "~YQ=="):
        assert read_address(segment) is None


def test_an_id_survives_the_address(staff: Api, site: Storage) -> None:
    for id in HOSTILE:
        with case(id):
            session = site.create_session(Session(id=id))
            site.append_event(Event(id=id, session_id=id))
            site.add_message(Message(id=id, session_id=id, role="user"))
            path = f"sessions/{address(id)}"
            assert staff.get(path)["id"] == session.id
            assert staff.get(f"{path}/events")["results"][0]["session_id"] == id
            for kind in ("events", "messages"):
                # an id that is a route's own name has its other address
                place = address(id) if id != "batch" else "~YmF0Y2g"
                assert staff.get(f"{path}/{kind}/{place}")["id"] == id
            assert staff.get(f"{path}/../x", 404)["status"] == 404


def test_what_no_record_can_hold_is_refused(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    for text, field in [
        ('{"type": "t", "payload": NaN}', "NaN"),
        ('{"type": "t", "payload": Infinity}', "Infinity"),
        ('{"type": "t", "payload": 1e999}', "payload"),
        ('{"type": "t", "payload": {"n": [9223372036854775808]}}', "payload.n[0]"),
        ('{"payload": ' + "9" * 5000 + "}", "JSON"),
        ('{"type": "t", "payload": "a\\u0000b"}', "payload"),
        ('{"type": "t", "payload": {"\\ud800": 1}}', "payload"),
        ('{"type": "t", "payload": ["\\udfff"]}', "payload[0]"),
        ('{"type": "a\\u0000"}', "type"),
        ('{"type": "\\ud800"}', "type"),
        ('{"type": 5}', "type"),
        ('{"type": ""}', "type"),
        ('{"payload": 1}', "type"),
        ("{}", "type"),
        ('{"type": "' + "x" * 256 + '"}', "type"),
        ('{"\\ud800": 1}', "is no field"),
        ('{"unheard": 1}', "unheard"),
        ('{"type": "t", "expected_seq": "0"}', "expected_seq"),
        ('{"type": "t", "expected_seq": -1}', "expected_seq"),
        ('{"type": "t", "expected_seq": true}', "expected_seq"),
        ('{"payload": 1', "JSON"),
        ("[1]", ""),
        ("null", ""),
        ('{"payload": "' + "\\" * 3, "JSON"),
    ]:
        with case(text):
            response = ada.ask("POST", "sessions/s/events", raw=text.encode())
            assert response.status_code == 400, response.content
            assert field in response.json()["detail"]
    assert site.last_seq("s") == 0


def test_other_encodings_and_types_are_refused(ada: Api) -> None:
    assert ada.ask("POST", "sessions", raw='{"title": "é"}'.encode("latin-1")).status_code == 400
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"):
        response = ada.client.generic("POST", "/api/sessions", b"title=x", content_type=kind)
        assert (response.status_code, response["Content-Type"]) == (415, "application/problem+json")
    for content in (gzip.compress(b'{"title": "x"}'), b'{"title": "x"}'):
        response = ada.ask("POST", "sessions", raw=content, Content_Encoding="gzip")
        assert (response.status_code, "not as gzip" in response.json()["detail"]) == (415, True)
    response = ada.client.get("/api/sessions", headers={"Accept": "application/xml"})
    assert response.status_code == 406


class Chunking(AsyncClient):
    """Says no length of its bodies: over HTTP/1.1 in chunks, over HTTP/2 without a word."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        super().__init__()
        self.saying = headers

    async def request(self, **request: Any) -> Any:
        kept = [header for header in request["headers"] if header[0] != b"content-length"]
        return await super().request(**request | {"headers": [*kept, *self.saying]})


@once
@pytest.mark.parametrize("headers", [[(b"transfer-encoding", b"chunked")], []], ids=["HTTP/1.1", "HTTP/2"])
def test_a_body_without_its_length_is_not_taken_for_none(
    headers: list[tuple[bytes, bytes]], ada: Api, site: Storage
) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    client = Chunking(*headers)
    client.cookies = ada.client.cookies
    for body in (b'{"type": "t", "payload": 1}', b"x" * 100_000):
        response = async_to_sync(client.post)("/api/sessions/s/events", body, content_type="application/json")
        assert response.status_code == 411
        assert response.json()["type"] == "urn:chronos-storage:problem:length-required"
    assert ada.ask("POST", "sessions/s/events", Transfer_Encoding="chunked").status_code == 411  # under WSGI
    assert site.last_seq("s") == 0


@once
def test_a_creation_needs_a_body(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    for method, path in (
        ("POST", "sessions"),
        ("POST", f"sessions/{session}/events"),
        ("POST", f"sessions/{session}/checkpoints"),
        ("POST", f"sessions/{session}/fork"),
        ("PATCH", f"sessions/{session}"),
        ("PATCH", f"sessions/{session}/metadata"),
        ("POST", "memory"),
    ):
        response = ada.ask(method, path)
        assert (response.status_code, "body is needed" in response.json()["detail"]) == (400, True), path
    assert len(ada.get("sessions")["results"]) == 1


def test_a_body_has_a_largest_size(ada: Api, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {"API": {"MAX_BODY": 100}}
    ada.post("sessions", {"title": "x" * 80})
    problem = ada.post("sessions", {"title": "x" * 100}, 413)
    assert problem["type"] == "urn:chronos-storage:problem:body-too-large"


def test_a_body_has_a_deepest_nesting(ada: Api) -> None:
    session = ada.post("sessions", {})["id"]
    deepest = "[" * 100 + "]" * 100
    stored = ada.ask("POST", f"sessions/{session}/events", raw=f'{{"type": "t", "payload": {deepest}}}'.encode())
    assert stored.status_code == 201
    for depth in (101, 110, 100_000, 3_000_000):
        for brackets in ("[" * depth + "]" * depth, '{"a":' * min(depth, 500_000)):
            body = f'{{"type": "t", "payload": {brackets}}}'.encode()
            response = ada.ask("POST", f"sessions/{session}/events", raw=body)
            assert response.status_code == 400
    # brackets in strings are no nesting, and quotes that never end take no longer to look through
    assert ada.ask("POST", "sessions", raw=json.dumps({"title": '["' * 1000}).encode()).status_code == 201
    assert ada.ask("POST", "sessions", raw=b'[[{"' * 30 + b'\\"' * 2_000_000).status_code == 400


def test_times_have_a_zone(ada: Api) -> None:
    assert ada.post("memory", {"key": "k", "expires_at": "2999-01-01T00:00:00+02:00"})["expires_at"] == (
        "2998-12-31T22:00:00.000000Z"
    )
    for wrong in ("2999-01-01T00:00:00", "2999-01-01", "tomorrow", 5, "0001-01-01T00:00:00Z", ""):
        ada.post("memory", {"key": "k", "expires_at": wrong}, 400)


def test_a_text_of_any_length_within_the_limit(ada: Api) -> None:
    title = "x" * codec.MAX_TEXT
    assert ada.post("sessions", {"title": title})["title"] == title
    ada.post("sessions", {"title": title + "x"}, 400)


def test_an_expired_cursor_is_gone(staff: Api, site: Storage) -> None:
    from datetime import timedelta

    from chronos_storage import queue

    for number in range(3):
        staff.post("topics/news/entries", {"event": number})
    assert [each["event"] for each in staff.get("topics/news/entries?limit=2")["results"]] == [0, 1]
    cursor = staff.get("topics/news/entries")["results"][1]["cursor"]
    assert staff.ask("PUT", "topics/news/consumers/x", {"cursor": cursor}).json() == {"cursor": cursor, "unread": 1}
    assert staff.get("topics/news/consumers/y") == {"cursor": None, "unread": 3}
    assert [each["event"] for each in staff.get(f"topics/news/entries?after={cursor}")["results"]] == [2]
    queue.cleanup(older_than=timedelta(0))
    problem = staff.get(f"topics/news/entries?after={cursor_of(0)}", 410)
    assert problem["type"] == "urn:chronos-storage:problem:cursor-expired"
    for wrong in ("after=wrong", f"after={cursor_of(99)}", "limit=0", "limit=1001", "limit=0000000009999", "limit=x"):
        staff.get(f"topics/news/entries?{wrong}", 400)


def test_how_often_one_may_ask_can_be_limited(ada: Api, settings: Any) -> None:
    cache.clear()
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chronos_write": "2/day"}}
    for _ in range(2):
        ada.post("sessions", {})
    response = ada.ask("POST", "sessions", {})
    assert response.status_code == 429
    assert int(response["Retry-After"]) == response.json()["retry_after"] > 0
    ada.get("sessions")
    cache.clear()


@once
def test_a_rate_is_of_any_stretch_of_its_duration(ada: Api, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.clear()
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chronos_read": "4/min"}}
    for second, allowed, wait in ((0, 2, None), (30, 2, 31), (60, 0, 1), (61, 2, 30), (90, 0, 1), (91, 2, 31)):
        monkeypatch.setattr(Throttle, "timer", lambda self, now=6000.0 + second: now)
        for _ in range(allowed):
            ada.get("sessions")
        if wait:
            assert ada.ask("GET", "sessions")["Retry-After"] == str(wait)
    cache.clear()


@once
def test_a_batch_counts_as_its_items(ada: Api, settings: Any) -> None:
    cache.clear()
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chronos_write": "7/day"}}
    session = ada.post("sessions", {})["id"]
    ada.post(f"sessions/{session}/events/batch", {"events": [{"type": "t"}] * 4})
    ada.post(f"sessions/{session}/events/batch", {"events": []})
    ada.post(f"sessions/{session}/events", {"type": "t"})
    ada.post(f"sessions/{session}/events", {"type": "t"}, 429)
    cache.clear()
    # one that is larger than the rate uses it up
    ada.post(f"sessions/{session}/messages/batch", {"messages": [{"role": "user"}] * 20})
    ada.post(f"sessions/{session}/messages", {"role": "user"}, 429)
    cache.clear()


@once
def test_what_a_batch_s_record_can_not_hold_is_said_with_its_place(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    user, event = {"role": "user"}, {"type": "t"}
    for kind, items, field in (
        ("messages", [user, user, {**user, "metadata": {"a": 1e300}}], "messages[2].metadata.a"),
        ("events", [event, {**event, "payload": "\x00"}], "events[1].payload"),
    ):
        [error] = ada.post(f"sessions/s/{kind}/batch", {kind: items}, 400)["errors"]
        assert error["field"] == field
        assert ada.get(f"sessions/s/{kind}")["results"] == []


@once
def test_an_error_names_its_place_whatever_the_project_calls_the_whole(ada: Api, site: Storage, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NON_FIELD_ERRORS_KEY": "whole"}
    site.create_session(Session(id="s", user_id=ada.user_id))
    for body, place in (({"events": {}}, "events"), ({"events": ["x"]}, "events[0]"), ([], "")):
        [error] = ada.post("sessions/s/events/batch", body, 400)["errors"]
        assert error["field"] == place


@once
def test_a_batch_has_a_largest_size_and_its_errors_are_not_all_listed(ada: Api, site: Storage) -> None:
    session = ada.post("sessions", {})["id"]
    for kind, item in (("events", {"type": "t"}), ("messages", {"role": "user"})):
        path = f"sessions/{session}/{kind}/batch"
        problem = ada.post(path, {kind: [item] * 1001}, 400)
        assert [error["field"] for error in problem["errors"]] == [kind]
        problem = ada.post(path, {kind: [{"unheard": 1}] * 1000}, 400)
        assert [error["field"] for error in problem["errors"]] == [f"{kind}[{place}].unheard" for place in range(20)]
        assert ada.get(f"sessions/{session}/{kind}")["results"] == []
        assert len(ada.post(path, {kind: [item] * 1000})[kind]) == 1000
    assert len(ada.post("sessions", {f"x{number}": 1 for number in range(100_000)}, 400)["errors"]) == 20


@once
def test_what_the_query_says_is_known_or_refused(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    for path in (
        "?x=1",
        "sessions?page=2",
        "sessions/s?cursor=x",
        "sessions/s/events?after=3",
        "sessions/s/events/stream?after_seq=3",
        "sessions/s/checkpoints/latest?page_size=3",
        "sessions/s/traces/tree?order=desc",
        "topics/session:s/entries?page_size=3",
        "schema?pretty=1",
        "schema?version=%00",
    ):
        [error] = ada.get(path, 400)["errors"]
        assert error["field"] in path, path
        assert "is no parameter here; there are" in error["detail"]
    for path in ("sessions/s/messages?role=user&role=tool", "sessions?order=-created_at&order=-created_at"):
        [error] = ada.get(path, 400)["errors"]
        assert (error["field"] in path, error["detail"]) == (True, "is given more than once")
    for path in ("sessions/s/traces?failed=maybe", "sessions?include_deleted=1"):
        [error] = ada.get(path, 400)["errors"]
        assert (error["field"] in path, error["detail"]) == (True, "must be true or false")
    ada.get("sessions?format=json&metadata.a=1&metadata.a=2&include_deleted=")


@once
def test_nothing_below_the_api_is_answered_as_a_page(ada: Api) -> None:
    for path in ("nope", "sessions/s/nope", "no/such/thing"):
        response = ada.ask("GET", path)
        assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


@once
def test_the_head_of_an_export_is_not_worked_out(ada: Api, site: Storage) -> None:
    site.create_session(Session(id="s", user_id=ada.user_id))
    with CaptureQueriesContext(connections[site.alias]) as queries:
        response = ada.ask("HEAD", "sessions/s/export")
    assert (response.status_code, response.content) == (200, b"")
    assert not [query for query in queries if "chronos_storage_message" in query["sql"]]
    assert ada.ask("HEAD", "sessions/none/export").status_code == 404


def test_a_busy_database_says_when_to_try_again(ada: Api, site: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    from chronos_storage.exceptions import RetryTransaction

    def busy(*args: Any, **kwargs: Any) -> None:
        raise RetryTransaction

    monkeypatch.setattr(Storage, "create_session", busy)
    response = ada.ask("POST", "sessions", {})
    assert (response.status_code, response["Retry-After"]) == (503, "1")
    [route] = (route for route in ROUTES if route.name == "POST sessions")
    check_declared(route, response)


def test_nothing_of_a_request_is_logged(ada: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    session = ada.post("sessions", {"title": "confidential"}, Idempotency_Key="confidential")["id"]
    ada.post("sessions", {"title": {"confidential": 1}}, 400)
    ada.ask("POST", "sessions", raw=b'{"title": "confidential')
    ada.post(f"sessions/{session}/events", {"type": "t", "payload": {"confidential": 2**70}}, 400)
    ada.post(f"sessions/{session}/events", {"type": "t", "payload": "confidential", "expected_seq": 5}, 409)
    Api(Client()).get("sessions", 401, Authorization="Token confidential")
    said = [record.getMessage() for record in caplog.records if record.name != "django.db.backends"]
    assert said
    assert "confidential" not in "\n".join(said)
    assert SessionModel.objects.filter(title="confidential").exists()
