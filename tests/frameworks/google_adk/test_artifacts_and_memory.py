from __future__ import annotations

from typing import Any

import pytest
from google.adk.artifacts.artifact_util import get_artifact_uri
from google.adk.errors.input_validation_error import InputValidationError
from google.adk.events.event import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import Session
from google.genai import types

from chronos_storage.exceptions import AlreadyExists
from chronos_storage.facade import Storage
from chronos_storage.integrations.google_adk import (
    ChronosArtifactService,
    ChronosMemoryService,
    ChronosSessionService,
)

pytestmark = pytest.mark.anyio
ADA: dict[str, Any] = {"app_name": "app", "user_id": "ada"}
S: dict[str, Any] = {**ADA, "session_id": "s"}


@pytest.fixture
def artifacts(storage_committed: Storage) -> ChronosArtifactService:
    return ChronosArtifactService(storage_committed)


async def test_versions_come_back_exactly(artifacts: ChronosArtifactService) -> None:
    parts = [
        types.Part.from_bytes(data=b"\x00\xff", mime_type="image/png"),
        types.Part(text="Köln\ud800", thought=True),
        types.Part(inline_data=types.Blob(data=b"", mime_type="text/csv", display_name="empty")),
        types.Part(file_data=types.FileData(file_uri="gs://bucket/file", mime_type="video/mp4")),
    ]
    for version, part in enumerate(parts):
        assert (
            await artifacts.save_artifact(**S, filename="f", artifact=part, custom_metadata={"n": version}) == version
        )
    for version, part in enumerate(parts):
        assert await artifacts.load_artifact(**S, filename="f", version=version) == part
    assert await artifacts.load_artifact(**S, filename="f") == parts[-1]
    assert await artifacts.list_versions(**S, filename="f") == [0, 1, 2, 3]
    described = await artifacts.list_artifact_versions(**S, filename="f")
    assert [one.custom_metadata for one in described] == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
    assert [one.mime_type for one in described] == ["image/png", "text/plain", "text/csv", "video/mp4"]
    assert await artifacts.get_artifact_version(**S, filename="f", version=1) == described[1]
    assert await artifacts.get_artifact_version(**S, filename="f") == described[3]
    for version in (4, -1):
        assert await artifacts.load_artifact(**S, filename="f", version=version) is None
    await artifacts.delete_artifact(**S, filename="f")
    await artifacts.delete_artifact(**S, filename="f")
    assert await artifacts.load_artifact(**S, filename="f") is None
    assert await artifacts.list_versions(**S, filename="f") == []


async def test_a_users_files_are_seen_in_all_of_the_apps_sessions(artifacts: ChronosArtifactService) -> None:
    part = types.Part(text="x")
    await artifacts.save_artifact(**S, filename="user:all", artifact=part)
    await artifacts.save_artifact(**S, filename="a/b.txt", artifact={"inlineData": {"data": "eA==", "mimeType": "t/x"}})
    await artifacts.save_artifact(app_name="other", user_id="ada", session_id="s", filename="user:else", artifact=part)
    assert await artifacts.list_artifact_keys(**S) == ["a/b.txt", "user:all"]
    assert await artifacts.list_artifact_keys(**ADA, session_id="t") == ["user:all"]
    assert await artifacts.list_artifact_keys(**ADA) == ["user:all"]
    assert await artifacts.list_artifact_keys(app_name="app", user_id="bob", session_id="s") == []
    assert await artifacts.load_artifact(**ADA, filename="user:all") == part
    with pytest.raises(InputValidationError):
        await artifacts.save_artifact(**ADA, filename="mine", artifact=part)


async def test_references_are_followed_within_their_scope(artifacts: ChronosArtifactService) -> None:
    def reference(user_id: str, filename: str) -> types.Part:
        uri = get_artifact_uri("app", user_id, filename, 0, "s")
        return types.Part(file_data=types.FileData(file_uri=uri))

    part = types.Part(text="target")
    await artifacts.save_artifact(**S, filename="target", artifact=part)
    await artifacts.save_artifact(**S, filename="link", artifact=reference("ada", "target"))
    assert await artifacts.load_artifact(**S, filename="link") == part
    await artifacts.save_artifact(**S, filename="circle", artifact=reference("ada", "circle"))
    with pytest.raises(InputValidationError):
        await artifacts.load_artifact(**S, filename="circle")
    with pytest.raises(InputValidationError):
        await artifacts.save_artifact(**S, filename="bobs", artifact=reference("bob", "target"))


async def test_artifacts_belong_to_their_session(artifacts: ChronosArtifactService, storage_committed: Storage) -> None:
    sessions = ChronosSessionService(storage_committed)
    await artifacts.save_artifact(**S, filename="early", artifact=types.Part(text="x"))
    assert await sessions.get_session(**S) is None
    assert (await sessions.list_sessions(**ADA)).sessions == []
    await sessions.create_session(**S)
    assert await artifacts.list_versions(**S, filename="early") == [0]
    await sessions.delete_session(**S)
    assert await storage_committed.alist_artifacts(user_id="ada") == []
    await sessions.create_session(**S)
    await storage_committed.adelete_session("app~ada~s")
    with pytest.raises(AlreadyExists, match="deleted"):
        await artifacts.save_artifact(**S, filename="late", artifact=types.Part(text="x"))


def spoken(id: str, text: str) -> Event:
    return Event(id=id, author="user", content=types.Content(parts=[types.Part(text=text)]), timestamp=1_700_000_000)


async def test_memory_finds_what_has_most_of_the_words(storage_committed: Storage) -> None:
    memory = ChronosMemoryService(storage_committed, limit=2)
    events = [spoken("1", "The Cat sat"), spoken("2", "a cat and a dog sat"), spoken("3", "私はPythonを使う")]
    session = Session(**ADA, id="s", events=[*events, Event(author="user")])

    async def found(query: str, user_id: str = "ada") -> list[str | None]:
        response = await memory.search_memory(app_name="app", user_id=user_id, query=query)
        return [entry.id for entry in response.memories]

    for _ in range(2):
        await memory.add_session_to_memory(session)
    assert await found("cat DOG") == ["2", "1"]
    assert await found("python") == ["3"]
    assert await found("使う") == ["3"]
    assert await found("thon") == []
    assert await found("cat", "bob") == []
    await memory.delete_memory(**ADA, memory_id="2")
    await memory.add_events_to_memory(**ADA, events=events, session_id="s")
    assert await found("cat dog") == ["1"]
    entry = MemoryEntry(content=types.Content(parts=[types.Part(text="dogs bite")]), custom_metadata={"k": 1})
    await memory.add_memory(**ADA, memories=[entry], custom_metadata={"k": 2, "l": 3})
    (known,) = (await memory.search_memory(**ADA, query="bite")).memories
    assert known.content == entry.content
    assert known.custom_metadata == {"k": 1, "l": 3}
