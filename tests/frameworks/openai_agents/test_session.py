"""The session of the OpenAI Agents SDK: what its protocol says, who else reads it, and who writes at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest
from agents import Agent, RunConfig, Runner, Session, SessionSettings, Usage, function_tool, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message, function_call
from asgiref.sync import async_to_sync
from langchain_core.messages import AIMessage, HumanMessage

from chronos_storage import records
from chronos_storage.exceptions import AlreadyExists, StaleWriter
from chronos_storage.facade import Storage
from chronos_storage.integrations.langchain import ChronosChatMessageHistory
from chronos_storage.integrations.openai_agents import ChronosSession
from chronos_storage.records import Message, TokenUsage

pytestmark = pytest.mark.anyio

#: Of each sort that the SDK keeps, and what a strict store would refuse.
ITEMS: list[Any] = [
    {"role": "user", "content": "What is the weather in Köln? \N{SLIGHTLY SMILING FACE}"},
    {"type": "reasoning", "id": "rs", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": "…"},
    {"type": "function_call", "id": "fc", "call_id": "c1", "name": "weather", "arguments": '{"b": 1.0, "a": "Köln"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "rain"},
    {
        "type": "message",
        "id": "msg",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "It rains.", "annotations": [], "logprobs": [{"logprob": -1e-23}]}],
    },
    {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"query": "q", "type": "search"}},
]


@pytest.fixture
def session(storage_committed: Storage) -> ChronosSession:
    return ChronosSession("conversation:1", storage=storage_committed, user_id="ada")


@pytest.fixture(autouse=True)
def no_traces() -> None:
    """Nothing is sent to OpenAI."""
    set_tracing_disabled(True)


@pytest.fixture
def default_loop() -> Iterator[None]:
    """Closes the loop that the SDK's `run_sync` leaves behind for the thread's next run."""
    yield
    policy = asyncio.get_event_loop_policy()
    policy.get_event_loop().close()
    policy.set_event_loop(None)


def texts(items: list[Any]) -> list[Any]:
    return [item.get("content") for item in items]


async def test_items_come_back_exactly(session: ChronosSession) -> None:
    assert isinstance(session, Session)
    assert await session.get_items() == []
    await session.add_items(ITEMS)
    await session.add_items([])
    await session.add_items(ITEMS[:1])
    assert [list(item) for item in await session.get_items()] == [list(item) for item in [*ITEMS, ITEMS[0]]]
    assert await session.get_items() == [*ITEMS, ITEMS[0]]
    await session.clear_session()
    assert await session.get_items() == []


async def test_a_limit_gives_the_latest_in_their_order(session: ChronosSession) -> None:
    await session.add_items(ITEMS)
    assert await session.get_items(limit=2) == ITEMS[-2:]
    assert await session.get_items(limit=99) == ITEMS
    assert await session.get_items(limit=0) == []
    session.session_settings = SessionSettings(limit=3)
    assert await session.get_items() == ITEMS[-3:]
    assert await session.get_items(limit=1) == ITEMS[-1:]
    assert ChronosSession("s", session_settings={"limit": 3}).session_settings == SessionSettings(limit=3)


async def test_the_latest_is_popped_once(session: ChronosSession) -> None:
    assert await session.pop_item() is None
    await session.add_items(ITEMS)
    assert await session.pop_item() == ITEMS[-1]
    popped = await asyncio.gather(*(session.pop_item() for _ in range(8)))
    assert [item for item in popped if item is None] == [None] * 3
    assert {str(item) for item in popped if item} == {str(item) for item in ITEMS[:-1]}
    await session.add_items(ITEMS[:1])
    assert await session.get_items() == ITEMS[:1]


async def test_others_read_what_was_said(session: ChronosSession, storage_committed: Storage) -> None:
    await session.add_items(ITEMS)
    stored = await storage_committed.alist_messages("conversation:1")
    assert [(message.role, message.kind) for message in stored] == [
        ("user", "user"),
        ("assistant", "reasoning"),
        ("assistant", "tool-call"),
        ("tool", "tool-result"),
        ("assistant", "assistant"),
        ("assistant", "web_search_call"),
    ]
    assert stored[2].tool_calls == [
        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"b": 1.0, "a": "Köln"}'}}
    ]
    assert (stored[3].tool_call_id, stored[3].content) == ("c1", "rain")
    assert stored[4].to_openai() == {"role": "assistant", "content": "It rains."}
    found = await storage_committed.aget_session("conversation:1")
    assert found
    assert found.user_id == "ada"


async def test_what_others_said_is_read(session: ChronosSession, storage_committed: Storage) -> None:
    await storage_committed.acreate_session(records.Session(id=session.id))
    use = {"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}}
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "one"}]}
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    given: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "See:"}, picture]},
        {"role": "assistant", "content": [{"type": "text", "text": "I look."}, use]},
        {"role": "user", "content": [result]},
    ]
    said = [Message.from_anthropic(item, session_id=session.id) for item in given]
    await storage_committed.aadd_messages([*said, Message(session_id=session.id, role="error", content="timeout")])
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "See:"}, image]},
        {"role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"x": 1}'},
        {"type": "function_call_output", "call_id": "c", "output": "one"},
        {"role": "user", "content": "[error]\ntimeout"},
    ]
    assert await session.get_items() == items
    assert await session.get_items(limit=3) == items[-3:]
    assert await session.pop_item() == items[-1]


async def test_no_turn_is_lost_to_what_no_store_takes(session: ChronosSession, storage_committed: Storage) -> None:
    item: Any = {"role": "assistant", "content": "a\x00b\ud800", "score": float("nan"), "at": (1, b"\xff")}
    await session.add_items([item])
    assert await session.get_items() == [
        {
            "role": "assistant",
            "content": "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}",
            "score": "NaN",
            "at": [1, "data:application/octet-stream;base64,/w=="],
        }
    ]
    [stored] = await storage_committed.alist_messages(session.id)
    assert set(stored.metadata["changes"]) == {"content", "score", "at", "at[1]"}


async def test_long_and_odd_session_ids(storage_committed: Storage) -> None:
    sessions = [ChronosSession(id, storage=storage_committed) for id in ("x" * 300, "x" * 301, "a~b", "a%7Eb", "\x00")]
    for number, session in enumerate(sessions):
        await session.add_items([{"role": "user", "content": str(number)}])
    assert [texts(await session.get_items()) for session in sessions] == [[str(number)] for number in range(5)]


async def test_a_deleted_conversation_stays_deleted(session: ChronosSession, storage_committed: Storage) -> None:
    await session.add_items(ITEMS)
    await storage_committed.adelete_session(session.id)
    with pytest.raises(AlreadyExists, match="deleted"):
        await session.add_items(ITEMS)


async def test_a_stale_writer_is_refused(session: ChronosSession, storage_committed: Storage) -> None:
    await session.add_items(ITEMS)
    old = await storage_committed.aacquire(session.id, "old")
    await storage_committed.aacquire(session.id, "new", force=True)
    late = ChronosSession(session.session_id, storage=storage_committed, fence=old)
    for write in (late.add_items(ITEMS), late.pop_item(), late.clear_session()):
        with pytest.raises(StaleWriter):
            await write
    assert await session.get_items() == ITEMS


def test_sixteen_workers_lose_nothing(storage_committed: Storage) -> None:
    async def work(number: int) -> None:
        session = ChronosSession("s", storage=storage_committed)
        for turn in range(4):
            await session.add_items([{"role": role, "content": f"{number} {turn}"} for role in ("user", "assistant")])

    threads = [Thread(target=asyncio.run, args=[work(number)]) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found: list[Any] = asyncio.run(ChronosSession("s", storage=storage_committed).get_items())
    assert len(found) == 128
    for question, answer in zip(found[::2], found[1::2], strict=True):  # no other's between a turn's two
        assert (question["role"], answer["role"]) == ("user", "assistant")
        assert question["content"] == answer["content"]
    for number in range(16):
        own = [item["content"] for item in found[::2] if item["content"].startswith(f"{number} ")]
        assert own == [f"{number} {turn}" for turn in range(4)]


@function_tool
def weather(city: str) -> str:
    return f"rain in {city}"


def agent_of(model: ScriptedModel) -> Agent[Any]:
    return Agent(name="a", model=model, tools=[weather])


def scripted() -> ScriptedModel:
    model = ScriptedModel(
        [
            [function_call("weather", {"city": "Köln"}, call_id="c1")],
            [assistant_message("It rains.")],
            [assistant_message("You are welcome.")],
        ]
    )
    details = {"cached_tokens": 3, "cache_write_tokens": 2}
    model.set_default_usage(
        Usage(requests=1, input_tokens=5, output_tokens=4, total_tokens=9, input_tokens_details=details)
    )
    return model


USED = TokenUsage(prompt_tokens=5, completion_tokens=4, total_tokens=9, cache_read_tokens=3, cache_creation_tokens=2)


def check_run(storage: Storage, model: ScriptedModel) -> None:
    stored = storage.list_messages("s")
    assert [(message.role, message.usage) for message in stored] == [
        ("user", None),
        ("assistant", USED),
        ("tool", None),
        ("assistant", USED),
        ("user", None),
        ("assistant", USED),
    ]
    assert storage.token_usage("s").total_tokens == 27
    last = model.calls[-1].input
    assert isinstance(last, list)
    assert len(last) == 5
    assert last[:4] == [message.raw for message in stored[:4]]


def test_a_synchronous_view_runs_agents(storage_committed: Storage, default_loop: None) -> None:
    model, session = scripted(), ChronosSession("s", storage=storage_committed)
    for said in ("And in Köln?", "Thanks."):
        Runner.run_sync(agent_of(model), said, session=session)
    check_run(storage_committed, model)


def test_a_synchronous_view_in_a_transaction_runs_agents(storage_committed: Storage) -> None:
    model, session = scripted(), ChronosSession("s", storage=storage_committed)
    with storage_committed.atomic():
        for said in ("And in Köln?", "Thanks."):
            async_to_sync(Runner.run)(agent_of(model), said, session=session)
    check_run(storage_committed, model)


def test_a_stream(storage_committed: Storage) -> None:
    model, session = scripted(), ChronosSession("s", storage=storage_committed)

    async def stream(said: str) -> None:
        async for _ in Runner.run_streamed(agent_of(model), said, session=session).stream_events():
            pass

    for said in ("And in Köln?", "Thanks."):
        asyncio.run(stream(said))
    check_run(storage_committed, model)


async def test_a_run_limits_what_the_model_reads(session: ChronosSession) -> None:
    await session.add_items(ITEMS)
    model = ScriptedModel([[assistant_message("Yes.")]])
    config = RunConfig(session_settings=SessionSettings(limit=1))
    await Runner.run(agent_of(model), "Is it?", session=session, run_config=config)
    assert len(model.calls[0].input) == 2
    assert len(await session.get_items()) == 8


async def test_a_conversation_goes_on_in_another_framework(session: ChronosSession, storage_committed: Storage) -> None:
    """Begun with OpenAI's SDK, continued with Anthropic's API and in LangChain, and taken back."""
    await Runner.run(agent_of(scripted()), "And in Köln?", session=session)
    stored = await storage_committed.alist_messages(session.id)
    use = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Köln"}}
    result = {"type": "tool_result", "tool_use_id": "c1", "content": "rain in Köln"}
    assert [message.to_anthropic() for message in stored] == [
        {"role": "user", "content": "And in Köln?"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
        {"role": "assistant", "content": [{"type": "text", "text": "It rains."}]},
    ]
    history = ChronosChatMessageHistory(session.id, storage=storage_committed)
    assert [message.type for message in await history.aget_messages()] == ["human", "ai", "tool", "ai"]
    await history.aadd_messages([HumanMessage("Thanks."), AIMessage("You are welcome.")])
    assert texts((await session.get_items())[-2:]) == ["Thanks.", "You are welcome."]
