"""One stream over several sessions: where it goes on in each of them, whose turn it is, and when it ends."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async

from chronos_storage.api.event_streams import Positions
from chronos_storage.api.ids import MAX_NAMES
from chronos_storage.facade import Storage
from chronos_storage.records import Event, Session
from chronos_storage.testing.conformance.helpers import case
from tests.api.conftest import Api
from tests.api.test_streams import Stream, ask, follow, refused, take
from tests.api.test_streams import committed as committed
from tests.api.test_streams import published as published
from tests.api.test_streams import session as session
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES, alias_of

alias = alias_of(SQLITE_AND_POSTGRES)
once = pytest.mark.parametrize("alias", ONLY_SQLITE, indirect=True)

BOTH = "sessions/stream?ids=s,t"


@pytest.fixture
def two(committed: Storage, ada: Api) -> Storage:
    """Ada's sessions "s" with three events and "t" with two."""
    committed.create_session(Session(id="t", user_id=ada.user_id))
    append(committed, "t", "a", "b")
    return committed


def append(storage: Storage, session_id: str, *types: str, **more: Any) -> None:
    storage.append_events(Event(session_id=session_id, type=each, **more) for each in types)


def places(messages: list[dict[str, str]]) -> list[tuple[str, int]]:
    """The session and the number of each message's event."""
    found = [json.loads(message["data"]) for message in messages]
    return [(event["session_id"], event["seq_num"]) for event in found]


def numbers(found: list[tuple[str, int]], session_id: str) -> list[int]:
    return [number for id, number in found if id == session_id]


def test_from_wherever_it_is_cut_nothing_is_missed_or_repeated(two: Storage, ada: Api) -> None:
    async def use(stream: Stream) -> list[dict[str, str]]:
        found = await stream.messages(5)
        for session_id in "tst":
            await sync_to_async(append)(two, session_id, "new")
            found += await stream.messages(1)
        return found

    found = follow(ada, f"{BOTH}&after=0", use)
    everything = places(found)
    assert numbers(everything, "s") == numbers(everything, "t") == [1, 2, 3, 4]
    assert everything[5:] == [("t", 3), ("s", 4), ("t", 4)]
    for read, message in enumerate(found[:-1], 1):
        path = "sessions/stream?ids=t,s&after=0" if read % 2 else f"{BOTH}&after={message['id']}"
        headers = {"Last_Event_ID": message["id"]} if read % 2 else {}
        rest = follow(ada, path, partial(Stream.messages, count=len(found) - read), **headers)
        for session_id in "st":
            assert numbers(places(rest), session_id) == numbers(everything[read:], session_id)


def test_it_begins_with_what_comes(two: Storage, ada: Api) -> None:
    async def use(stream: Stream) -> tuple[str, list[dict[str, str]]]:
        begun = (await stream.part()).decode()
        await sync_to_async(append)(two, "t", "new")
        return begun, await stream.messages(1)

    begun, found = follow(ada, BOTH, use)
    assert places(found) == [("t", 3)]
    # who is cut off before the first message comes back with this
    last = begun.removeprefix("retry: 1000\nid: ").strip()
    assert places(follow(ada, BOTH, lambda stream: stream.messages(1), Last_Event_ID=last)) == [("t", 3)]


@once
def test_only_events_of_some_types(two: Storage, ada: Api) -> None:
    async def use(stream: Stream) -> list[dict[str, str]]:
        found = await stream.messages(3)
        await sync_to_async(append)(two, "s", *"a" * 150)
        await sync_to_async(append)(two, "t", "b", "c")
        return found + await stream.messages(2)

    found = follow(ada, f"{BOTH}&after=0&types=b,c", use)
    assert places(found) == [("s", 2), ("s", 3), ("t", 2), ("t", 3), ("t", 4)]


@once
def test_one_session_with_much_to_read_leaves_the_others_their_turns(two: Storage, ada: Api) -> None:
    append(two, "s", *["large"] * 60, payload="x" * 10_000)
    found = places(follow(ada, f"{BOTH}&after=0", lambda stream: stream.messages(65)))
    assert numbers(found, "s") == list(range(1, 64))
    assert found.index(("t", 1)) < 20


@once
def test_what_is_refused(two: Storage, ada: Api, bob: Api) -> None:
    for ids in ("", "?ids=", "?ids=s,,t", f"?ids={','.join(map(str, range(MAX_NAMES + 1)))}"):
        with case(ids):
            [error] = refused(ada, f"sessions/stream{ids}", 400)["errors"]
            assert error["field"] == "ids"
    assert "100" in error["detail"]
    assert "'u'" in refused(ada, "sessions/stream?ids=s,u,t", 404)["detail"]
    refused(bob, BOTH, 404)
    for position in ("", "x", "1", "00000000", "0.0"):
        with case(position):
            assert refused(ada, f"{BOTH}&after={position}", 400)["errors"][0]["field"] == "after"
    beyond = str(Positions({Positions.name("s"): 4, Positions.name("t"): 2}))
    [error] = refused(ada, BOTH, 400, Last_Event_ID=beyond)["errors"]
    assert (error["field"], "'s'" in error["detail"]) == ("Last-Event-ID", True)


@once
def test_what_was_purged_is_not_passed_over(two: Storage, ada: Api) -> None:
    found = follow(ada, f"{BOTH}&after=0", lambda stream: stream.messages(5))
    with two.purge_permit(reason="old") as permit:
        permit.purge_events(places(found)[0][0], through_seq=2)
    problem = refused(ada, BOTH, 410, Last_Event_ID=found[0]["id"])
    assert repr(places(found)[0][0]) in problem["detail"]
    assert len(places(follow(ada, f"{BOTH}&after=0", lambda stream: stream.messages(3)))) == 3


def test_where_a_session_is_taken_away_the_others_go_on_without_it(two: Storage, ada: Api) -> None:
    async def use(stream: Stream) -> str:
        last = (await stream.messages(5))[-1]["id"]
        await sync_to_async(take)(ada, "s")
        assert set(await stream.end()) <= {b":\n\n"}
        return last

    last = follow(ada, f"{BOTH}&after=0", use)
    append(two, "t", "new")
    assert "'s'" in refused(ada, BOTH, 404, Last_Event_ID=last)["detail"]
    found = follow(ada, "sessions/stream?ids=t", lambda stream: stream.messages(1), Last_Event_ID=last)
    assert places(found) == [("t", 3)]


@once
def test_it_takes_the_place_of_one_stream(two: Storage, ada: Api, settings: Any) -> None:
    settings.CHRONOS_STORAGE = {"API": {"MAX_STREAMS": 1}}
    response = async_to_sync(ask)(ada, BOTH)
    assert response.status_code == 200
    refused(ada, BOTH, 429)
    response.close()
