"""The server for the Model Context Protocol: one owner's data for any client, and nobody else's, whatever it asks."""

from __future__ import annotations

import json
import sys
from asyncio import get_running_loop
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters

from chronos_storage import Storage, VectorStore, connect, connect_vectors
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.integrations.mcp import server
from chronos_storage.records import Embedding, MemoryRecord, Message, Session
from chronos_storage.testing.conformance.helpers import case

pytestmark = pytest.mark.anyio
ROOT = Path(__file__).resolve().parents[2]
#: What stands in everything of somebody else's.
SECRET = "hemlock"


def converse(storage: Storage) -> None:
    """Conversations and memory of two users with two agents."""
    for user, agent, text in [("ada", "a1", "tea"), ("ada", "a2", "milk"), ("eve", "a1", SECRET), ("", "a1", SECRET)]:
        session = Session(id=f"{user}-{agent}", user_id=user, agent_id=agent, title=f"about {text}")
        storage.create_session(session)
        said = [Message(session_id=session.id, role="user", content=f"I like {text} no. {n}") for n in range(60)]
        storage.add_messages([*said, Message(session_id=session.id, role="assistant", content=text * 60_000)])
        storage.put_memory(MemoryRecord(agent_id=agent, user_id=user, kind="long_term", key="drink", value=text))
    deleted = storage.create_session(Session(id="gone", user_id="ada", agent_id="a1"))
    storage.delete_session(deleted.id)


@pytest.fixture
def storage() -> Storage:
    made = connect("memory://", migrate=True)
    converse(made)
    return made


@pytest.fixture
def vectors(other_databases: None, tmp_path: Path) -> VectorStore:
    made = connect_vectors(f"sqlite:///{tmp_path / 'vectors.db'}", migrate=True)
    made.create_collection("handbook", 2)
    made.upsert(
        "handbook",
        [
            Embedding(id=f"{user}-{n}", vector=[1, n], content=f"tea for {user or 'all'} {text}", user_id=user)
            for user, count, text in [("", 3, ""), ("ada", 1, "x" * 9000), ("eve", 120, SECRET)]
            for n in range(count)
        ],
    )
    return made


async def ask(client: Client, tool: str, **arguments: Any) -> Any:
    """What a tool answers, or the text of its error."""
    answer = await client.call_tool(tool, arguments)
    text = "".join(getattr(block, "text", "") for block in answer.content)
    assert len(text) < 100_000, "an answer is bounded"
    return text if answer.is_error else json.loads(text)


async def test_memory_is_kept_found_and_forgotten(storage: Storage) -> None:
    async with Client(server(user_id="ada", agent_id="a1", storage=storage)) as client:
        assert (await ask(client, "recall", key="drink"))["value"] == "tea"
        await ask(client, "remember", key="home", value="12 Analytical Way")
        await ask(client, "remember", key="home", value='{"street": "13 Engine Road"}')
        assert (await ask(client, "recall", key="home"))["value"] == '{"street": "13 Engine Road"}'
        assert [fact["key"] for fact in (await ask(client, "search_memories", words="ENGINE"))["facts"]] == ["home"]
        assert len((await ask(client, "search_memories"))["facts"]) == 2
        assert await ask(client, "forget", key="home") == {"forgotten": 1}
        assert "nothing is kept" in await ask(client, "recall", key="home")
        assert await ask(client, "forget", key="home") == {"forgotten": 0}


async def test_conversations_are_listed_read_and_searched(storage: Storage) -> None:
    async with Client(server(user_id="ada", storage=storage)) as client:
        listed = (await ask(client, "list_conversations"))["conversations"]
        assert [each["id"] for each in listed] == ["ada-a2", "ada-a1"]
        page = await ask(client, "read_conversation", id="ada-a1", limit=3)
        assert [each["number"] for each in page["messages"]] == [59, 60, 61]
        assert page["has_older"]
        page = await ask(client, "read_conversation", id="ada-a1", limit=50, before=4)
        assert [each["text"] for each in page["messages"]] == [f"I like tea no. {n}" for n in range(3)]
        assert not page["has_older"]
        found = await ask(client, "search_conversations", words="MILK NO. 7")
        assert found["is_complete"]
        assert [(each["id"], each["number"]) for each in found["matches"]] == [("ada-a2", 8)]
    async with Client(server(user_id="ada", agent_id="a1", storage=storage)) as client:
        assert len((await ask(client, "list_conversations"))["conversations"]) == 1
        assert "no conversation" in await ask(client, "read_conversation", id="ada-a2")
        assert (await ask(client, "search_conversations", words="milk"))["matches"] == []


async def test_a_match_is_shown_whatever_stands_before_it(storage: Storage) -> None:
    """Folding makes two characters of some, so places in the folded text are others."""
    texts = ["ß" * 500 + " a needle " + "İ" * 500, *["w" * 4_000] * 50]
    storage.add_messages([Message(session_id="ada-a2", role="user", content=text) for text in texts])
    async with Client(server(user_id="ada", storage=storage)) as client:
        [match] = (await ask(client, "search_conversations", words="NEEDLE"))["matches"]
        assert "a needle" in match["text"]
        matches = (await ask(client, "search_conversations", words="w" * 1_000, limit=50))["matches"]
    assert len(matches) == 50
    assert sum(len(match["text"]) for match in matches) < 42_000


async def test_memory_of_frameworks_and_agents_is_not_taken_for_facts(storage: Storage) -> None:
    of_a_framework = MemoryRecord(agent_id="a1", user_id="ada", kind="state", key="state~theme", value="dark")
    storage.put_memory(of_a_framework)
    async with Client(server(user_id="ada", agent_id="a1", storage=storage)) as client:
        assert [fact["key"] for fact in (await ask(client, "search_memories"))["facts"]] == ["drink"]
        assert "nothing is kept" in await ask(client, "recall", key="state~theme")
        assert await ask(client, "forget", key="state~theme") == {"forgotten": 0}
    assert storage.get_memory("a1", "state~theme", kind="state", user_id="ada") is not None


async def test_nobody_reads_what_is_another_s(storage: Storage) -> None:
    before = repr([*storage.scan("session"), *storage.scan("message")])
    others = {"user_id": "eve", "user": "eve", "agent_id": "a1", "session_id": "eve-a1", "owner": "eve"}
    async with Client(server(user_id="ada", agent_id="a1", storage=storage)) as client:
        unknown = await ask(client, "read_conversation", id="nowhere")
        for id in ("eve-a1", "-a1", "gone", "ada-a1/../eve-a1", "ada-a1' OR '1'='1", "%", "*"):
            with case(id):
                assert await ask(client, "read_conversation", id=id) == unknown.replace("'nowhere'", repr(id))
        for tool, arguments in [
            ("list_conversations", {}),
            ("search_conversations", {"words": SECRET}),
            ("search_memories", {"words": SECRET}),
            ("search_memories", {}),
            ("recall", {"key": "drink"}),
            ("read_conversation", {"id": "ada-a1", "limit": 50}),
        ]:
            with case(tool):
                assert SECRET not in json.dumps(await ask(client, tool, **arguments, **others))
        await ask(client, "forget", key="drink", **others)
    assert storage.get_memory("a1", "drink", user_id="eve") is not None
    assert storage.get_memory("a1", "drink", user_id="ada") is None
    assert repr([*storage.scan("session"), *storage.scan("message")]) == before


async def test_impolite_clients_are_told(storage: Storage) -> None:
    async with Client(server(user_id="ada", agent_id="a1", storage=storage)) as client:
        for tool, arguments in [
            ("recall", {}),
            ("recall", {"key": ""}),
            ("recall", {"key": "x" * 256}),
            ("recall", {"key": "a\x00b"}),
            ("remember", {"key": "k", "value": {"an": "object"}}),
            ("remember", {"key": "k", "value": "x" * 100_001}),
            ("list_conversations", {"limit": 0}),
            ("list_conversations", {"limit": 10_000}),
            ("list_conversations", {"offset": -1}),
            ("list_conversations", {"limit": "many"}),
            ("read_conversation", {"id": ["ada-a1"]}),
            ("read_conversation", {"id": "ada-a1", "before": 2**70}),
            ("search_conversations", {"words": ""}),
            ("search_documents", {"words": "no collection"}),
            ("no_such_tool", {}),
        ]:
            with case(tool, arguments):
                assert await told(client, tool, arguments)
        assert (await ask(client, "recall", key="drink"))["value"] == "tea"


async def told(client: Client, tool: str, arguments: dict[str, Any]) -> str:
    try:
        answer = await client.call_tool(tool, arguments)
    except Exception as error:
        return f"error {error}"
    assert answer.is_error
    assert "Traceback" not in str(answer)
    return "".join(getattr(block, "text", "") for block in answer.content)


async def test_documents_are_the_owner_s_and_everybody_s(storage: Storage, vectors: VectorStore) -> None:
    def embed(text: str) -> list[int]:
        with pytest.raises(RuntimeError):  # or it could use nothing of Django's
            get_running_loop()
        return [1, 99]

    among: dict[str, Any] = {"vectors": vectors, "collection": "handbook", "embed": embed}
    async with Client(server(user_id="ada", storage=storage, **among)) as client:
        found = (await ask(client, "search_documents", words="tea", limit=50))["documents"]
        assert sorted(each["id"] for each in found) == ["-0", "-1", "-2", "ada-0"]
    without = {"user_id": "ada", "embed": embed}
    for arguments in ({"user_id": ""}, {"user_id": "ada", "collection": "handbook"}, without):
        with case(arguments), pytest.raises(InvalidRecord):
            server(**arguments)


async def test_the_command_speaks_over_standard_input_and_output(tmp_path: Path) -> None:
    """A real process, its owner said on its command line."""
    (tmp_path / "served.py").write_text(
        f"""
SECRET_KEY, USE_TZ, INSTALLED_APPS = "x", True, ["chronos_storage"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {str(tmp_path / "db")!r}}}}}
CHRONOS_STORAGE = {{"STORAGES": {{"default": {{
    "BACKEND": "chronos_storage.backends.document.filesystem.FilesystemBackend",
    "OPTIONS": {{"folder": {str(tmp_path / "kept")!r}}},
}}}}}}
"""
    )
    kept = connect((tmp_path / "kept").as_uri(), migrate=True)
    converse(kept)
    kept.close()
    command = ["-m", "django", "chronos_mcp", "--settings", "served", "--user", "ada", "--agent", "a1"]
    parameters = StdioServerParameters(
        command=sys.executable, args=command, env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, cwd=tmp_path
    )
    async with Client(parameters) as client:
        assert len((await client.list_tools()).tools) == 7
        assert (await ask(client, "recall", key="drink"))["value"] == "tea"
        assert "no conversation" in await ask(client, "read_conversation", id="eve-a1", user_id="eve")
        assert len((await ask(client, "list_conversations"))["conversations"]) == 1
