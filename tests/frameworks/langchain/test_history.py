"""The chat history: what comes back, who else reads it, and who writes to it at the same time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from chronos_storage.exceptions import AlreadyExists, StaleWriter
from chronos_storage.facade import Storage
from chronos_storage.integrations.langchain import ChronosByteStore, ChronosChatMessageHistory
from chronos_storage.records import Message, Session, TokenUsage

CALL = {"name": "weather", "args": {"b": 1.0, "a": "Köln"}, "id": "call-1", "type": "tool_call"}
BAD_CALL = {"name": "weather", "args": "{", "id": "call-2", "error": "no JSON", "type": "invalid_tool_call"}
ANSWER = AIMessage(
    content=[{"type": "text", "text": "I will look."}, "and so on"],
    id="run-1",
    tool_calls=[CALL],
    invalid_tool_calls=[BAD_CALL],
    response_metadata={"model_name": "some-model", "logprobs": None},
    usage_metadata={
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {"cache_read": 3},
    },
)
SAID: list[BaseMessage] = [
    SystemMessage("Be brief."),
    HumanMessage("What is the weather?", name="ada", additional_kwargs={"z": 1, "a": [1e23]}),
    ANSWER,
    ToolMessage("rain", tool_call_id="call-1", artifact={"mm": [1.5]}, status="error"),
    AIMessageChunk(content="It rains.", id="run-2"),
    ChatMessage(role="critic", content="Too brief."),
    FunctionMessage(name="old", content="{}"),
]


@pytest.fixture
def history(storage: Storage) -> ChronosChatMessageHistory:
    return ChronosChatMessageHistory("s", storage=storage, user_id="ada")


def test_messages_come_back_exactly(history: ChronosChatMessageHistory) -> None:
    assert history.messages == []
    history.add_messages(SAID)
    history.add_messages(SAID[:1])
    assert history.messages == [*SAID, SAID[0]]
    assert [type(message) for message in history.messages] == [type(message) for message in [*SAID, SAID[0]]]
    history.clear()
    assert history.messages == []


def test_others_read_what_was_said(history: ChronosChatMessageHistory, storage: Storage) -> None:
    history.add_messages(SAID)
    stored = storage.list_messages("s")
    roles = ["system", "user", "assistant", "tool", "assistant", "critic", "function"]
    assert [message.role for message in stored] == roles
    assert stored[1].content == "What is the weather?"
    assert stored[1].name == "ada"
    answer = stored[2]
    assert answer.content == ANSWER.content
    assert answer.model == "some-model"
    assert answer.usage == TokenUsage(prompt_tokens=10, completion_tokens=5, total_tokens=15, cache_read_tokens=3)
    assert answer.tool_calls == [
        {"id": "call-1", "type": "function", "function": {"name": "weather", "arguments": '{"b": 1.0, "a": "Köln"}'}},
        {"id": "call-2", "type": "function", "function": {"name": "weather", "arguments": "{"}},
    ]
    assert stored[3].tool_call_id == "call-1"
    session = storage.get_session("s")
    assert session
    assert session.user_id == "ada"


def test_no_turn_is_lost_over_what_no_store_keeps(history: ChronosChatMessageHistory, storage: Storage) -> None:
    large = "x" * 4_000_000
    odd = [
        HumanMessage("a\x00b", additional_kwargs={"nan": float("nan"), 1: b"bytes"}),
        HumanMessage(large),
        ChatMessage(role="r" * 300, content=[{"n": 2**70}]),
        ChatMessage(role="", content=""),
        ToolMessage("", tool_call_id="c" * 300, artifact=object()),
        AIMessage("", usage_metadata={"input_tokens": -1, "output_tokens": 2, "total_tokens": 10**13}),
    ]
    history.add_messages(odd)
    found = history.messages
    assert [message.content for message in found[:2]] == ["a\ufffdb", large]
    assert found[0].additional_kwargs == {"nan": "NaN", "1": "data:application/octet-stream;base64,Ynl0ZXM="}
    assert found[2].content == [{"n": str(2**70)}]
    assert isinstance(found[4], ToolMessage)
    assert found[4].tool_call_id == "c" * 300
    assert found[5] == odd[5]


def test_what_others_said_is_read(history: ChronosChatMessageHistory, storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}]
    broken = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]
    storage.add_messages(
        Message(session_id="s", id=str(place), **said)
        for place, said in enumerate(
            [
                {"role": "user", "content": "hello"},
                {"role": "assistant", "tool_calls": calls},
                {"role": "tool", "content": {"x": 1}, "tool_call_id": "c"},
                {"role": "error", "content": "timeout"},
                {"role": "assistant", "content": "hm", "tool_calls": broken},
                {
                    "role": "assistant",
                    "content": "own",
                    "raw": {"type": "of somebody", "data": {}},
                    "format": "langchain",
                },
            ]
        )
    )
    assert history.messages == [
        HumanMessage("hello", id="0"),
        AIMessage("", id="1", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "c", "type": "tool_call"}]),
        ToolMessage('{"x":1}', tool_call_id="c", id="2"),
        HumanMessage("[error]\ntimeout", id="3"),
        AIMessage("hm", id="4", tool_calls=[{"name": "f", "args": {"input": "{"}, "id": "c", "type": "tool_call"}]),
        AIMessage("own", id="5"),
    ]


def test_a_deleted_conversation_stays_deleted(history: ChronosChatMessageHistory, storage: Storage) -> None:
    history.add_user_message("hello")
    storage.delete_session("s")
    with pytest.raises(AlreadyExists, match="deleted"):
        history.add_user_message("late")


def test_a_stale_writer_is_refused(storage: Storage) -> None:
    storage.create_session(Session(id="s"))
    old = ChronosChatMessageHistory("s", storage=storage, fence=storage.acquire("s", "old"))
    old.add_user_message("mine")
    new = ChronosChatMessageHistory("s", storage=storage, fence=storage.acquire("s", "new", force=True))
    for write in (lambda: old.add_user_message("late"), old.clear):
        with pytest.raises(StaleWriter):
            write()
    new.add_ai_message("on")
    assert [message.content for message in new.messages] == ["mine", "on"]


def test_sixteen_writers_lose_nothing(storage_committed: Storage) -> None:
    def write(number: int) -> None:
        history = ChronosChatMessageHistory("s", storage=storage_committed)
        for turn in range(4):
            history.add_messages([HumanMessage(f"{number} {turn}"), AIMessage(f"{number} {turn}")])

    threads = [Thread(target=write, args=[number]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ChronosChatMessageHistory("s", storage=storage_committed).messages
    assert len(found) == 128
    for question, answer in zip(found[::2], found[1::2], strict=True):  # no other's between a turn's two
        assert (question.type, question.content) == ("human", answer.content)
    for number in range(16):
        said = [message.content for message in found[::2] if str(message.content).startswith(f"{number} ")]
        assert said == [f"{number} {turn}" for turn in range(4)]


async def _turns(storage: Storage, text: str) -> list[str]:
    history = ChronosChatMessageHistory("s", storage=storage)
    chain: Any = RunnableWithMessageHistory(RunnableLambda(lambda said: AIMessage(said[-1].content)), lambda: history)
    await chain.ainvoke([HumanMessage(text)], config={"configurable": {"session_id": "s"}})
    return [str(message.content) for message in await history.aget_messages()]


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")  # LangChain's own, until its 2.0
def test_from_an_event_loop_and_from_a_synchronous_caller_in_a_transaction(
    alias: str, storage_committed: Storage
) -> None:
    assert asyncio.run(_turns(storage_committed, "loop")) == ["loop", "loop"]
    with storage_committed.atomic():
        assert async_to_sync(_turns)(storage_committed, "view") == ["loop", "loop", "view", "view"]


def test_an_executors_threads_keep_no_connection(alias: str, storage_committed: Storage) -> None:
    history = ChronosChatMessageHistory("s", storage=storage_committed)
    store = ChronosByteStore("cache", storage=storage_committed)

    def work() -> bool:
        history.add_user_message("from a thread")
        assert history.messages
        store.mset([("key", b"value")])
        assert list(store.yield_keys()) == ["key"]
        return connections[alias].connection is None

    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(work).result()
