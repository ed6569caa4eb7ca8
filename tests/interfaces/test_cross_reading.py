"""What one interface writes, the other two and the facade read."""

from __future__ import annotations

from asgiref.sync import sync_to_async

from chronos_storage import Storage
from chronos_storage.interfaces import agentos, agentx, ago
from chronos_storage.records import Image, Message, Session, TokenUsage

NOW = 1_790_000_000_000
CALL = {"type": "tool-call", "id": "call_1", "name": "look", "input": {"x": 1.0}}


class Interfaces:
    """All of them over one storage."""

    def __init__(self, store: Storage) -> None:
        self.agentos = agentos.StorageAdapter(store)
        self.agentx = agentx.Persistence(store)
        self.ago = ago.Service(store)

    async def events(self, session_id: str) -> list[ago.Event]:
        found: list[ago.Event] = await sync_to_async(self.ago.get_events)(session_id)
        return found


async def over(store: Storage) -> Interfaces:
    interfaces = Interfaces(store)
    await interfaces.agentos.initialize()
    return interfaces


async def test_what_agentos_writes(store: Storage) -> None:
    others = await over(store)
    adapter = others.agentos
    await adapter.create_conversation(
        agentos.Conversation(
            id="s", user_id="ada", agent_id="a", title="t", metadata={"k": 1}, created_at=NOW, last_activity=NOW
        )
    )
    usage = TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    await adapter.store_message(
        agentos.ConversationMessage(id="m1", conversation_id="s", role="user", content="hi", timestamp=NOW + 1)
    )
    await adapter.store_message(
        agentos.ConversationMessage(
            id="m2",
            conversation_id="s",
            role="assistant",
            content="",
            usage=usage,
            tool_calls=[CALL],
            timestamp=NOW + 2,
        )
    )
    session = await store.aget_session("s")
    assert session is not None
    assert (session.user_id, session.agent_id, session.title, session.metadata) == ("ada", "a", "t", {"k": 1})
    said, called = await store.alist_messages("s")
    assert (said.kind, said.content, called.usage, called.tool_calls) == ("user", "hi", usage, [CALL])

    record = await others.agentx.sessions.find_session_by_id("s")
    assert record == agentx.SessionRecord(
        session_id="s", image_id="", container_id="", created_at=NOW, updated_at=record and record.updated_at
    )
    first, second = await others.agentx.sessions.get_messages("s")
    assert (first.subtype, first.content, first.timestamp) == ("user", "hi", NOW + 1)
    assert (second.subtype, second.tool_calls, second.usage) == ("assistant", [CALL], usage)

    found = await sync_to_async(others.ago.get_session)("s")
    assert found is not None
    assert (found.user_id, found.title, found.metadata) == ("ada", "t", {"k": 1})
    first_event, second_event = await others.events("s")
    assert first_event.content == {"role": "user", "parts": [{"text": "hi"}]}
    assert second_event.content["tool_calls"] == [CALL]
    assert second_event.usage == {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


async def test_what_agentx_writes(store: Storage) -> None:
    others = await over(store)
    persistence = others.agentx
    await persistence.containers.save_container(agentx.ContainerRecord(container_id="c"))
    await persistence.images.save_image(
        agentx.ImageRecord(image_id="i", container_id="c", session_id="s", name="n", system_prompt="Be kind.")
    )
    await persistence.sessions.save_session(agentx.SessionRecord(session_id="s", image_id="i", container_id="c"))
    result = {"type": "tool-result", "id": "call_1", "name": "look", "output": {"type": "text", "value": "3"}}
    for message in (
        agentx.Message(id="m1", subtype="user", content=[{"type": "text", "text": "hi"}], timestamp=NOW),
        agentx.Message(id="m2", subtype="tool-call", tool_calls=[CALL], timestamp=NOW + 1),
        agentx.Message(id="m3", subtype="tool-result", tool_result=result, tool_call_id="call_1", timestamp=NOW + 2),
        agentx.Message(id="m4", subtype="error", content="no", error_code="quota", timestamp=NOW + 3),
    ):
        await persistence.sessions.add_message("s", message)

    assert await store.acontainer_exists("c")
    image = await store.aget_image("i")
    assert image is not None
    assert (image.container_id, image.system_prompt) == ("c", "Be kind.")
    session = await store.aget_session("s")
    assert session is not None
    assert (session.image_id, session.container_id) == ("i", "c")

    conversation = await others.agentos.get_conversation("s")
    assert conversation is not None
    assert conversation.last_activity is not None
    assert conversation.last_activity >= NOW + 3
    said, called, answered, failed = await others.agentos.get_messages("s")
    assert said.content == [{"type": "text", "text": "hi"}]
    assert (called.role, called.tool_calls) == ("assistant", [CALL])
    assert (answered.role, answered.content, answered.tool_call_id, answered.name) == ("tool", result, "call_1", "look")
    assert (failed.role, failed.metadata) == ("error", {"error_code": "quota"})

    roles = [event.content["role"] for event in await others.events("s")]
    assert roles == ["user", "assistant", "tool", "error"]


async def test_what_ago_writes(store: Storage) -> None:
    others = await over(store)
    content = {"role": "model", "parts": [{"text": "hi"}]}

    def write() -> None:
        others.ago.create_session(ago.Session(id="s", user_id="ada", author="app", title="t", metadata={"k": 1}))
        others.ago.create_events(
            [
                ago.Event(id="e1", session_id="s", content=content, agent="planner", usage={"totalTokenCount": 5}),
                ago.Event(id="e2", session_id="s", content={"role": "user", "parts": []}, error="quota"),
            ]
        )

    await sync_to_async(write)()
    message = await store.aget_message("e1")
    assert message is not None
    assert (message.content, message.metadata["agent"]) == (content, "planner")

    conversation = await others.agentos.get_conversation("s")
    assert conversation is not None
    assert (conversation.user_id, conversation.title, conversation.metadata) == ("ada", "t", {"k": 1})
    first, second = await others.agentos.get_messages("s")
    assert (first.role, first.content) == ("model", content)
    assert second.metadata == {"error": "quota"}
    assert (await others.agentos.get_conversation_token_usage("s")).total_tokens == 5

    record, failed = await others.agentx.sessions.get_messages("s")
    assert (record.id, record.role, record.content) == ("e1", "model", content)
    assert failed.metadata == {"error": "quota"}


async def test_what_the_facade_writes(store: Storage) -> None:
    others = await over(store)
    await store.acreate_session(Session(id="s", user_id="ada", container_id="c", image_id="i"))
    await store.asave_image(Image(id="i", container_id="c", session_id="s", name="n"))
    await store.aadd_message(Message(id="m", session_id="s", role="developer", content={"any": "thing"}))
    assert [each.id for each in await others.agentos.list_conversations("ada")] == ["s"]
    assert [each.content for each in await others.agentos.get_messages("s")] == [{"any": "thing"}]
    assert [each.session_id for each in await others.agentx.sessions.find_sessions_by_container_id("c")] == ["s"]
    [image] = await others.agentx.images.find_all_images()
    assert image.image_id == "i"
    assert [each.role for each in await others.agentx.sessions.get_messages("s")] == ["developer"]
    [event] = await others.events("s")
    assert event.content == {"role": "developer", "parts": [{"any": "thing"}]}


async def test_what_one_deletes_is_gone_from_all(store: Storage) -> None:
    others = await over(store)
    for id, delete in (
        ("agentos", others.agentos.delete_conversation),
        ("agentx", others.agentx.sessions.delete_session),
        ("ago", sync_to_async(others.ago.delete_session)),
    ):
        await others.agentos.create_conversation(agentos.Conversation(id=id, user_id="ada"))
        assert await delete(id) is True
        assert await others.agentos.get_conversation(id) is None
        assert await others.agentx.sessions.find_session_by_id(id) is None
        assert await sync_to_async(others.ago.get_session)(id) is None
        assert await store.aget_session(id) is None
