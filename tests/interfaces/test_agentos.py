"""AgentOS' storage adapter: its fourteen methods, each with its own meaning."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db.backends.postgresql.psycopg_any import IsolationLevel

from chronos_storage import Storage, connect
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.exceptions import AlreadyExists, InvalidRecord, NotFound, NotInitialized
from chronos_storage.interfaces.agentos import Conversation, ConversationMessage, StorageAdapter, TokenUsage
from chronos_storage.records import Event, Message, Session
from chronos_storage.testing.conformance.helpers import case, together, writers
from tests.databases import new_databases

NOW = 1_790_000_000_000


@asynccontextmanager
async def adapter_over(store: Storage) -> AsyncIterator[StorageAdapter]:
    adapter = StorageAdapter(store)
    await adapter.initialize()
    yield adapter
    await adapter.close()


async def talk(adapter: StorageAdapter, *timestamps: int, id: str = "c", **fields: Any) -> None:
    """A conversation with a message at each time, its ids m0, m1 and so on."""
    await adapter.create_conversation(Conversation(id=id, user_id="u", created_at=NOW, last_activity=NOW))
    for number, timestamp in enumerate(timestamps):
        role = "assistant" if number % 2 else "user"
        message = ConversationMessage(id=f"m{number}", conversation_id=id, role=role, content="", timestamp=timestamp)
        for name, value in fields.items():
            setattr(message, name, value)
        await adapter.store_message(message)


def ids(found: list[Any]) -> list[str]:
    return [each.id for each in found]


# The examples of document 002


async def test_the_interface_s_example(store: Storage) -> None:
    storage = StorageAdapter(store)
    await storage.initialize()
    now = time.time_ns() // 1_000_000
    given = Conversation(id="conv-123", user_id="user-456", created_at=now, last_activity=now)
    assert await storage.create_conversation(given) == given
    await storage.store_message(
        ConversationMessage(id="msg-001", conversation_id="conv-123", role="user", content="Hello!", timestamp=now)
    )
    [message] = await storage.get_messages("conv-123", limit=10)
    assert (message.id, message.role, message.content, message.timestamp) == ("msg-001", "user", "Hello!", now)
    await storage.close()


async def test_a_conversation_for_an_agent(store: Storage) -> None:
    async with adapter_over(store) as storage:
        given = Conversation(
            id="0190c1de-7b1a-7000-8000-000000000000",
            user_id="user-123",
            agent_id="agent-coding",
            created_at=NOW,
            last_activity=NOW + 1,
            title="New coding project",
            metadata={"tags": ["coding"], "starred": True},
        )
        assert await storage.create_conversation(given) == given
        found = await storage.get_conversation(given.id)
        assert found == given
        assert await storage.get_conversation("conv-123") is None
        with pytest.raises(AlreadyExists):
            await storage.create_conversation(given)


async def test_renaming_a_conversation(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await storage.create_conversation(
            Conversation(id="conv-123", user_id="u", agent_id="a", created_at=NOW, last_activity=NOW, metadata={"k": 1})
        )
        updated = await storage.update_conversation("conv-123", title="Renamed conversation", last_activity=NOW + 5)
        assert updated == Conversation(
            id="conv-123",
            user_id="u",
            agent_id="a",
            created_at=NOW,
            last_activity=NOW + 5,
            title="Renamed conversation",
            metadata={"k": 1},
        )
        assert await storage.get_conversation("conv-123") == updated


async def test_deleting_a_conversation(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, NOW)
        assert await storage.delete_conversation("c") is True
        assert await storage.delete_conversation("c") is False
        assert await storage.delete_conversation("conv-123") is False


async def test_the_most_recent_conversations_of_a_user(store: Storage) -> None:
    async with adapter_over(store) as storage:
        for number in range(25):
            agent = "agent-coding" if number % 5 == 0 else "agent-writing"
            await storage.create_conversation(
                Conversation(
                    id=f"c{number:02}",
                    user_id="user-123",
                    agent_id=agent,
                    created_at=NOW - number,
                    last_activity=NOW + (number * 7) % 25,
                )
            )
        await storage.create_conversation(Conversation(id="other", user_id="user-456"))
        expected = sorted(range(25), key=lambda number: -(number * 7 % 25))
        listed = await storage.list_conversations("user-123", limit=20)
        assert ids(listed) == [f"c{number:02}" for number in expected[:20]]
        coding = await storage.list_conversations("user-123", agent_id="agent-coding")
        assert ids(coding) == [f"c{number:02}" for number in expected if number % 5 == 0]
        page = await storage.list_conversations("user-123", limit=3, offset=20)
        assert ids(page) == [f"c{number:02}" for number in expected[20:23]]
        rest = await storage.list_conversations("user-123", offset=20)
        assert ids(rest) == [f"c{number:02}" for number in expected[20:]]


async def test_storing_and_finding_a_message(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await storage.create_conversation(Conversation(id="conv-123", user_id="u", created_at=NOW, last_activity=NOW))
        given = ConversationMessage(
            id="msg-456", conversation_id="conv-123", role="user", content="Explain async/await", timestamp=NOW + 3
        )
        assert await storage.store_message(given) == given
        assert await storage.get_message("msg-456") == given
        assert await storage.get_message("msg-457") is None
        conversation = await storage.get_conversation("conv-123")
        assert conversation is not None
        assert conversation.last_activity == NOW + 3


async def test_loading_a_conversation_s_history(store: Storage) -> None:
    async with adapter_over(store) as storage:
        now = time.time_ns() // 1_000_000
        await talk(storage, *range(now - 7_200_000, now, 120_000))  # sixty in two hours
        assert ids(await storage.get_messages("c")) == [f"m{number}" for number in range(60)]
        recent = await storage.get_messages("c", limit=50, order="desc")
        assert ids(recent) == [f"m{number}" for number in reversed(range(10, 60))]
        answers = await storage.get_messages("c", roles=["assistant"], since=now - 3_600_000)
        assert ids(answers) == [f"m{number}" for number in range(31, 60, 2)]


async def test_deleting_a_message_leaves_the_last_activity(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW + 1, NOW + 2)
        assert await storage.delete_message("m1") is True
        assert await storage.delete_message("m1") is False
        conversation = await storage.get_conversation("c")
        assert conversation is not None
        assert conversation.last_activity == NOW + 2


async def test_deleting_all_messages(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, NOW, NOW)
        assert await storage.delete_messages_for_conversation("c") == 3
        assert await storage.delete_messages_for_conversation("c") == 0
        assert await storage.delete_messages_for_conversation("conv-123") == 0
        assert await storage.get_conversation("c") is not None


async def test_counting_messages(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, NOW, NOW)
        assert await storage.get_message_count("c") == 3
        assert await storage.get_message_count("conv-123") == 0


async def test_the_tokens_of_a_conversation(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, NOW, usage=TokenUsage(prompt_tokens=10, completion_tokens=50, total_tokens=60))
        usage = await storage.get_conversation_token_usage("c")
        assert usage == TokenUsage(prompt_tokens=20, completion_tokens=100, total_tokens=120)
        assert usage.total_tokens is not None
        assert f"{usage.total_tokens * 0.00001:.4f}" == "0.0012"


# What it says of each method besides


@pytest.mark.parametrize("reported", [0, 7])
async def test_cache_tokens_that_were_not_reported_are_not_0(store: Storage, reported: int) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, usage=TokenUsage(prompt_tokens=0, completion_tokens=1, total_tokens=1))
        usage = await storage.get_conversation_token_usage("c")
        assert (usage.prompt_tokens, usage.cache_read_tokens, usage.cache_creation_tokens) == (0, None, None)
        cached = ConversationMessage(
            id="cached",
            conversation_id="c",
            role="assistant",
            content="",
            usage=TokenUsage(prompt_tokens=1, completion_tokens=1, total_tokens=2, cache_read_tokens=reported),
        )
        await storage.store_message(cached)
        usage = await storage.get_conversation_token_usage("c")
        assert (usage.total_tokens, usage.cache_read_tokens, usage.cache_creation_tokens) == (3, reported, None)
        found = await storage.get_message("cached")
        assert found is not None
        assert found.usage == cached.usage


async def test_a_whole_message_comes_back(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage)
        calls = [{"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"x": 1.0}'}}]
        for given in (
            ConversationMessage(
                id="m1",
                conversation_id="c",
                role="assistant",
                content="",
                timestamp=NOW + 1,
                model="gpt-4o",
                usage=TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3, cache_creation_tokens=0),
                tool_calls=calls,
                metadata={"latency": 12},
            ),
            ConversationMessage(
                id="m2",
                conversation_id="c",
                role="tool",
                content="3",
                timestamp=NOW + 2,
                tool_call_id="call_1",
                name="look",
            ),
        ):
            assert await storage.store_message(given) == given
            assert await storage.get_message(given.id) == given


async def test_times_are_inclusive_whole_milliseconds(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW - 1, NOW, NOW + 1)
        assert ids(await storage.get_messages("c", since=NOW, until=NOW)) == ["m1"]
        assert ids(await storage.get_messages("c", since=NOW)) == ["m1", "m2"]
        assert ids(await storage.get_messages("c", until=NOW)) == ["m0", "m1"]
        # another interface's finer times belong to the millisecond that this one shows
        late = datetime.fromtimestamp(NOW // 1000, UTC).replace(microsecond=999)
        await store.aadd_message(Message(id="fine", session_id="c", role="user", content="", created_at=late))
        fine = await storage.get_message("fine")
        assert fine is not None
        assert fine.timestamp == NOW
        assert ids(await storage.get_messages("c", since=NOW, until=NOW)) == ["m1", "fine"]


async def test_zero_is_ignored(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, NOW + 1)
        everything = await storage.get_messages("c", limit=0, offset=0, since=0, until=0, roles=[])
        assert ids(everything) == ["m0", "m1"]
        assert ids(await storage.list_conversations("u", limit=0, offset=0, agent_id="")) == ["c"]
        assert ids(await storage.get_messages("c", offset=1)) == ["m1"]


async def test_last_activity_never_goes_back(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW + 10, NOW + 5)
        conversation = await storage.update_conversation("c", last_activity=NOW)
        assert conversation.last_activity == NOW + 10


async def test_updates_clear_what_is_none(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await storage.create_conversation(
            Conversation(id="c", user_id="u", agent_id="a", title="t", metadata={"k": 1}, created_at=NOW)
        )
        conversation = await storage.update_conversation("c", title=None, agent_id=None, metadata=None)
        assert (conversation.title, conversation.agent_id, conversation.metadata) == (None, None, None)
        conversation = await storage.update_conversation("c", metadata={"n": 2})
        assert conversation.metadata == {"n": 2}
        assert conversation.user_id == "u"


async def test_what_can_t_be_updated_is_refused(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage)
        for name in ("id", "created_at", "deleted_at", "status", "lastActivity"):
            with case(name), pytest.raises(InvalidRecord) as refused:
                await storage.update_conversation("c", **{name: "x"})
            assert refused.value.field == name


async def test_a_deleted_conversation_shows_nothing(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, NOW, usage=TokenUsage(total_tokens=1))
        await storage.delete_conversation("c")
        assert await storage.get_conversation("c") is None
        assert await storage.list_conversations("u") == []
        assert await storage.get_message("m0") is None
        assert await storage.get_messages("c") == []
        assert await storage.get_message_count("c") == 0
        assert await storage.delete_message("m0") is False
        assert await storage.delete_messages_for_conversation("c") == 0
        usage = await storage.get_conversation_token_usage("c")
        assert usage == TokenUsage(prompt_tokens=0, completion_tokens=0, total_tokens=0)
        with pytest.raises(NotFound):
            await storage.update_conversation("c", title="t")
        # softly: the facade still has it
        assert await store.aget_session("c", include_deleted=True) is not None
        assert await store.acount_messages("c") == 2


async def test_a_deleted_conversation_that_is_created_again_begins_anew(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW, NOW)
        await store.aappend_event(Event(session_id="c", type="chat_message"))
        await store.apatch_session("c", title="old", metadata={"old": True}, status="ended")
        await storage.delete_conversation("c")
        given = Conversation(id="c", user_id="u", created_at=NOW, last_activity=NOW + 7, title="new")
        assert await storage.create_conversation(given) == given
        assert await storage.get_conversation("c") == given
        assert await storage.list_conversations("u") == [given]
        assert await storage.get_messages("c") == []
        assert await storage.get_message("m0") is None
        message = ConversationMessage(id="m0", conversation_id="c", role="user", content="again", timestamp=NOW + 8)
        assert await storage.store_message(message) == message
        assert ids(await storage.get_messages("c")) == ["m0"]
        with pytest.raises(AlreadyExists):
            await storage.create_conversation(given)
        # its ledger goes on, its numbers are not given again
        assert (await store.aappend_event(Event(session_id="c"))).seq_num == 2
        assert (await store.averify_events("c")).checked == 2
        assert (await store.aget_message("m0", session_id="c")).seq_num == 3
        assert (await store.aget_session("c")).status == "active"


def test_one_of_several_that_begin_it_anew_at_once_does(store_committed: Storage) -> None:
    begin_anew_at_once(store_committed)


@pytest.mark.usefixtures("other_databases")
def test_it_is_begun_anew_at_once_under_repeatable_read_too(tmp_path: Path) -> None:
    with new_databases("postgres", tmp_path) as (url,):
        begin_anew_at_once(connect(url, migrate=True, options={"isolation_level": IsolationLevel.REPEATABLE_READ}))


def begin_anew_at_once(store: Storage) -> None:
    store.create_session(Session(id="c", user_id="u"))
    adapter = StorageAdapter(store)
    async_to_sync(adapter.initialize)()

    async def create(number: int) -> str:
        try:
            await adapter.create_conversation(Conversation(id="c", user_id="u", title=f"{number}"))
        except AlreadyExists:
            return ""
        return f"{number}"

    for _ in range(3):
        store.add_message(Message(session_id="c", role="user"))
        store.delete_session("c")
        titles = together(store, *writers(async_to_sync(create)))
        session = store.get_session("c")
        assert session is not None
        assert list(filter(None, titles)) == [session.title]
        assert store.count_messages("c") == 0


async def test_another_user_s_deleted_conversation_is_not_begun_anew(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW)
        await storage.delete_conversation("c")
        with pytest.raises(AlreadyExists):
            await storage.create_conversation(Conversation(id="c", user_id="eve"))
        assert await storage.get_conversation("c") is None
        assert await store.acount_messages("c") == 1


async def test_a_message_s_id_is_unique_among_live_conversations(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage, NOW)
        await storage.create_conversation(Conversation(id="c2", user_id="u"))
        taken = ConversationMessage(id="m0", conversation_id="c2", role="user", content="x", timestamp=NOW)
        with pytest.raises(AlreadyExists, match="m0"):
            await storage.store_message(taken)
        assert await storage.get_messages("c2") == []
        for missing in ("c3", "c4"):
            with pytest.raises(NotFound):
                await storage.store_message(replace(taken, conversation_id=missing))
            await storage.create_conversation(Conversation(id="c4", user_id="u"))
            await storage.delete_conversation("c4")
        await storage.delete_conversation("c")
        assert await storage.store_message(taken) == taken
        assert await storage.store_message(taken) == taken


async def test_an_id_of_several_conversations_is_the_newest_s(store: Storage) -> None:
    """Which the storage itself allows."""
    async with adapter_over(store) as storage:
        for id, timestamp in (("a", NOW + 1), ("b", NOW + 2), ("c", NOW)):
            await storage.create_conversation(Conversation(id=id, user_id="u"))
            time = datetime.fromtimestamp(timestamp / 1000, UTC)
            await store.aadd_message(Message(id="m", session_id=id, role="user", content=id, created_at=time))
        repeated = ConversationMessage(id="m", conversation_id="c", role="user", content="c", timestamp=NOW)
        assert await storage.store_message(repeated) == repeated
        for newest in ("b", "a", "c"):
            found = await storage.get_message("m")
            assert found is not None
            assert found.conversation_id == newest
            if newest == "b":
                await storage.delete_conversation("b")
            else:
                assert await storage.delete_message("m") is True
        assert await storage.get_message("m") is None
        assert await storage.delete_message("m") is False
        assert await store.acount_messages("b") == 1


async def test_a_message_needs_its_conversation(store: Storage) -> None:
    async with adapter_over(store) as storage:
        message = ConversationMessage(id="m", conversation_id="c", role="user", content="x", timestamp=NOW)
        with pytest.raises(NotFound):
            await storage.store_message(message)
        with pytest.raises(NotFound):
            await storage.update_conversation("c", title="t")
        await talk(storage)
        await storage.store_message(message)
        await storage.store_message(message)
        assert await storage.get_message_count("c") == 1
        message.content = "y"
        with pytest.raises(AlreadyExists):
            await storage.store_message(message)


async def test_bad_conversations_name_the_field(store: Storage) -> None:
    bad = [
        ("id", ""),
        ("user_id", ""),
        ("created_at", 1.5),
        ("created_at", "now"),
        ("last_activity", 10**18),
        ("title", 1),
    ]
    async with adapter_over(store) as storage:
        for field, value in bad:
            given = {"id": "c", "user_id": "u", field: value}
            with case(field, value), pytest.raises(InvalidRecord) as refused:
                await storage.create_conversation(Conversation(**given))
            assert refused.value.field == field
        assert await storage.list_conversations("u") == []


async def test_bad_messages_name_the_field(store: Storage) -> None:
    bad = [
        ("id", ""),
        ("conversation_id", ""),
        ("conversation_id", 1),
        ("role", ""),
        ("timestamp", True),
        ("content", 1),
    ]
    async with adapter_over(store) as storage:
        await talk(storage)
        for field, value in bad:
            given = {"id": "m", "conversation_id": "c", "role": "user", "content": "", field: value}
            with case(field, value), pytest.raises(InvalidRecord) as refused:
                await storage.store_message(ConversationMessage(**given))
            assert refused.value.field == field
        assert await storage.get_message_count("c") == 0


async def test_bad_questions_name_the_argument(store: Storage) -> None:
    async with adapter_over(store) as storage:
        await talk(storage)
        for arguments in ({"limit": -1}, {"offset": -1}, {"order": "newest"}, {"since": "x"}, {"roles": "user"}):
            with pytest.raises(InvalidRecord) as refused:
                await storage.get_messages("c", **arguments)
            assert refused.value.field in arguments
        with pytest.raises(InvalidRecord) as refused:
            await storage.get_message_count(7)
        assert refused.value.field == "conversation_id"


async def test_none_is_never_any_and_a_record_is_a_record() -> None:
    async with adapter_over(Storage(MemoryBackend())) as storage:
        await talk(storage, NOW)
        for method, field in (
            ("create_conversation", "conversation"),
            ("get_conversation", "conversation_id"),
            ("update_conversation", "conversation_id"),
            ("delete_conversation", "conversation_id"),
            ("list_conversations", "user_id"),
            ("store_message", "message"),
            ("get_message", "message_id"),
            ("get_messages", "conversation_id"),
            ("delete_message", "message_id"),
            ("delete_messages_for_conversation", "conversation_id"),
            ("get_message_count", "conversation_id"),
            ("get_conversation_token_usage", "conversation_id"),
        ):
            for wrong in (None, {"id": "c"}):
                with pytest.raises(InvalidRecord) as refused:
                    await getattr(storage, method)(wrong)
                assert (method, refused.value.field) == (method, field)
        assert await storage.get_message_count("c") == 1


CALLS: dict[str, tuple[Any, ...]] = {
    "create_conversation": (Conversation(id="c", user_id="u"),),
    "get_conversation": ("c",),
    "update_conversation": ("c",),
    "delete_conversation": ("c",),
    "list_conversations": ("u",),
    "store_message": (ConversationMessage(id="m", conversation_id="c", role="user", content=""),),
    "get_message": ("m",),
    "get_messages": ("c",),
    "delete_message": ("m",),
    "delete_messages_for_conversation": ("c",),
    "get_message_count": ("c",),
    "get_conversation_token_usage": ("c",),
}


@pytest.mark.parametrize("method", CALLS)
async def test_a_call_before_initialize_is_refused(method: str) -> None:
    storage = StorageAdapter(Storage(MemoryBackend()))
    with pytest.raises(NotInitialized, match="initialize"):
        await getattr(storage, method)(*CALLS[method])
    await storage.initialize()
    await storage.initialize()
    await storage.close()
    await storage.close()
    with pytest.raises(NotInitialized):
        await getattr(storage, method)(*CALLS[method])


@pytest.mark.django_db
async def test_without_a_storage_it_is_the_default_one() -> None:
    from chronos_storage import storage as default

    async with adapter_over(default) as first:
        await talk(first)
        second = StorageAdapter()
        await second.initialize()
        assert await second.get_conversation("c") is not None


# JSON


def test_records_cross_as_json() -> None:
    exported = {
        "id": "m",
        "conversationId": "c",
        "role": "assistant",
        "content": "hi",
        "timestamp": NOW,
        "usage": {"promptTokens": 1, "completionTokens": 2, "totalTokens": 3, "cacheReadTokens": 0},
        "toolCalls": [{"id": "call_1", "camelCase": 1}],
        "metadata": {"userId": 1},
    }
    message = ConversationMessage.from_json(exported)
    assert message.conversation_id == "c"
    assert message.usage == TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3, cache_read_tokens=0)
    assert message.to_json() == exported
    conversation = {"id": "c", "userId": "u", "createdAt": NOW, "lastActivity": NOW}
    assert Conversation.from_json(conversation).to_json() == conversation


def test_an_unknown_key_of_json_is_metadata() -> None:
    conversation = Conversation.from_json({"id": "c", "userId": "u", "language": "en", "metadata": {"k": 1}})
    assert conversation.metadata == {"language": "en", "k": 1}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"id": "c"}, "userId"),
        ([], "Conversation"),
        ({"id": "c", "userId": "u", "metadata": [], "more": 1}, "metadata"),
    ],
)
def test_what_is_no_conversation_is_refused(data: Any, field: str) -> None:
    with pytest.raises(InvalidRecord) as refused:
        Conversation.from_json(data)
    assert refused.value.field == field


def test_camel_case_is_no_python() -> None:
    names = [
        name for record in (Conversation, ConversationMessage) for name in (field.name for field in fields(record))
    ]
    assert [name for name in names if not name.islower()] == []
    with pytest.raises(TypeError):
        Conversation(id="c", userId="u")
