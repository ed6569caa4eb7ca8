"""The session service: scopes of state, stale writers, and that events come back exactly."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from google.adk.agents import BaseAgent
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions
from google.adk.runners import Runner
from google.adk.sessions import Session
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai import types

from chronos_storage.facade import Storage
from chronos_storage.integrations.google_adk import ChronosSessionService
from chronos_storage.records import Message, TokenUsage

pytestmark = pytest.mark.anyio
ADA: dict[str, Any] = {"app_name": "app", "user_id": "ada"}


@pytest.fixture
def service(storage_committed: Storage) -> ChronosSessionService:
    return ChronosSessionService(storage_committed)


def said(text: str, author: str = "user", **fields: Any) -> Event:
    content = types.Content(role="user" if author == "user" else "model", parts=[types.Part(text=text)])
    return Event(author=author, content=content, **fields)


def changed(**delta: Any) -> Event:
    return Event(author="agent", actions=EventActions(state_delta={k.replace("__", ":"): v for k, v in delta.items()}))


async def got(service: ChronosSessionService, id: str, **config: Any) -> Session:
    found = await service.get_session(**ADA, session_id=id, config=GetSessionConfig(**config) if config else None)
    assert found
    return found


COMPLETE = Event(
    invocation_id="invocation",
    author="agent",
    model_version="some-model",
    content=types.Content(
        role="model",
        parts=[
            types.Part(text="Thinking", thought=True, thought_signature=b"\xff\x00"),
            types.Part(text="I will look."),
            types.Part(function_call=types.FunctionCall(id="c1", name="weather", args={"b": 1.5, "a": "Köln"})),
            types.Part.from_bytes(data=b"\x89PNG", mime_type="image/png"),
        ],
    ),
    turn_complete=True,
    actions=EventActions(artifact_delta={"file": 0}, transfer_to_agent="other", escalate=True),
    long_running_tool_ids={"c1"},
    error_code="code",
    grounding_metadata=types.GroundingMetadata(search_entry_point=types.SearchEntryPoint(sdk_blob=b"\x00blob")),
    usage_metadata=types.GenerateContentResponseUsageMetadata(
        prompt_token_count=3, candidates_token_count=2, total_token_count=5, cached_content_token_count=1
    ),
    custom_metadata={"nested": {"list": [1, None, 1e23]}},
    timestamp=1_700_000_000.123457,
)
ANSWER = Event(
    author="agent",
    content=types.Content(
        role="user",
        parts=[types.Part(function_response=types.FunctionResponse(id="c1", name="weather", response={"mm": 1}))],
    ),
)


async def test_events_come_back_exactly(service: ChronosSessionService) -> None:
    session = await service.create_session(**ADA, state={"key": "value"})
    for event in (said("hello"), COMPLETE.model_copy(deep=True), ANSWER.model_copy(deep=True)):
        await service.append_event(session, event)
    assert await got(service, session.id) == session
    assert session.events[1:] == [COMPLETE, ANSWER]
    assert session.last_update_time >= session.events[0].timestamp - 1


async def test_others_read_what_was_said(service: ChronosSessionService, storage_committed: Storage) -> None:
    session = await service.create_session(**ADA, session_id="s")
    for event in (said("hello"), COMPLETE.model_copy(deep=True), ANSWER.model_copy(deep=True)):
        await service.append_event(session, event)
    (stored,) = await storage_committed.alist_sessions("app", user_id="ada")
    assert stored.id == "app~ada~s"
    question, answer, result = await storage_committed.alist_messages(stored.id)
    assert (question.role, question.content, question.name) == ("user", "hello", "user")
    assert (answer.role, answer.name, answer.model) == ("assistant", "agent", "some-model")
    assert answer.usage == TokenUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5, cache_read_tokens=1)
    assert answer.tool_calls
    assert json.loads(answer.tool_calls[0]["function"]["arguments"]) == {"b": 1.5, "a": "Köln"}
    assert (result.role, result.tool_call_id) == ("tool", "c1")


async def test_what_others_said_is_read(service: ChronosSessionService, storage_committed: Storage) -> None:
    session = await service.create_session(**ADA, session_id="s")
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}, {"odd": 1}]
    await storage_committed.aadd_messages(
        [
            Message(session_id="app~ada~s", role="user", content="hello"),
            Message(session_id="app~ada~s", role="assistant", tool_calls=calls),
            Message(session_id="app~ada~s", role="tool", name="f", content="42", tool_call_id="c"),
        ]
    )
    question, call, result = [event.content for event in (await got(service, "s")).events]
    assert question == types.Content(role="user", parts=[types.Part(text="hello")])
    assert call
    assert call.parts == [types.Part(function_call=types.FunctionCall(id="c", name="f", args={"x": 1}))]
    assert result
    assert result.parts
    assert result.parts[0].function_response == types.FunctionResponse(id="c", name="f", response={"result": "42"})
    with pytest.raises(ValueError, match="modified in storage"):  # it was loaded before they wrote
        await service.append_event(session, said("late"))


async def test_each_scope_of_state_is_seen_where_it_should_be(service: ChronosSessionService) -> None:
    first = await service.create_session(**ADA, session_id="1", state={"app:a": 1, "user:u": 1, "s": 1, "temp:t": 1})
    assert first.state == {"app:a": 1, "user:u": 1, "s": 1}
    await service.append_event(first, changed(app__a=2, user__u={"n": [None]}, s=None, temp__t=2, app__user__x=3))
    assert first.state["temp:t"] == 2
    assert first.events[-1].actions.state_delta.keys() == {"app:a", "user:u", "s", "app:user:x"}
    again = await got(service, "1")
    assert again.state == {"app:a": 2, "app:user:x": 3, "user:u": {"n": [None]}, "s": None}
    second = await service.create_session(**ADA, session_id="2")
    assert second.state == {"app:a": 2, "app:user:x": 3, "user:u": {"n": [None]}}
    other = await service.create_session(app_name="app", user_id="bob", session_id="1", state={"k" * 300: 1, "": 2})
    assert other.state == {"app:a": 2, "app:user:x": 3, "k" * 300: 1, "": 2}
    assert (await service.create_session(app_name="app2", user_id="ada")).state == {}
    assert await service.get_user_state(**ADA) == {"u": {"n": [None]}}
    assert await service.get_user_state(app_name="app", user_id="nobody") == {}
    listed = (await service.list_sessions(app_name="app")).sessions
    assert [(one.user_id, one.id) for one in listed] == [("ada", "1"), ("ada", "2"), ("bob", "1")]
    assert listed[0].state == again.state
    assert [one.id for one in (await service.list_sessions(**ADA)).sessions] == ["1", "2"]


async def test_parts_of_ids_do_not_run_into_each_other(service: ChronosSessionService) -> None:
    names = [("a", "b~c", "d"), ("a~b", "c", "d"), ("a", "b", "c~d"), ("a", "b:c", "d/e?%"), ("é", "b" * 250, "c")]
    for app, user, id in names:
        await service.create_session(app_name=app, user_id=user, session_id=id, state={"user:me": user, "app:me": app})
    for app, user, id in names:
        found = await service.get_session(app_name=app, user_id=user, session_id=id)
        assert found
        assert (found.app_name, found.user_id, found.id) == (app, user, id)
        assert found.state == {"user:me": user, "app:me": app}


async def test_some_of_the_events(service: ChronosSessionService) -> None:
    session = await service.create_session(**ADA, session_id=" s ")
    assert session.id == "s"
    for second in range(1, 6):
        await service.append_event(session, said(str(second), timestamp=second))
    for config, found in (
        ({"num_recent_events": 0}, []),
        ({"num_recent_events": 3}, [3, 4, 5]),
        ({"after_timestamp": 4.0}, [4, 5]),
        ({"after_timestamp": 4.0, "num_recent_events": 3}, [4, 5]),
        ({"after_timestamp": 50.0}, []),
    ):
        again = await got(service, "s", **config)
        assert [event.timestamp for event in again.events] == found
    await service.append_event(again, said("6"))  # with none of the events it still is the current one
    await service.append_event(again, Event(author="user", partial=True))
    assert len((await got(service, " s")).events) == 6


async def test_a_session_is_made_once_and_deleted_for_good(service: ChronosSessionService) -> None:
    session = await service.create_session(**ADA, session_id="s", state={"s": 1, "user:u": 1})
    with pytest.raises(AlreadyExistsError, match="Session with id s"):
        await service.create_session(**ADA, session_id="s")
    await service.delete_session(**ADA, session_id="s")
    await service.delete_session(**ADA, session_id="s")
    assert await service.get_session(**ADA, session_id="s") is None
    with pytest.raises(SessionNotFoundError):
        await service.append_event(session, said("late"))
    assert (await service.create_session(**ADA, session_id="s")).state == {"user:u": 1}


async def test_a_stale_writer_is_refused_and_writes_nothing(service: ChronosSessionService) -> None:
    await service.create_session(**ADA, session_id="s")
    old, new = await got(service, "s"), await got(service, "s")
    await service.append_event(new, changed(k="new"))
    with pytest.raises(ValueError, match="modified in storage"):
        await service.append_event(old, changed(k="old", app__k="old"))
    final = await got(service, "s")
    assert final.state == {"k": "new"}
    assert len(final.events) == 1
    # One without a revision, as from JSON, is current if it has the last event.
    for text, refused in ((final.model_dump_json(), False), (final.model_dump_json(), True)):
        copy = Session.model_validate_json(text)
        if refused:
            with pytest.raises(ValueError, match="modified in storage"):
                await service.append_event(copy, said("late"))
        else:
            await service.append_event(copy, said("more"))


def test_of_sixteen_writers_one_is_current_each_time(service: ChronosSessionService) -> None:
    asyncio.run(service.create_session(**ADA, session_id="s"))

    async def append(number: int) -> int:
        for attempt in range(100):
            session = await got(service, "s")
            try:
                await service.append_event(session, changed(**{f"k{number}": len(session.events), "app__last": number}))
                return attempt
            except ValueError:
                continue
        raise AssertionError("never current")

    async def four(first: int) -> int:
        return sum(await asyncio.gather(*(append(number) for number in range(first, first + 4))))

    with ThreadPoolExecutor(4) as executor:  # four event loops, each with four tasks
        assert sum(executor.map(lambda first: asyncio.run(four(first)), range(0, 16, 4))) > 0
    final = asyncio.run(got(service, "s"))
    assert len(final.events) == 16
    for place, event in enumerate(final.events):  # each was written by who had seen all before it
        ((key, seen),) = [(key, value) for key, value in event.actions.state_delta.items() if key != "app:last"]
        assert seen == place
        assert final.state[key] == place
    assert f"k{final.state['app:last']}" in final.events[-1].actions.state_delta


class _Echo(BaseAgent):
    async def _run_async_impl(self, ctx: Any) -> Any:
        yield Event(
            author=self.name,
            invocation_id=ctx.invocation_id,
            content=types.Content(role="model", parts=[types.Part(text="echo")]),
            actions=EventActions(state_delta={"turns": ctx.session.state.get("turns", 0) + 1, "temp:x": object}),
        )


async def _turn(service: ChronosSessionService) -> list[str]:
    runner = Runner(app_name="app", agent=_Echo(name="echo"), session_service=service)
    content = types.Content(role="user", parts=[types.Part(text="hi")])
    async for _ in runner.run_async(user_id="ada", session_id="s", new_message=content):
        pass
    session = await got(service, "s")
    return [event.author for event in session.events] + [session.state["turns"]]


def test_a_runner_from_an_event_loop_and_from_a_view_in_a_transaction(
    service: ChronosSessionService, storage_committed: Storage
) -> None:
    asyncio.run(service.create_session(**ADA, session_id="s"))
    assert asyncio.run(_turn(service)) == ["user", "echo", 1]
    with storage_committed.atomic():
        assert async_to_sync(_turn)(service) == ["user", "echo", "user", "echo", 2]


async def test_an_event_that_comes_again_changes_no_state_again(service: ChronosSessionService) -> None:
    session = await service.create_session(**ADA, session_id="s")
    first = changed(app__step=1)
    loaded = await got(service, "s")
    await service.append_event(session, first.model_copy(deep=True))
    await service.append_event(session, changed(app__step=2))
    await service.append_event(loaded, first.model_copy(deep=True))  # whose answer was lost
    assert (await got(service, "s")).state == {"app:step": 2}


async def test_a_file_that_was_shortened_does_not_close_its_session(
    service: ChronosSessionService, storage_committed: Storage
) -> None:
    """So is one of more than a record holds."""
    await service.create_session(**ADA, session_id="s")
    parts: list[Any] = [{"text": "See:"}, {"inline_data": {"data": "AAA[… left out]", "mime_type": "image/png"}}]
    raw = {"author": "user", "content": {"role": "user", "parts": parts}}
    await storage_committed.aadd_message(
        Message(session_id="app~ada~s", role="user", content=parts, raw=raw, format="google-adk")
    )
    [event] = (await got(service, "s")).events
    assert event.content
    assert event.content.parts == [types.Part(text="See:"), types.Part(text="[a part that can't be shown here]")]
