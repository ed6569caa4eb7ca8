"""Live streams, under ASGI and in this process: where they begin, what they look like, and when they end."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connections
from django.test import AsyncClient, RequestFactory
from rest_framework.authtoken.models import Token

from chronos_storage import queue
from chronos_storage.api import streaming
from chronos_storage.api.event_streams import EventStreamView, Positions, SessionsStreamView
from chronos_storage.exceptions import CursorExpired
from chronos_storage.facade import Storage
from chronos_storage.models import Session as SessionModel
from chronos_storage.queues import following, readers, subscriptions
from chronos_storage.records import Event, Session
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api, signed_in
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, alias_of

T = TypeVar("T")

SECONDS = 60.0
EVENTS, TOPIC = "sessions/s/events/stream", "topics/session:s/stream"

alias = alias_of(SQLITE_AND_POSTGRES)
once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)


class Stream:
    """A response under way."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.parts: AsyncGenerator[bytes, None] = aiter(response)
        self._begun = b""

    async def part(self) -> bytes:
        """What is sent next."""
        return await asyncio.wait_for(anext(self.parts), SECONDS)

    async def messages(self, count: int) -> list[dict[str, str]]:
        """The fields of the next so many messages."""
        found: list[dict[str, str]] = []
        while len(found) < count:
            *whole, self._begun = (self._begun + await self.part()).split(b"\n\n")  # a part may end within a message
            found += [fields(block.decode()) for block in whole if b"\ndata: " in block]
        assert len(found) == count
        return found

    async def ids(self, count: int) -> list[str]:
        return [each["id"] for each in await self.messages(count)]

    async def end(self) -> list[bytes]:
        """What is sent until the stream ends by itself."""
        async with asyncio.timeout(SECONDS):
            return [part async for part in self.parts]


def fields(block: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in block.split("\n"))


async def reading(api: Api, path: str, use: Callable[[Stream], Awaitable[T]], **headers: str) -> T:
    """Ask for a stream, and let `use` read it; returns what that returns."""
    stream = Stream(await ask(api, path, **headers))
    assert stream.response.status_code == 200
    try:
        return await use(stream)
    finally:
        await stream.parts.aclose()
        await sync_to_async(stream.response.close)()


def follow(api: Api, path: str, use: Callable[[Stream], Awaitable[T]], **headers: str) -> T:
    """The same, for tests of one stream."""
    return async_to_sync(reading)(api, path, use, **headers)


async def ask(api: Api, path: str, **headers: str) -> Any:
    client = AsyncClient()
    client.cookies = api.client.cookies
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.get(f"/api/{path}", headers={"Accept": "text/event-stream", **named})


def refused(api: Api, path: str, status: int, **headers: str) -> Any:
    """The problem that is answered."""
    response = async_to_sync(ask)(api, path, **headers)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    return json.loads(response.content)


def append(storage: Storage, *types: str, **more: Any) -> None:
    storage.append_events(Event(session_id="s", type=each, **more) for each in types)


@pytest.fixture
def published(alias: str) -> bool:
    """Whether the ledger's events are published on the queue, whose notifier then tells of them; else it is polled."""
    return alias == "postgres"


@pytest.fixture
def session(site: Storage, ada: Api, settings: Any, published: bool, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """Ada's session with three events, whose streams wait for next to nothing."""
    configured = getattr(settings, "CHRONOS_STORAGE", {})
    settings.CHRONOS_STORAGE = {**configured, "API": {"HEARTBEAT": 0.1}, "QUEUE": {"PUBLISH_EVENTS": published}}
    monkeypatch.setattr(following.poller(site.backend.using), "interval", 0.05)
    monkeypatch.setattr(readers, "_LINGER", 0.05)
    monkeypatch.setattr(following.READERS, "_linger", 0.05)
    for module in (streaming, subscriptions):
        monkeypatch.setattr(module, "DELAY", 0.05)
    site.create_session(Session(id="s", user_id=ada.user_id))
    append(site, "a", "b", "c")
    return site


@pytest.fixture
def committed(transactional_db: None, session: Storage) -> Iterator[Storage]:
    """The same, really committing, for the threads that read."""
    yield session
    following.READERS.close()
    following.poller(session.backend.using).close()
    queue.close()


# Where it begins


@once
def test_a_stream_of_some_types(committed: Storage, ada: Api) -> None:
    async def use(stream: Stream) -> list[str]:
        found = await stream.ids(2)
        for _ in range(30):
            await sync_to_async(append)(committed, *"a" * 10)
        await sync_to_async(append)(committed, "a,b", "b", "a")
        return found + await stream.ids(2)

    assert follow(ada, f"{EVENTS}?after=0&types=b,c,~YSxi", use) == ["2", "3", "304", "305"]
    assert follow(ada, f"{EVENTS}?types=b", lambda stream: stream.ids(1), Last_Event_ID="2") == ["305"]
    for wrong in ("", "a,,b", "%20"):
        assert refused(ada, f"{EVENTS}?types={wrong}", 400)["errors"][0]["field"] == "types"


@pytest.fixture
def view(ada: Api) -> EventStreamView:
    """Of the session, for Ada."""
    request = RequestFactory().get("/")
    assert ada.user is not None
    request.user = ada.user
    view = EventStreamView(kwargs={"session_id": "s"})
    view.request = view.initialize_request(request)
    return view


@once
def test_large_events_behind_many_small_ones_are_not_read_at_once(session: Storage, view: EventStreamView) -> None:
    append(session, *["large"] * 20, payload="x" * 20_000)
    events, more = view.events("s", 0, 100)
    assert (3 < len(events) < 10, more) == (True, True)
    messages, after, following = view.page(0, 100)
    assert (len(messages), after) == (len(events), len(events))
    assert following


@once
def test_events_of_other_types_are_passed_over_once(committed: Storage, view: EventStreamView) -> None:
    view.types = ["b", "z"]
    assert view.page(0, 10)[1:] == (3, 0)
    append(committed, *"aaa")
    assert view.page(3, 10) == ([], 6, 0)
    append(committed, *"zzz")
    messages, after, following = view.page(6, 2)
    assert (len(messages), after, following) == (2, 8, 4)


@pytest.mark.parametrize("published", [False, True], ids=["polled", "published"])
def test_a_session_begins_with_what_comes(committed: Storage, ada: Api) -> None:
    async def use(stream: Stream) -> dict[str, str]:
        assert await stream.part() == b"retry: 1000\nid: 3\n\n"
        await sync_to_async(append)(committed, "d", payload={"n": 1.50, "text": "ä\n\r"})
        [message] = await stream.messages(1)
        return message

    message = follow(ada, EVENTS, use)
    assert (message["id"], message["event"]) == ("4", "d")
    assert [json.loads(message["data"])] == ada.get("sessions/s/events?order=desc&page_size=1")["results"]


def test_a_session_begins_behind_a_number(committed: Storage, ada: Api) -> None:
    def use(missed: int) -> Callable[[Stream], Awaitable[list[str]]]:
        async def read(stream: Stream) -> list[str]:
            ids = await stream.ids(missed)
            await sync_to_async(append)(committed, "d")
            return ids + await stream.ids(1)

        return read

    # each appends one more
    assert follow(ada, f"{EVENTS}?after=0", use(3)) == ["1", "2", "3", "4"]
    assert follow(ada, f"{EVENTS}?after=2", use(2)) == ["3", "4", "5"]
    assert follow(ada, EVENTS, use(4), last_event_id="1") == ["2", "3", "4", "5", "6"]
    assert follow(ada, f"{EVENTS}?after=0", use(3), last_event_id="3") == ["4", "5", "6", "7"]


def test_a_topic_begins_with_what_comes_or_behind_a_cursor(committed: Storage, ada: Api) -> None:
    def publish() -> str:
        return queue.publish("session:s", {"n": 1.50, "text": "ä\n\r"})

    first, second = publish(), publish()

    async def live_only(stream: Stream) -> dict[str, str]:
        assert await stream.part() == f"retry: 1000\nid: {second}\n\n".encode()
        third = await sync_to_async(publish)()
        [message] = await stream.messages(1)
        assert message["id"] == third
        return message

    message = follow(ada, TOPIC, live_only)
    assert "event" not in message
    assert json.loads(message["data"]) == ada.get(f"topics/session:s/entries?after={second}")["results"][0]

    for query, headers, count in (
        (f"?after={first}", {}, 2),
        ("?after=0", {"last_event_id": second}, 1),
        ("", {"last_event_id": first}, 2),
    ):
        ids = follow(ada, TOPIC + query, partial(Stream.ids, count=count), **headers)
        assert ids[-1] == message["id"]
    everything = [entry["cursor"] for entry in ada.get("topics/session:s/entries")["results"]]
    assert follow(ada, f"{TOPIC}?after=0", partial(Stream.ids, count=len(everything))) == everything


def test_what_was_purged_or_removed_is_not_passed_over(committed: Storage, ada: Api) -> None:
    append(committed, "d", "e")
    with committed.purge_permit(reason="old") as permit:
        permit.purge_events("s", through_seq=3)
    assert follow(ada, f"{EVENTS}?after=0", partial(Stream.ids, count=2)) == ["4", "5"]
    assert follow(ada, f"{EVENTS}?after=3", partial(Stream.ids, count=2)) == ["4", "5"]
    assert refused(ada, f"{EVENTS}?after=2", 410)["type"].endswith(":cursor-expired")
    assert refused(ada, EVENTS, 410, last_event_id="1")["type"].endswith(":cursor-expired")


@once
def test_a_session_that_was_made_again_is_no_continuation(session: Storage, view: EventStreamView, ada: Api) -> None:
    several = SessionsStreamView()
    vars(several).update(vars(view))
    several.named, several.turns = {"s": Positions.name("s")}, deque(["s"])
    session.delete_session("s", hard=True)
    session.create_session(Session(id="s", user_id=ada.user_id))
    append(session, "again")
    with pytest.raises(CursorExpired, match="made again"):
        view.page(3, 10)
    with pytest.raises(CursorExpired, match="made again"):
        several.page(Positions({Positions.name("s"): 3}), 10)


def test_a_topics_removed_entries_are_not_passed_over(session: Storage, ada: Api) -> None:
    first = queue.publish("session:s", 1)
    queue.publish("session:s", 2)
    queue.cleanup(older_than=timedelta(0))
    assert refused(ada, f"{TOPIC}?after={first}", 410)["type"].endswith(":cursor-expired")


# What is refused, before the first byte


@once
def test_what_is_no_number_of_the_session(session: Storage, ada: Api) -> None:
    for position in ("", "x", "-1", "4", "1.0", "٣", "9" * 30):
        with case(position):
            [error] = refused(ada, f"{EVENTS}?after={position}", 400)["errors"]
            assert error["field"] == "after"
            if position.isascii() and position:
                [error] = refused(ada, f"{EVENTS}?after=0", 400, last_event_id=position)["errors"]
                assert error["field"] == "Last-Event-ID"


@once
def test_what_is_no_cursor_of_the_topic(session: Storage, ada: Api) -> None:
    queue.publish("session:s", 1)
    for position in ("x", "1", "000000000000000A", "0000000000000009", "f" * 16):
        with case(position):
            [error] = refused(ada, f"{TOPIC}?after={position}", 400)["errors"]
            assert error["field"] == "after"
            [error] = refused(ada, TOPIC, 400, last_event_id=position)["errors"]
            assert error["field"] == "Last-Event-ID"


def test_who_may_follow_what(
    session: Storage, anonymous: Api, ada: Api, bob: Api, novice: Api, staff: Api, subtests: Any
) -> None:
    queue.publish("news", 1)
    for path, *expected in (
        (EVENTS, 401, 200, 404, 403, 200),
        (TOPIC, 401, 200, 404, 403, 200),
        ("topics/news/stream", 401, 403, 403, 403, 200),
        ("sessions/none/events/stream", 401, 404, 404, 403, 404),
    ):
        for api, status in zip((anonymous, ada, bob, novice, staff), expected, strict=True):
            with subtests.test(path, user=str(api.user)):
                if status != 200:
                    refused(api, path, status)
                else:
                    assert async_to_sync(ask)(api, path).status_code == 200


@once
def test_a_token_is_as_good_as_a_login(session: Storage, ada: Api, anonymous: Api) -> None:
    assert ada.user
    token = Token.objects.create(user=ada.user)
    response = async_to_sync(ask)(anonymous, EVENTS, authorization=f"Token {token.key}")
    assert response.status_code == 200
    refused(anonymous, EVENTS, 401, authorization="Token none")


@once
def test_without_asgi_the_answer_says_so(session: Storage, ada: Api) -> None:
    for path in (EVENTS, TOPIC):
        problem = ada.get(path, 501)
        assert problem["type"].endswith(":not-supported")
        assert "ASGI" in problem["detail"]


@once
def test_streams_have_a_throttle_of_their_own(session: Storage, ada: Api, settings: Any) -> None:
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES": {"chronos_stream": "1/hour"}}
    cache.clear()
    assert async_to_sync(ask)(ada, EVENTS).status_code == 200
    refused(ada, EVENTS, 429)
    ada.get("sessions/s/events")


# What it looks like


def test_a_type_is_the_name_only_where_it_can_be_one(committed: Storage, ada: Api) -> None:
    types = [
        "node_executed",
        "a.b:c-1",
        "",
        "two words",
        "x\ndata: y",
        "x\r\n\r\nid: 9",
        "é",
        "open",
        "error",
        "message",
    ]
    append(committed, *types)
    messages = follow(ada, f"{EVENTS}?after=3", partial(Stream.messages, count=len(types)))
    assert [message.get("event") for message in messages] == types[:2] + [None] * (len(types) - 2)
    assert [json.loads(message["data"])["type"] for message in messages] == types
    assert [message["id"] for message in messages] == [str(number) for number in range(4, 4 + len(types))]


@once
def test_nobody_on_the_way_collects_it(session: Storage, ada: Api, settings: Any) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    response = async_to_sync(ask)(ada, EVENTS, accept_encoding="gzip")
    assert response["Content-Type"] == "text/event-stream"
    assert "no-cache" in response["Cache-Control"]
    assert response["X-Accel-Buffering"] == "no"
    assert response["Content-Encoding"] == "identity"


def test_a_stream_without_news_gives_signs_of_life(committed: Storage, ada: Api) -> None:
    async def use(stream: Stream) -> list[bytes]:
        return [await stream.part() for _ in range(3)][1:]

    async def both() -> list[list[bytes]]:
        return await asyncio.gather(*(reading(ada, path, use) for path in (EVENTS, TOPIC)))

    assert async_to_sync(both)() == [[b":\n\n", b":\n\n"]] * 2


# When it ends


def take(api: Api, session_id: str) -> None:
    SessionModel.objects.filter(pk=session_id).update(user_id="someone else")


def log_out(api: Api, session_id: str) -> None:
    api.client.logout()


def deactivate(api: Api, session_id: str) -> None:
    User.objects.filter(pk=api.user_id).update(is_active=False)


def delete(api: Api, session_id: str) -> None:
    api.delete(f"sessions/{session_id}")


def test_who_may_not_read_any_more_reads_no_more(committed: Storage) -> None:
    async def reads_no_more(lose: Callable[[Api, str], None], stream_of: str, id: str) -> None:
        with case(lose.__name__, stream_of):
            reader = await sync_to_async(signed_in)(id)
            await sync_to_async(committed.create_session)(Session(id=id, user_id=reader.user_id))

            async def use(stream: Stream) -> list[bytes]:
                await stream.part()
                await sync_to_async(lose)(reader, id)
                return await stream.end()

            assert set(await reading(reader, stream_of.format(id), use)) <= {b":\n\n"}

    async def all_at_once() -> None:
        await asyncio.gather(
            *(
                reads_no_more(lose, stream_of, f"{lose.__name__}-{number}")
                for lose in (take, log_out, deactivate, delete)
                for number, stream_of in enumerate(("sessions/{}/events/stream", "topics/session:{}/stream"))
            )
        )

    async_to_sync(all_at_once)()


def revoke(api: Api, session_id: str) -> None:
    Token.objects.all().delete()


@once
@pytest.mark.parametrize("lose", [revoke, deactivate])
def test_who_signed_in_by_a_token_signs_in_again_and_again(
    lose: Callable[[Api, str], None], committed: Storage, ada: Api, anonymous: Api
) -> None:
    """DRF notes whom a token signs in where session authentication, asked first, finds them the next time."""
    assert ada.user
    token = Token.objects.create(user=ada.user)

    async def use(stream: Stream) -> list[bytes]:
        await stream.part()
        assert await stream.part() == b":\n\n"
        await sync_to_async(lose)(ada, "s")
        return await stream.end()

    assert set(follow(anonymous, EVENTS, use, authorization=f"Token {token.key}")) <= {b":\n\n"}


def test_staff_who_lose_the_permission_read_no_more(committed: Storage, staff: Api) -> None:
    async def use(stream: Stream) -> list[bytes]:
        await stream.part()
        await sync_to_async(staff.user.user_permissions.clear)()
        return await stream.end()

    assert set(follow(staff, EVENTS, use)) <= {b":\n\n"}


def waiting() -> set[str]:
    """What goes on in threads for those who wait."""
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("chronos-queue-")}


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("path", [EVENTS, TOPIC])
@pytest.mark.parametrize("waits", [False, True])
def test_nothing_is_left_when_the_reader_goes(waits: bool, path: str, committed: Storage, ada: Api) -> None:
    """While it is being written to, or while it waits."""

    async def run() -> None:
        await sync_to_async(queue.publish)("session:s", 1)
        stream = Stream(await ask(ada, f"{path}?after=0"))
        await stream.part()
        await stream.part()
        if waits:
            going_on = asyncio.ensure_future(stream.end())
            await asyncio.sleep(0.1)
            going_on.cancel()
            with pytest.raises(asyncio.CancelledError):
                await going_on
        # what Django's handler does when the reader is gone
        await stream.parts.aclose()
        await sync_to_async(stream.response.close)()

    async_to_sync(run)()
    eventually(lambda: not waiting())


def test_a_slow_reader_holds_neither_much_nor_a_connection(committed: Storage, ada: Api) -> None:
    large = "x" * 50_000
    append(committed, *["large"] * 100, payload=large)

    async def use(stream: Stream) -> None:
        await stream.part()
        part = await stream.part()
        # as much as fills a chunk, and what the last one of it is larger
        assert len(part) < 64 * 1024 + len(large) + 1000
        await sync_to_async(eventually)(lambda: "chronos-queue-reader" not in waiting())
        seen = part.count(b"\ndata: ")
        while seen < 100:
            seen += (await stream.part()).count(b"\ndata: ")

    follow(ada, f"{EVENTS}?after=3", use)


@pytest.mark.parametrize(("path", "table"), [(EVENTS, "chronos_storage_head"), (TOPIC, "chronos_storage_queueentry")])
def test_a_database_that_fails_for_a_while_ends_no_stream(
    path: str, table: str, committed: Storage, ada: Api, caplog: Any
) -> None:
    def rename(old: str, new: str) -> None:
        with connections[committed.alias].cursor() as cursor:
            cursor.execute(f"ALTER TABLE {old} RENAME TO {new}")

    async def use(stream: Stream) -> list[str]:
        await stream.part()
        await sync_to_async(rename)(table, "away")
        try:
            while "trying again" not in caplog.text:
                await stream.part()
        finally:
            await sync_to_async(rename)("away", table)
        await sync_to_async(append)(committed, "d")
        await sync_to_async(queue.publish)("session:s", 1)
        return await stream.ids(1)

    assert follow(ada, path, use)
