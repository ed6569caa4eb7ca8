"""A conversation begun in one framework is read in each other one as that framework says such things itself."""

from __future__ import annotations

from typing import Any

import pytest
from agents import TResponseInputItem
from claude_agent_sdk import SessionKey, SessionStoreEntry
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.events.event import Event
from google.genai import types
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from chronos_storage.exceptions import AlreadyExists
from chronos_storage.facade import Storage
from chronos_storage.integrations.claude_agent_sdk import ChronosSessionStore
from chronos_storage.integrations.google_adk import ChronosSessionService
from chronos_storage.integrations.langchain import ChronosChatMessageHistory
from chronos_storage.integrations.openai_agents import ChronosSession
from chronos_storage.records import Message

pytestmark = pytest.mark.anyio
PICTURE = b"\x89PNG\r\n\x1a\n"
ADDRESS = "data:image/png;base64,iVBORw0KGgo="
APP: dict[str, str] = {"app_name": "app", "user_id": "ada"}


def called(id: str, text: str) -> types.Part:
    return types.Part(function_call=types.FunctionCall(id=id, name="weather", args={"city": text}))


def answered(id: str, text: str) -> types.Part:
    return types.Part(function_response=types.FunctionResponse(id=id, name="weather", response={"result": text}))


async def test_tools_that_adk_called_at_once_are_read_by_others(storage_committed: Storage) -> None:
    """ADK keeps all their results in one event, and its parts are Gemini's."""
    service = ChronosSessionService(storage_committed)
    session = await service.create_session(**APP, session_id="s")
    picture = types.Part.from_bytes(data=PICTURE, mime_type="image/png")
    for author, role, parts in [
        ("bot", "model", [called("1", "Rome"), called("2", "Oslo")]),
        ("bot", "user", [answered("1", "sun"), answered("2", "snow")]),
        ("user", "user", [types.Part(text="And this?"), picture]),
    ]:
        await service.append_event(session, Event(author=author, content=types.Content(role=role, parts=parts)))

    openai = ChronosSession("x", storage=storage_committed)
    openai.id = "app~ada~s"
    image = {"type": "input_image", "image_url": ADDRESS, "detail": "auto"}
    items: list[Any] = await openai.get_items()
    assert items[2:] == [
        {"type": "function_call_output", "call_id": "1", "output": '{"result":"sun"}'},
        {"type": "function_call_output", "call_id": "2", "output": '{"result":"snow"}'},
        {"role": "user", "content": [{"type": "input_text", "text": "And this?"}, image]},
    ]
    messages = await ChronosChatMessageHistory("app~ada~s", storage=storage_committed).aget_messages()
    assert [(message.type, getattr(message, "tool_call_id", None)) for message in messages] == [
        ("ai", None),
        ("tool", "1"),
        ("tool", "2"),
        ("human", None),
    ]
    assert messages[-1].content == [
        {"type": "text", "text": "And this?"},
        {"type": "image_url", "image_url": {"url": ADDRESS}},
    ]
    assert len({message.id for message in messages}) == 4


async def test_pictures_and_thoughts_of_openais_are_read_by_others(storage_committed: Storage) -> None:
    service = ChronosSessionService(storage_committed)
    await service.create_session(**APP, session_id="s")
    text, picture = {"type": "input_text", "text": "See:"}, {"type": "input_image", "image_url": ADDRESS}
    said: list[TResponseInputItem] = [
        {"role": "user", "content": [text, picture]},  # type: ignore[list-item,misc]
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I see."}]},  # type: ignore[list-item,misc]
    ]
    given = [Message.from_openai(item, session_id="app~ada~s", format="openai_agents") for item in said]
    await storage_committed.aadd_messages(given)
    found = await ChronosChatMessageHistory("app~ada~s", storage=storage_committed).aget_messages()
    shown: list[Any] = [{"type": "text", "text": "See:"}, {"type": "image_url", "image_url": {"url": ADDRESS}}]
    expected: list[BaseMessage] = [HumanMessage(shown), AIMessage("I see.")]
    assert [(message.type, message.content) for message in found] == [(each.type, each.content) for each in expected]
    session = await service.get_session(**APP, session_id="s")
    assert session
    contents = [event.content for event in session.events if event.content and event.content.parts]
    assert contents == [
        types.Content(
            role="user",
            parts=[types.Part(text="See:"), types.Part.from_bytes(data=PICTURE, mime_type="image/png")],
        ),
        types.Content(role="model", parts=[types.Part(text="I see.")]),
    ]


async def test_results_that_a_user_gave_are_no_users_words_for_adk(storage_committed: Storage) -> None:
    """Anthropic has them in a user's message; ADK looks for the calls of such a one among its own."""
    service = ChronosSessionService(storage_committed)
    await service.create_session(**APP, session_id="s")
    results = [{"type": "tool_result", "tool_use_id": id, "content": text} for id, text in (("1", "a"), ("2", "b"))]
    await storage_committed.aadd_message(
        Message.from_anthropic({"role": "user", "content": results}, session_id="app~ada~s")
    )
    session = await service.get_session(**APP, session_id="s")
    assert session
    [event] = session.events
    assert event.author == "tool"
    assert [answer.id for answer in event.get_function_responses()] == ["1", "2"]
    found = await ChronosChatMessageHistory("app~ada~s", storage=storage_committed).aget_messages()
    assert [message.content for message in found if isinstance(message, ToolMessage)] == ["a", "b"]


async def test_a_conversation_of_another_is_refused_where_a_user_is_named(storage_committed: Storage) -> None:
    """An id often comes from an address or a request, and so may be somebody else's."""
    bobs = ChronosChatMessageHistory("s", storage=storage_committed, user_id="bob")
    await bobs.aadd_messages([HumanMessage("secret")])
    history = ChronosChatMessageHistory("s", storage=storage_committed, user_id="ada")
    session = ChronosSession("s", storage=storage_committed, user_id="ada")
    for attempt in (
        history.aget_messages(),
        history.aadd_messages([HumanMessage("hello")]),
        history.aclear(),
        session.get_items(),
        session.add_items([{"role": "user", "content": "hello"}]),
        session.pop_item(),
        session.clear_session(),
    ):
        with pytest.raises(AlreadyExists, match="another user"):
            await attempt
    anybodys = ChronosSession("s", storage=storage_committed)
    assert await anybodys.get_items() == [{"role": "user", "content": "secret"}]


LINE: SessionStoreEntry = {"type": "user", "uuid": "1", "message": {"role": "user", "content": "hello"}}  # type: ignore[typeddict-unknown-key]
KEY: SessionKey = {"project_key": "p", "session_id": "s"}


async def test_a_transcript_of_another_is_refused_where_a_user_is_named(storage_committed: Storage) -> None:
    await ChronosSessionStore(storage=storage_committed, user_id="bob").append(KEY, [LINE])
    store = ChronosSessionStore(storage=storage_committed, user_id="ada")
    for attempt in (store.load(KEY), store.append(KEY, [LINE]), store.delete(KEY)):
        with pytest.raises(AlreadyExists, match="another user"):
            await attempt
    assert await store.list_sessions("p") == await store.list_session_summaries("p") == []
    assert await ChronosSessionStore(storage=storage_committed).load(KEY) == [LINE]


async def test_a_transcript_has_only_the_lines_of_claudes_sdk(storage_committed: Storage) -> None:
    store = ChronosSessionStore(storage=storage_committed)
    await store.append(KEY, [LINE])
    await storage_committed.aadd_message(Message(session_id="p~s", role="user", content="from another"))
    await store.append(KEY, [{**LINE, "uuid": "2"}])
    assert await store.load(KEY) == [LINE, {**LINE, "uuid": "2"}]
    [summary] = await store.list_session_summaries("p")
    assert summary["data"]["first_prompt"] == "hello"


async def test_adk_takes_over_what_another_framework_began(storage_committed: Storage) -> None:
    history = ChronosChatMessageHistory("app~ada~s", storage=storage_committed)
    await history.aadd_messages([HumanMessage("hello")])
    service = ChronosSessionService(storage_committed)
    session = await service.create_session(**APP, session_id="s", state={"a": 1})
    assert (len(session.events), session.state, session.app_name, session.user_id) == (1, {"a": 1}, "app", "ada")
    answer = Event(author="bot", content=types.Content(role="model", parts=[types.Part(text="hi")]))
    await service.append_event(session, answer)
    assert [message.content for message in await history.aget_messages()] == ["hello", "hi"]
    bobs = ChronosChatMessageHistory("app~ada~t", storage=storage_committed, user_id="bob")
    await bobs.aadd_messages([HumanMessage("secret")])
    with pytest.raises(AlreadyExistsError):
        await service.create_session(**APP, session_id="t")
