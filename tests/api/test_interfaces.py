"""What the other systems' interfaces write, the REST API and the admin show."""

from __future__ import annotations

from asgiref.sync import async_to_sync

from chronos_storage.facade import Storage
from chronos_storage.interfaces import agentos, agentx, ago
from tests.api.conftest import Api


async def _by_agentos(site: Storage) -> None:
    adapter = agentos.StorageAdapter(site)
    await adapter.initialize()
    await adapter.create_conversation(agentos.Conversation(id="of-agentos", user_id="ada"))
    await adapter.store_message(
        agentos.ConversationMessage(id="m", conversation_id="of-agentos", role="user", content="asked by AgentOS")
    )


async def _by_agentx(site: Storage) -> None:
    persistence = agentx.Persistence(site)
    await persistence.containers.save_container(agentx.ContainerRecord(container_id="c"))
    await persistence.images.save_image(
        agentx.ImageRecord(image_id="i", container_id="c", session_id="of-agentx", name="n")
    )
    await persistence.sessions.save_session(
        agentx.SessionRecord(session_id="of-agentx", image_id="i", container_id="c")
    )
    await persistence.sessions.add_message(
        "of-agentx", agentx.Message(id="m", subtype="user", content="asked by AgentX")
    )


def _by_ago(site: Storage) -> None:
    service = ago.Service(site)
    service.create_session(ago.Session(id="of-ago", user_id="ada"))
    content = {"role": "user", "parts": [{"text": "asked by Ago"}]}
    service.create_event(ago.Event(id="e", session_id="of-ago", content=content, agent="planner"))


def test_what_the_interfaces_write_is_shown(site: Storage, staff: Api) -> None:
    async_to_sync(_by_agentos)(site)
    async_to_sync(_by_agentx)(site)
    _by_ago(site)
    sessions = {session["id"]: session for session in staff.get("sessions")["results"]}
    assert {id: session["user_id"] for id, session in sessions.items()} == {
        "of-agentos": "ada",
        "of-agentx": "",
        "of-ago": "ada",
    }
    assert (sessions["of-agentx"]["image_id"], sessions["of-agentx"]["container_id"]) == ("i", "c")
    assert staff.get("images/i")["session_id"] == "of-agentx"
    for id, said in (("of-agentos", "AgentOS"), ("of-agentx", "AgentX"), ("of-ago", "Ago")):
        [message] = staff.get(f"sessions/{id}/messages")["results"]
        assert f"asked by {said}" in str(message["content"])
        assert message["role"] == "user"
        page = staff.client.get(f"/admin/chronos_storage/session/{id}/change/")
        assert page.status_code == 200
        assert f"asked by {said}" in page.content.decode()
    assert message["metadata"]["agent"] == "planner"


def test_what_is_written_over_rest_the_interfaces_read(site: Storage, ada: Api) -> None:
    id = ada.post("sessions", {"agent_id": "support", "title": "A refund"})["id"]
    ada.post(f"sessions/{id}/messages", {"role": "user", "content": "Where is it?"})

    async def read() -> tuple[list[str], list[str]]:
        adapter = agentos.StorageAdapter(site)
        await adapter.initialize()
        found = await adapter.get_messages(id)
        records = await agentx.Persistence(site).sessions.get_messages(id)
        return [each.content for each in found], [each.content for each in records]

    assert async_to_sync(read)() == (["Where is it?"], ["Where is it?"])
    service = ago.Service(site)
    assert [session.id for session in service.list_sessions(ada.user_id, 0, 0)] == [id]
    assert [event.content for event in service.get_events(id)] == [
        {"role": "user", "parts": [{"text": "Where is it?"}]}
    ]
