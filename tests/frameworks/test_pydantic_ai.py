"""Pydantic AI's stores over the storage do what its stores in memory do, also where many write at once."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from pydantic_ai import Agent, DeferredToolRequests
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
    InMemoryConversationStore,
)
from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage, RunUsage
from pydantic_ai_harness import StepPersistence
from pydantic_ai_harness.step_persistence import (
    ContinuableSnapshot,
    InMemoryStepStore,
    RunRecord,
    StepEvent,
    StepStore,
    ToolEffectRecord,
    continue_run,
)

from chronos_storage import Storage
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.integrations.pydantic_ai import ChronosConversationStore, ChronosStepStore
from chronos_storage.records import Message, TokenUsage
from project.demo.agent import Stopped
from project.demo.frameworks import pydantic_ai as demo
from project.demo.questions import QUESTIONS
from tests.conftest import ONLY_SQLITE, SQLITE_AND_POSTGRES

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=[*SQLITE_AND_POSTGRES, "documents"])
def kept(request: pytest.FixtureRequest) -> Storage:
    """Stores with transactions, and one without."""
    return Storage(MemoryBackend() if request.param == "documents" else OrmBackend(using=request.param))


def test_conversations_are_kept_as_in_memory(kept: Storage) -> None:
    choose = random.Random(15)
    stores: list[ConversationStore] = [InMemoryConversationStore(), ChronosConversationStore(kept)]
    heads: dict[str, str | None] = {}
    revisions: dict[str, str] = {}

    def calls(step: int) -> Sequence[Callable[[ConversationStore], Awaitable[Any]]]:
        name = choose.choice("abc")
        right = revisions.get(name)
        expected = right if choose.random() < 0.8 else choose.choice([None, "r0", "other"])
        if choose.random() < 0.15:
            if expected == right:
                heads.pop(name, None)
                revisions.pop(name, None)
            return [lambda store: store.delete_record(name, expected_revision=expected or "")]
        # A conversation goes on, begins anew, or with the history of another.
        before = choose.choice([None, heads.get(name), *heads.values()])
        new: list[ConversationEntry] = []
        for number in range(choose.randrange(3)):
            parent_id = new[-1].id if new else before
            new.append(ConversationEntry(id=f"e{step}.{number}", parent_id=parent_id, message=message(step, number)))
        head = "nowhere" if choose.random() < 0.1 else new[-1].id if new else before
        record = ConversationRecord(
            conversation_id=name,
            head_id=head,
            usage=RunUsage(requests=step, input_tokens=3),
            scope={"a": "ada", "b": None, "c": "bob"}[name],
            deferred_tool_requests=DeferredToolRequests(
                calls=[ToolCallPart("ask", {"x": 1e300, "y": "\0"}, f"c{step}")]
            ),
            forked_from=choose.choice("abc"),
            revision=f"r{step}",
            updated_at=BEGIN + timedelta(seconds=step),
        )
        if expected == right and head != "nowhere":
            revisions[name], heads[name] = record.revision, head
        scope = choose.choice([None, "ada", "bob", "eve"])
        limit = choose.choice([None, 0, 1, 2])
        return [
            lambda store: store.write_record(record, new_entries=new, expected_revision=expected),
            lambda store: store.read_record(name),
            lambda store: store.read_records(scope=scope, limit=limit),
            lambda store: store.load_entries(name, limit=limit, scope=scope),
            lambda store: store.load_entries(name),
        ]

    async def compare() -> None:
        for step in range(40):
            for call in calls(step):
                first, second = [await outcome(call(store)) for store in stores]
                assert first == second, step

    async_to_sync(compare)()


def test_conversations_are_saved_branched_and_forked_as_in_memory(kept: Storage) -> None:
    stores: list[ConversationStore] = [InMemoryConversationStore(), ChronosConversationStore(kept)]

    async def told(store: ConversationStore) -> list[Any]:
        choose = random.Random(16)
        said: list[Any] = []
        names = ["a"]
        for step in range(30):
            name = choose.choice(names)
            what = choose.choice(["turn", "turn", "turn", "rewrite", "branch", "fork", "back", "delete", "stale"])
            conversation = await store.load(name) or Conversation(conversation_id=name)
            count = len(conversation.messages)
            try:
                if what in ("turn", "stale"):
                    if what == "stale":
                        conversation.revision = "another"
                    conversation.messages.extend([message(step, 0), message(step, 1)])
                    said.append(len(await store.save(conversation, scope="ada")))
                elif what == "rewrite":
                    conversation = replace(conversation, messages=[*conversation.messages[:1], message(step, 2)])
                    said.append(len(await store.save(conversation)))
                elif what == "branch":
                    at = choose.randrange(count + 1)
                    await store.branch(name, at=at, expected_revision=conversation.revision)
                elif what == "back":
                    record = await store.read_record(name)
                    tip = record.branches[-1] if record and record.branches else "none"
                    await store.branch(name, from_entry=tip, expected_revision=conversation.revision)
                elif what == "fork":
                    await store.fork(name, at=choose.randrange(count + 1), new_conversation_id=f"f{step}")
                    names.append(f"f{step}")
                else:
                    await store.delete(name)
            except Exception as error:
                said.append(type(error).__name__)
            for each in names:
                loaded = await store.load(each)
                said.append(loaded and (loaded.messages, loaded.usage, loaded.new_message_index))
            listed = await store.list_conversations(scope="ada")
            said.append([(each.conversation_id, len(each.branches), each.forked_from) for each in listed])
        return said

    first, second = [async_to_sync(told)(store) for store in stores]
    assert first == second


def test_what_a_message_says_is_in_its_fields(storage: Storage) -> None:
    store = ChronosConversationStore(storage)
    odd = {"nan": float("nan"), "big": 10**30, "half": "\ud83d"}
    messages: list[ModelMessage] = [
        ModelRequest(
            [
                SystemPromptPart("Be brief."),
                UserPromptPart(
                    ["Look", ImageUrl("https://x/y.png"), BinaryContent(b"\x00\xff", media_type="image/png")]
                ),
            ]
        ),
        ModelResponse(
            [ThinkingPart("hm"), TextPart("I ask."), ToolCallPart("ask", odd, "c1"), ToolCallPart("ask", "{}", "c2")],
            usage=RequestUsage(input_tokens=9, output_tokens=4, cache_read_tokens=5),
            model_name="gpt",
        ),
        ModelRequest([ToolReturnPart("ask", {"a": 1}, "c1"), ToolReturnPart("ask", "no", "c2", outcome="retried")]),
    ]
    conversation = Conversation(conversation_id="talk", messages=messages)
    entries = async_to_sync(store.save)(conversation, scope="ada")
    stored = storage.list_messages("talk")
    assert [(each.role, each.kind, each.tool_call_id) for each in stored] == [
        ("system", "system", ""),
        ("user", "user", ""),
        ("assistant", "assistant", ""),
        ("tool", "tool-result", "c1"),
        ("tool", "tool-result", "c2"),
    ]
    system, user, answer, result, retry = stored
    assert [system.id, answer.id, result.id] == [entry.id for entry in entries]
    assert [answer.parent_id, result.parent_id] == [system.id, answer.id]
    assert user.content == [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "binary", "media_type": "image/png"},
    ]
    assert (answer.content, answer.model) == ("I ask.", "gpt")
    assert answer.usage == TokenUsage(
        prompt_tokens=9, completion_tokens=4, total_tokens=13, cache_read_tokens=5, cache_creation_tokens=0
    )
    assert [call["id"] for call in answer.tool_calls or []] == ["c1", "c2"]
    assert (result.content, result.name, retry.name) == ('{"a":1}', "ask", "ask")
    assert {each.format for each in stored} == {"pydantic_ai"}
    loaded = async_to_sync(store.load)("talk")
    assert loaded
    assert (
        loaded.messages[0]
        == ModelMessagesTypeAdapter.validate_json(ModelMessagesTypeAdapter.dump_json(messages[:1]))[0]
    )
    assert loaded.messages[1].parts[2].args == {"nan": None, "big": str(10**30), "half": "�"}
    session = storage.get_session("talk")
    assert session
    assert (session.agent_id, session.user_id) == ("pydantic_ai", "ada")


def test_sixteen_writers_lose_and_reorder_nothing(storage_committed: Storage) -> None:
    store = ChronosConversationStore(storage_committed)
    refused: list[str] = []
    ready = threading.Barrier(16)

    async def write(worker: int) -> None:
        while True:
            conversation = await store.load("talk") or Conversation(conversation_id="talk")
            conversation.messages.append(ModelRequest([UserPromptPart(str(worker), timestamp=BEGIN)]))
            try:
                await store.save(conversation)
                return
            except ConversationConflict as error:
                refused.append(error.conversation_id)

    def work(worker: int) -> None:
        ready.wait(60)
        asyncio.run(write(worker))

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    said = [each.content for each in storage_committed.list_messages("talk")]
    assert sorted(said) == sorted(map(str, range(16)))
    loaded = async_to_sync(store.load)("talk")
    assert loaded
    assert [each.parts[0].content for each in loaded.messages] == said
    assert len(storage_committed.list_checkpoints("talk", namespace="pydantic_ai")) == 16
    assert set(refused) <= {"talk"}


def test_an_agent_goes_on_with_its_conversation(storage: Storage) -> None:
    store = ChronosConversationStore(storage)
    agent = Agent(TestModel(custom_output_text="Yes."))

    async def talk() -> Conversation:
        result = await agent.run("One?", conversation=Conversation(conversation_id="talk"))
        await store.save(result, scope="ada")
        await storage.aadd_message(Message(session_id="talk", role="user", content="of another framework"))
        loaded = await store.load("talk", limit=1)
        assert loaded
        await store.save(await agent.run("Two?", conversation=loaded), scope="ada")
        whole = await store.load("talk", scope="ada")
        assert whole
        assert await store.load("talk", scope="eve") is None
        return whole

    whole = async_to_sync(talk)()
    assert [type(each).__name__ for each in whole.messages] == ["ModelRequest", "ModelResponse"] * 2
    assert whole.usage.requests == 2
    said = [each.content for each in storage.list_messages("talk")]
    assert said == ["One?", "Yes.", "of another framework", "Two?", "Yes."]
    assert [each.title for each in storage.list_sessions("pydantic_ai", user_id="ada")] == ["One?"]


def test_a_deleted_conversation_can_begin_anew_and_forks_stay_whole(storage: Storage) -> None:
    store = ChronosConversationStore(storage)

    async def talk() -> None:
        for name in ("alone", "forked"):
            await store.save(Conversation(conversation_id=name, messages=[message(0, 0), message(0, 1)]))
        await store.fork("forked", new_conversation_id="fork")
        for name in ("alone", "forked"):
            await store.delete(name)
            assert await store.load(name) is None
            await store.save(Conversation(conversation_id=name, messages=[message(1, 0)]))
        fork = await store.load("fork")
        assert fork
        assert fork.messages == [message(0, 0), message(0, 1)]

    async_to_sync(talk)()
    assert [each.content for each in storage.list_messages("alone")] == ["1.0"]


def test_steps_are_kept_as_in_memory(kept: Storage) -> None:
    choose = random.Random(17)
    stores: list[Any] = [InMemoryStepStore(), ChronosStepStore(kept)]

    def calls(step: int) -> Sequence[Callable[[StepStore], Awaitable[Any]]]:
        run, now = choose.choice("rst"), BEGIN + timedelta(seconds=step)
        talk = choose.choice([None, "talk", "t\x00"])
        record = RunRecord(
            run_id=run, conversation_id=talk, parent_run_id=choose.choice([None, "r"]), agent_name="a", started_at=now
        )
        event = StepEvent(
            run_id=run,
            kind=choose.choice(["run_started", "tool_call_started", "run_failed", "run_completed"]),
            step_index=step,
            timestamp=now,
            conversation_id="talk",
            error=choose.choice([None, "broken"]),
            metadata={"k": "v"},
            idempotency_key=choose.choice([None, "0:1", "1:2", f"{step}:"]),
        )
        snapshot = ContinuableSnapshot(
            run_id=run,
            step_index=step,
            messages=[message(number, number) for number in range(step % 5)],
            conversation_id="talk",
            timestamp=now,
            state=choose.choice(["complete", "interrupted"]),
            idempotency_key=choose.choice([None, "word", f"{step}:1", f"{choose.randrange(9)}:x"]),
        )
        call = choose.choice(["c1", "c2", "c" * 300])
        effect = ToolEffectRecord(
            tool_call_id=call,
            tool_name="pay",
            run_id=run,
            status=choose.choice(["started", "completed", "failed"]),
            started_at=now,
            effect_summary=choose.choice([None, "paid"]),
        )
        writes: list[Callable[[StepStore], Awaitable[Any]]] = [
            lambda store: store.register_run(record),
            lambda store: store.append_event(event),
            lambda store: store.save_snapshot(snapshot),
            lambda store: store.record_tool_effect(effect),
        ]
        flag = choose.random() < 0.5
        reads: list[Callable[[Any], Awaitable[Any]]] = [
            lambda store: store.get_run(run_id=run),
            lambda store: store.list_runs(conversation_id=talk),
            lambda store: store.list_runs(parent_run_id="r", conversation_id=talk),
            lambda store: store.list_events(run_id=run),
            lambda store: store.latest_snapshot(run_id=run, include_interrupted=flag),
            lambda store: store.list_snapshots(run_id=run, include_interrupted=flag),
            lambda store: store.get_tool_effect(run_id=run, tool_call_id=call),
            lambda store: store.list_unresolved_tool_effects(run_id=run),
        ]
        return [choose.choice(writes), *reads]

    async def compare() -> None:
        for step in range(60):
            for call in calls(step):
                first, second = [await outcome(call(store)) for store in stores]
                assert first == second, step

    async_to_sync(compare)()


def test_a_run_that_broke_is_resumed(storage: Storage) -> None:
    store = ChronosStepStore(storage)
    paid: list[str] = []

    def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        said = [part.content for each in messages for part in each.parts if isinstance(part, ToolReturnPart)]
        call = ToolCallPart("pay", {"amount": 5}, f"c{len(messages)}")
        return ModelResponse([TextPart("Paid.")] if "done" in said else [call])

    def agent_of(run_id: str) -> Agent[None, str]:
        agent = Agent(FunctionModel(answer), capabilities=[StepPersistence(store=store, run_id=run_id)])

        @agent.tool_plain
        def pay(amount: int) -> str:
            paid.append(run_id)
            if len(paid) == 1:
                raise ConnectionError("the bank is gone")
            return "done"

        return agent

    with pytest.raises(ConnectionError):
        async_to_sync(agent_of("first").run)("Pay", conversation_id="talk")

    async def resume() -> str:
        assert isinstance(store, StepStore)
        assert [each.tool_name for each in await store.list_unresolved_tool_effects(run_id="first")] == []
        failed = await store.get_tool_effect(run_id="first", tool_call_id="c1")
        assert failed
        assert failed.status == "failed"
        history = await continue_run(store, run_id="first", include_interrupted=True)
        result = await agent_of("second").run(message_history=history, conversation_id="talk")
        assert [run.run_id for run in await store.list_runs(conversation_id="talk")] == ["first", "second"]
        return result.output

    assert async_to_sync(resume)() == "Paid."
    assert paid == ["first", "second"]
    sessions = storage.list_sessions(container_id="talk", order="-created_at")
    assert [(each.id, each.status) for each in sessions] == [("run~second", "completed"), ("run~first", "failed")]
    assert [each.type for each in storage.list_events("run~first")][-1] == "run_failed"


def message(step: int, number: int) -> ModelMessage:
    """A message that is the same whenever it is asked for."""
    text = f"{step}.{number}"
    if number % 2:
        return ModelResponse([TextPart(text)], timestamp=BEGIN, usage=RequestUsage(input_tokens=step))
    return ModelRequest([UserPromptPart(text, timestamp=BEGIN)])


async def outcome(call: Awaitable[Any]) -> Any:
    """What a call gives, or the class of what it raises."""
    try:
        return await call
    except Exception as error:
        return type(error)


def test_other_frameworks_get_the_conversation_as_their_provider_takes_it(storage: Storage) -> None:
    messages = [
        ModelRequest([SystemPromptPart("Be brief."), UserPromptPart("How warm?")]),
        ModelResponse([ToolCallPart("ask", {"city": "Oslo"}, "c1"), ToolCallPart("ask", {"city": "Rome"}, "c2")]),
        ModelRequest([ToolReturnPart("ask", 3, "c1"), ToolReturnPart("ask", 17, "c2"), UserPromptPart("And so?")]),
        ModelResponse([TextPart("Cold and warm.")]),
    ]
    async_to_sync(ChronosConversationStore(storage).save)(Conversation(conversation_id="talk", messages=messages))
    context = storage.context("talk", provider="openai")
    assert [each["role"] for each in context] == ["system", "user", "assistant", "tool", "tool", "user", "assistant"]
    assert [call["function"]["arguments"] for call in context[2]["tool_calls"]] == [
        '{"city":"Oslo"}',
        '{"city":"Rome"}',
    ]
    assert [(each["tool_call_id"], each["content"]) for each in context[3:5]] == [("c1", "3"), ("c2", "17")]
    blocks = [each["content"] for each in storage.context("talk", provider="anthropic") if each["role"] != "system"]
    assert [block["type"] for block in blocks[1]] == ["tool_use", "tool_use"]


@pytest.mark.parametrize("alias", ONLY_SQLITE)
def test_the_demo_is_interrupted_and_goes_on(storage_committed: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    questions = QUESTIONS[3:5]
    monkeypatch.setattr(demo, "QUESTIONS", questions)
    storage, stop = storage_committed, threading.Event()
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("        count_definitions("):
            stop.set()

    with pytest.raises(Stopped):
        demo.answer_questions(storage, stop, say)
    stop.clear()
    session_id = demo.answer_questions(storage, stop, lambda line: None)
    messages = storage.list_messages(session_id)
    assert [each.content for each in messages if each.role == "user"] == list(questions)
    assert demo.answer_questions(storage, stop, lambda line: None) == session_id
    tree = storage.trace_tree(session_id)
    assert [node.trace.name for node in tree].count("invoke_agent explorer") == len(questions) + 1
    assert {child.trace.kind for node in tree for child in node.children} == {"model_call", "tool_call"}
    runs = storage.list_sessions(container_id=session_id, limit=None)
    assert sorted(each.status for each in runs) == ["completed"] * len(questions) + ["failed"]
