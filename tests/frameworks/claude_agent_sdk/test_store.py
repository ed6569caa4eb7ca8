"""The store for the Claude Agent SDK: its own suite, who else reads what is kept, and who writes at the same time."""

from __future__ import annotations

import asyncio
import uuid
from threading import Thread
from typing import Any

import pytest
from claude_agent_sdk import (
    SessionKey,
    get_session_messages_from_store,
    list_sessions_from_store,
    list_subagents_from_store,
    project_key_for_directory,
)
from claude_agent_sdk.testing import run_session_store_conformance

from chronos_storage.exceptions import AlreadyExists
from chronos_storage.facade import Storage
from chronos_storage.integrations.claude_agent_sdk import ChronosSessionStore
from chronos_storage.records import TokenUsage

pytestmark = pytest.mark.anyio

ID = str(uuid.UUID(int=7))
KEY: SessionKey = {"project_key": "-srv-app", "session_id": ID}
SUBAGENT: SessionKey = {**KEY, "subpath": "subagents/agent-1"}


def entry(kind: str, number: int, **fields: Any) -> Any:
    return {
        "type": kind,
        "uuid": str(uuid.UUID(int=number)),
        "parentUuid": str(uuid.UUID(int=number - 1)) if number > 1 else None,
        "sessionId": ID,
        "timestamp": f"2026-01-01T00:00:{number:02}.000Z",
        **fields,
    }


def answer(number: int, block: Any, tokens: int) -> Any:
    usage = {"input_tokens": 5, "output_tokens": tokens, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 0}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [block]}
    return entry("assistant", number, message={**message, "usage": usage})


USE = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {"b": 1.0, "a": "é"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "text"}
ENTRIES: list[Any] = [
    entry("user", 1, message={"role": "user", "content": "Read it."}),
    answer(2, {"type": "text", "text": "I read it."}, 1),
    answer(3, USE, 8),
    entry("user", 4, message={"role": "user", "content": [RESULT]}, toolUseResult={"type": "text"}),
    {"type": "custom-title", "customTitle": "Reading", "sessionId": ID},
    {"type": "custom-title", "customTitle": "Reading", "sessionId": ID},
]


@pytest.fixture
def store(storage_committed: Storage) -> ChronosSessionStore:
    return ChronosSessionStore(storage=storage_committed, user_id="ada")


async def test_the_sdks_own_suite(storage_committed: Storage) -> None:
    """All 14 of its contracts, as no method that it may leave out is missing."""

    async def emptied() -> ChronosSessionStore:
        async for session in storage_committed.ascan("session"):
            await storage_committed.adelete_session(session.id, hard=True)
        return ChronosSessionStore(storage=storage_committed)

    await run_session_store_conformance(emptied)


async def test_entries_come_back_exactly(store: ChronosSessionStore) -> None:
    await store.append(KEY, ENTRIES)
    found = await store.load(KEY)
    assert found == ENTRIES
    assert [list(entry) for entry in found] == [list(entry) for entry in ENTRIES]


async def test_an_entry_that_is_sent_again_stands_once(store: ChronosSessionStore) -> None:
    await store.append(KEY, ENTRIES[:2])
    await store.append(KEY, ENTRIES[:4])
    other: Any = {**ENTRIES[1], "isMeta": True}
    await store.append(KEY, [other, ENTRIES[2], *ENTRIES[4:], ENTRIES[0]])
    assert await store.load(KEY) == ENTRIES


async def test_others_read_what_was_said(store: ChronosSessionStore, storage_committed: Storage) -> None:
    await store.append(KEY, ENTRIES)
    id = f"-srv-app~{ID}"
    stored = await storage_committed.alist_messages(id)
    assert [(message.role, message.kind) for message in stored] == [
        ("user", "user"),
        ("assistant", "assistant"),
        ("assistant", "tool-call"),
        ("tool", "tool-result"),
        ("custom-title", "custom-title"),
        ("custom-title", "custom-title"),
    ]
    assert stored[2].tool_calls == [
        {"id": "toolu_1", "type": "function", "function": {"name": "Read", "arguments": '{"b": 1.0, "a": "é"}'}}
    ]
    assert (stored[3].tool_call_id, stored[3].content) == ("toolu_1", "text")
    # Both entries of the one answer report it, the last all of it.
    usage = await storage_committed.atoken_usage(id)
    assert usage == TokenUsage(
        prompt_tokens=5, completion_tokens=8, total_tokens=13, cache_read_tokens=3, cache_creation_tokens=0
    )
    session = await storage_committed.aget_session(id)
    assert session
    assert (session.user_id, session.container_id) == ("ada", "-srv-app")
    assert [message.to_anthropic() for message in stored[:4]] == [
        {"role": each["message"]["role"], "content": each["message"]["content"]} for each in ENTRIES[:4]
    ]


async def test_the_sdk_reads_its_sessions(store: ChronosSessionStore) -> None:
    project = project_key_for_directory("/srv/app")
    key: SessionKey = {"project_key": project, "session_id": ID}
    await store.append(key, ENTRIES)
    aside = [entry("user", 9, message={"role": "user", "content": "Look."}, isSidechain=True)]
    await store.append({**key, "subpath": "subagents/agent-1"}, aside)
    messages = await get_session_messages_from_store(store, ID, directory="/srv/app")
    assert [message.uuid for message in messages] == [each["uuid"] for each in ENTRIES[:4]]
    assert await list_subagents_from_store(store, ID, directory="/srv/app") == ["1"]
    [summary] = await store.list_session_summaries(project)
    assert summary["mtime"] == (await store.list_sessions(project))[0]["mtime"]
    [found] = await list_sessions_from_store(store, directory="/srv/app")
    assert (found.session_id, found.custom_title, found.first_prompt) == (ID, "Reading", "Read it.")


async def test_no_entry_is_lost_to_what_no_store_takes(store: ChronosSessionStore) -> None:
    await store.append(KEY, [entry("user", 1, message={"role": "user", "content": "a\x00\ud800"}, score=float("inf"))])
    found: Any = await store.load(KEY)
    assert found[0]["message"]["content"] == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert found[0]["score"] == "Infinity"


async def test_a_deleted_session_stays_deleted(store: ChronosSessionStore) -> None:
    await store.append(KEY, ENTRIES)
    await store.append(SUBAGENT, ENTRIES[:1])
    await store.delete(KEY)
    for key in (KEY, SUBAGENT):
        with pytest.raises(AlreadyExists, match="deleted"):
            await store.append(key, ENTRIES)
        assert await store.load(key) is None


async def test_keys_are_told_apart(store: ChronosSessionStore) -> None:
    keys: list[SessionKey] = [
        {"project_key": "a", "session_id": "b~c"},
        {"project_key": "a~b", "session_id": "c"},
        {"project_key": "a", "session_id": "b", "subpath": "c"},
        {"project_key": "p" * 300, "session_id": "s" * 300, "subpath": "x" * 300},
        {"project_key": "p" * 300, "session_id": "s" * 300},
    ]
    for number, key in enumerate(keys):
        await store.append(key, [entry("user", number + 1)])
    assert [await store.load(key) for key in keys] == [[entry("user", number + 1)] for number in range(5)]
    assert [found["session_id"] for found in await store.list_sessions("p" * 300)] == ["s" * 300]
    assert await store.list_subkeys({"project_key": "p" * 300, "session_id": "s" * 300}) == ["x" * 300]


def test_sixteen_workers_lose_nothing(storage_committed: Storage) -> None:
    async def work(number: int) -> None:
        store = ChronosSessionStore(storage=storage_committed)
        for turn in range(3):
            place = 1 + number * 6 + turn * 2
            turns: list[Any] = [{"type": "x", "uuid": f"{place + half}", "n": number} for half in range(2)]
            await store.append(KEY, turns)
            await store.append(KEY, turns[:1])  # sent again

    threads = [Thread(target=asyncio.run, args=[work(number)]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found: Any = asyncio.run(ChronosSessionStore(storage=storage_committed).load(KEY))
    assert sorted(int(entry["uuid"]) for entry in found) == list(range(1, 97))
    for number in range(16):
        own = [int(entry["uuid"]) for entry in found if entry["n"] == number]
        assert own == sorted(own)


def test_the_summary_knows_of_every_entry_whoever_wrote_it(storage_committed: Storage) -> None:
    async def work(number: int) -> None:
        store = ChronosSessionStore(storage=storage_committed)
        for turn in range(3):
            title: Any = {"type": "custom-title", "customTitle": f"{number} {turn}"}
            await store.append(KEY, [title])

    threads = [Thread(target=asyncio.run, args=[work(number)]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = ChronosSessionStore(storage=storage_committed)
    asyncio.run(store.append(KEY, [{"type": "mode", "uuid": "last"}]))
    found: Any = asyncio.run(store.load(KEY))
    [summary] = asyncio.run(store.list_session_summaries("-srv-app"))
    assert summary["data"]["custom_title"] == found[-2]["customTitle"]
