"""Large rows and slow readers: pages end early, and nobody waits with what others need."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.asgi import get_asgi_application
from django.db import OperationalError, connections
from django.test import AsyncClient, AsyncRequestFactory

from chronos_storage import queue
from chronos_storage.api import turns
from chronos_storage.api.turns import REQUESTS
from chronos_storage.facade import Storage
from chronos_storage.ledger import pages
from chronos_storage.queues import following
from chronos_storage.records import Event, Message, Session, Trace
from chronos_storage.sending import PART, streamed
from tests.api.conftest import Api, signed_in
from tests.conftest import ONLY_SQLITE, STRICTEST

once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

MEGABYTE = "é" * 1_000_000
#: Characters of a page, in the tests of it, and of a row, of which five are more.
PAGE, ROW = 64 * 1024, 15_000


@pytest.fixture
def large(committed_site: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A user with a session that doesn't fit into one page."""
    monkeypatch.setattr(pages, "MAX_PAGE", PAGE)
    text = "é" * ROW
    ada = signed_in("ada")
    committed_site.create_session(Session(id="s", user_id=ada.user_id))
    for number in range(10):
        committed_site.add_message(Message(id=f"m{number}", session_id="s", role="user", content=text))
        committed_site.insert_trace(Trace(id=f"t{number}", session_id="s", input=text))
    yield ada
    following.READERS.close()


def test_a_page_of_large_rows_ends_early_and_says_that_there_are_more(large: Api, committed_site: Storage) -> None:
    for path in ("sessions/s/messages", "sessions/s/messages?order=desc", "sessions/s/traces"):
        found, sizes, address = [], [], path
        while address:
            page = large.get(address)
            sizes.append(len(page["results"]))
            found += [each["id"] for each in page["results"]]
            address = page["next"] and page["next"].partition("/api/")[2]
        assert sizes == [5, 5]
        assert sorted(found) == [f"{found[0][0]}{number}" for number in range(10)]
        back = large.get(page["previous"].partition("/api/")[2])
        assert [each["id"] for each in back["results"]] == found[:5]
    tree = large.get("sessions/s/traces/tree")
    assert len(tree["spans"]) == 5
    assert large.get(f"sessions/s/traces/tree?after={tree['next']}")["next"] is None
    assert large.get("sessions/s/traces/tree?after=none", 400)["errors"][0]["field"] == "after"


@once
def test_a_topic_of_large_entries_is_read_in_parts(site: Storage, staff: Api) -> None:
    for _ in range(8):
        queue.publish("news", MEGABYTE)
    first = staff.get("topics/news/entries")
    assert len(first["results"]) == 5
    rest = staff.get(f"topics/news/entries?after={first['next']}")
    assert (len(rest["results"]), rest["next"]) == (3, None)
    assert len(queue.recover("news")) == 8


@once
def test_an_export_holds_no_connection_while_its_reader_waits(large: Api, committed_site: Storage) -> None:
    response = large.ask("GET", "sessions/s/export")
    next(response.streaming_content)
    assert connections[committed_site.alias].connection is None
    response.close()


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_an_export_goes_on_where_its_connection_is_lost(large: Api, committed_site: Storage, alias: str) -> None:
    client = AsyncClient()
    client.cookies = large.client.cookies

    def cut() -> None:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def export() -> bytes:
        parts = []
        response: Any = await client.get("/api/sessions/s/export")
        async for part in response:
            parts.append(part)
            await sync_to_async(cut)()
        return b"".join(parts)

    found = json.loads(async_to_sync(export)())
    assert [len(found[name]) for name in ("messages", "traces")] == [10, 10]


@once
def test_what_fails_while_it_is_sent_is_broken_off(alias: str) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * PART
        raise OperationalError("the connection is lost")

    size = 0

    async def read() -> None:
        nonlocal size
        async for part in streamed(AsyncRequestFactory().get("/"), pieces()):
            size += len(part)

    with pytest.raises(OperationalError):
        async_to_sync(read)()
    assert size == PART


@once
@pytest.mark.parametrize("atomic", [False, True])
def test_a_large_page_holds_no_connection_while_its_reader_waits(
    atomic: bool, large: Api, committed_site: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections[committed_site.alias].settings_dict, "ATOMIC_REQUESTS", atomic)
    large.ask("GET", "sessions/s/messages")
    assert connections[committed_site.alias].connection is None


@once
def test_what_is_large_takes_turns(large: Api, committed_site: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "LITTLE", PAGE)
    for id, content in (("small", "Hello"), ("one", MEGABYTE)):
        committed_site.create_session(Session(id=id, user_id=large.user_id))
        committed_site.add_message(Message(id="x", session_id=id, role="user", content=content))
    asked: list[tuple[str, str, Any]] = [("GET", "sessions/s/messages", None), ("GET", "sessions/s/traces", None)]
    asked += [("GET", "sessions/one/messages/x", None), ("GET", "sessions/one/messages", None)]
    asked += [("POST", "sessions/small/messages", {"role": "user", "content": MEGABYTE})]
    with ThreadPoolExecutor(1) as pool, REQUESTS.turn():
        for path in ("sessions/small/messages", "sessions/small/messages/x", "sessions/small/traces"):
            large.get(path)
        waiting = pool.submit(lambda: large.ask("GET", "sessions/s/messages").status_code)
        while not REQUESTS.waiting:
            time.sleep(0.01)
        monkeypatch.setattr(turns, "WAITING", 1)
        for method, path, content in asked:
            answer = large.ask(method, path, content)
            assert (answer.status_code, answer.json()["type"]) == (503, "urn:chronos-storage:problem:busy")
            assert int(answer["Retry-After"]) > 0
        monkeypatch.setattr(turns, "PATIENCE", 0.01)
        monkeypatch.setattr(turns, "WAITING", 2)
        assert large.ask("GET", "sessions/s/messages").status_code == 503
        assert REQUESTS.waiting == 1
        assert not waiting.done()
    assert waiting.result() == 200
    for method, path, content in asked:
        assert large.ask(method, path, content).status_code in (200, 201)


@once
def test_exports_at_once_are_limited(large: Api, committed_site: Storage, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {"API": {"MAX_EXPORTS": 2}}
    under_way = [large.ask("GET", "sessions/s/export") for _ in range(2)]
    refused = large.ask("GET", "sessions/s/export")
    assert (refused.status_code, refused.json()["type"]) == (429, "urn:chronos-storage:problem:too-many-at-once")
    assert int(refused["Retry-After"]) > 0
    assert signed_in("bob").ask("GET", "sessions/s/export").status_code == 404
    for response in under_way:
        response.close()
        response.close()
    assert json.loads(large.ask("GET", "sessions/s/export").getvalue())["session"]["id"] == "s"
    large.ask("GET", "sessions/s/export").close()


@once
@pytest.mark.parametrize("path", ["sessions/s/export", "sessions/s/events/stream?after=0", "sessions/s/messages"])
def test_a_reader_who_takes_nothing_is_cut_off(path: str, large: Api, committed_site: Storage, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {"API": {"STALL_TIMEOUT": 0.2, "MAX_EXPORTS": 1, "MAX_STREAMS": 1}}
    committed_site.append_events(Event(session_id="s", payload=MEGABYTE) for _ in range(3))
    address, _, query = path.partition("?")
    key = large.client.cookies["sessionid"].value
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/api/{address}",
        "query_string": query.encode(),
        "headers": [(b"cookie", f"sessionid={key}".encode()), (b"host", b"testserver")],
    }

    async def stall() -> int:
        """How many parts were sent, to a reader who takes only the first."""
        sent: list[Any] = []
        asked = iter([{"type": "http.request"}])

        async def receive() -> Any:
            return next(asked, None) or await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)
            if len(sent) > 2:
                await asyncio.Event().wait()

        async with asyncio.timeout(30):
            with suppress(asyncio.CancelledError):  # which Django 6.1 lets out to the server
                await get_asgi_application()(scope, receive, send)
        return len(sent)

    for _ in range(2):  # the place is given back, too
        assert async_to_sync(stall)() == 3
