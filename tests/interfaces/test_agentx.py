"""AgentX' persistence: document 003's examples, and every method of its repositories."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from chronos_storage import Storage, connect
from chronos_storage.exceptions import AlreadyExists, ConfigurationError, InvalidRecord, NotFound
from chronos_storage.interfaces.agentx import (
    ContainerRecord,
    ImageRecord,
    Message,
    Persistence,
    SessionRecord,
    create_agentx,
    create_persistence,
    create_queue,
    fs_driver,
    memory_driver,
    mongodb_driver,
    mysql_driver,
    postgresql_driver,
    redis_driver,
    sqlite_driver,
)
from chronos_storage.records import Event, TokenUsage
from chronos_storage.testing.conformance.helpers import case
from tests.databases import PLACES, needs_mongodb, new_databases, new_mongodb

REDIS = os.environ.get("TEST_REDIS_URL", "")
NOW = 1_790_000_000_000
CALL = {"type": "tool-call", "id": "call_1", "name": "bash", "input": {"command": "ls"}}
RESULT = {"type": "tool-result", "id": "call_1", "name": "bash", "output": {"type": "text", "value": "a.txt"}}


@pytest.fixture
def persistence(store: Storage) -> Persistence:
    return async_to_sync(create_persistence)(store)


def image(id: str = "img_abc123", **fields: Any) -> ImageRecord:
    given = {"container_id": "container-1", "session_id": "session-1", "name": "My Assistant"} | fields
    return ImageRecord(image_id=id, **given)


def session(id: str = "session-1", **fields: Any) -> SessionRecord:
    return SessionRecord(session_id=id, **{"image_id": "img_abc123", "container_id": "container-1"} | fields)


# The examples of document 003: directories and drivers


@pytest.mark.usefixtures("other_databases")
@pytest.mark.parametrize("is_default", [True, False])
async def test_a_base_directory_has_files_for_entities_and_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_default: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    base = tmp_path / (".agentx" if is_default else "custom")
    llm = {"api_key": "sk-ant-sesame"}
    agentx = await (create_agentx(llm=llm) if is_default else create_agentx(agentx_dir=base, llm=llm))
    assert agentx.llm == llm
    assert "sesame" not in repr(agentx)
    assert {path.name for path in base.iterdir()} == {"data", "containers", "logs"}
    await agentx.persistence.containers.save_container(ContainerRecord(container_id="container-1"))
    await agentx.queue.publish("session-1", {"n": 1})
    await agentx.close()
    # nothing is left open, or there would be the files of a journal
    assert {path.name for path in (base / "data").iterdir()} == {"agentx.db", "queue.db"}
    assert rows(base / "data" / "agentx.db", "container") == 1
    assert rows(base / "data" / "agentx.db", "queueentry") == 0
    assert rows(base / "data" / "queue.db", "container") == 0
    assert rows(base / "data" / "queue.db", "queueentry") == 1
    again = await create_agentx(base)
    assert await again.persistence.containers.container_exists("container-1")
    assert [entry.event for entry in await again.queue.recover("session-1")] == [{"n": 1}]
    await again.close()


ENTITIES = "CREATE TABLE kv_storage (key TEXT PRIMARY KEY, value TEXT NOT NULL, created_at INTEGER, updated_at INTEGER)"
ENTITIES_BEFORE = "CREATE TABLE unstorage (id TEXT PRIMARY KEY, value TEXT, created_at TEXT, updated_at TEXT)"
QUEUE = "CREATE TABLE queue_entries (id INTEGER PRIMARY KEY AUTOINCREMENT, cursor TEXT, topic TEXT, event TEXT)"


def make(path: Path, content: str) -> None:
    """A file as AgentX itself makes it: a table, a folder of JSON, or JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content.startswith("CREATE"):
        with closing(sqlite3.connect(path)) as database:
            database.execute(content)
    elif content == "folder":
        (path / "sessions").mkdir(parents=True)
    else:
        path.write_text(content)


@pytest.mark.usefixtures("other_databases")
async def test_what_agentx_itself_has_written_is_named_and_left_alone(tmp_path: Path) -> None:
    """Against: a directory of the original's that looks empty, and tables made in its files."""
    paths = {
        "data/agentx.db": (ENTITIES, ENTITIES_BEFORE, "{}", "folder"),
        "data/queue.db": (QUEUE,),
        "data/sessions": ("folder",),
    }
    cases = [(name, content) for name, contents in paths.items() for content in contents]
    for number, (name, content) in enumerate(cases):
        base = tmp_path / str(number)
        make(base / name, content)
        before = sorted(base.rglob("*"))
        with pytest.raises(ConfigurationError, match="AgentX' own" if content == QUEUE else "chronos_import"):
            await create_agentx(base)
        assert sorted(base.rglob("*")) == before
    make(tmp_path / "backup.json", "{}")
    for refused in (
        create_agentx(tmp_path / "backup.json"),
        create_persistence(sqlite_driver(tmp_path / "backup.json")),
        create_persistence(sqlite_driver(tmp_path / "0" / "data" / "agentx.db")),
    ):
        with pytest.raises(ConfigurationError, match="chronos_import"):
            await refused
    with pytest.raises(ConfigurationError, match="queue"):
        await create_queue(tmp_path / "4" / "data" / "queue.db")


def rows(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        (count,) = database.execute(f"SELECT count(*) FROM chronos_storage_{table}").fetchone()
        return int(count)


async def test_the_memory_driver_keeps_what_it_has_to_itself_or_shares_it_by_name(tmp_path: Path) -> None:
    own, other = await create_persistence(memory_driver()), await create_persistence(memory_driver())
    shared = [await create_persistence(memory_driver(str(tmp_path))) for _ in range(2)]
    for persistence in (own, shared[0]):
        await persistence.containers.save_container(ContainerRecord(container_id="container-1"))
    assert await other.containers.find_all_containers() == []
    assert await shared[1].containers.container_exists("container-1")
    await own.close()


async def test_the_fs_driver_writes_files_that_a_person_reads(tmp_path: Path) -> None:
    persistence = await create_persistence(fs_driver(base=tmp_path / "some" / "data"))
    await persistence.sessions.save_session(session())
    await persistence.sessions.add_message("session-1", Message(id="m", subtype="user", content="Hello!"))
    await persistence.close()
    (file,) = (tmp_path / "some" / "data").glob("sessions/*/messages/000001-m.json")
    assert json.loads(file.read_text(encoding="utf-8"))["content"] == "Hello!"


@pytest.mark.usefixtures("other_databases")
async def test_the_sqlite_driver_makes_its_folders_and_a_wal_file(tmp_path: Path) -> None:
    path = tmp_path / "some" / "data" / "agentx.db"
    persistence = await create_persistence(sqlite_driver(path=path))
    await persistence.sessions.save_session(session())
    await persistence.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.usefixtures("other_databases")
@pytest.mark.parametrize("place", [place for place in PLACES if place != "sqlite"])
def test_the_postgresql_and_mysql_drivers(place: str, tmp_path: Path) -> None:
    async def use(url: str) -> None:
        driver = mysql_driver(uri=url) if place == "mariadb" else postgresql_driver(connection_string=url)
        persistence = await create_persistence(driver)
        await persistence.sessions.save_session(session())
        await persistence.sessions.add_message("session-1", Message(id="m", subtype="user", content="Hello!"))
        await persistence.close()
        again = await create_persistence(driver)
        assert [message.content for message in await again.sessions.get_messages("session-1")] == ["Hello!"]
        await again.close()

    with new_databases(place, tmp_path) as (url,):
        async_to_sync(use)(url)


@pytest.mark.skipif(not REDIS, reason="no Redis is found")
async def test_the_redis_driver_keeps_its_keys_under_a_base() -> None:
    base = uuid.uuid4().hex
    persistence = await create_persistence(redis_driver(url=REDIS, base=base))
    await persistence.sessions.save_session(session())
    await persistence.sessions.add_message("session-1", Message(id="m", subtype="user", content="Hello!"))
    again, other = await create_persistence(redis_driver(REDIS, base)), await create_persistence(redis_driver(REDIS))
    assert [message.content for message in await again.sessions.get_messages("session-1")] == ["Hello!"]
    assert await other.sessions.find_session_by_id("session-1") is None
    for each in (persistence, again, other):
        await each.close()


@needs_mongodb
async def test_the_mongodb_driver() -> None:
    with new_mongodb() as (uri, database):
        driver = mongodb_driver(connection_string=uri, database_name=database, collection_name="agents")
        for _ in range(2):
            persistence = await create_persistence(driver)
            await persistence.sessions.save_session(session())
            assert persistence.storage.health().store.endswith(f" {database}.agents")
            await persistence.close()


async def test_a_driver_s_address_must_be_known() -> None:
    with pytest.raises(ConfigurationError, match="gopher"):
        await create_persistence(postgresql_driver("gopher://x"))


# The examples of document 003: repositories


async def test_the_image_repository_s_example(persistence: Persistence) -> None:
    images = persistence.images
    given = image(system_prompt="You are helpful.", created_at=NOW, updated_at=NOW)
    saved = await images.save_image(given)
    assert (saved.created_at, saved.system_prompt) == (NOW, "You are helpful.")
    assert await images.find_image_by_id("img_abc123") == saved
    assert await images.find_image_by_id("img_other") is None
    other = await images.save_image(image("img_other", name="Other", container_id="container-2", created_at=NOW - 1))
    assert await images.find_all_images() == [saved, other]
    assert await images.find_images_by_name("My Assistant") == [saved]
    assert await images.find_images_by_name("my assistant") == []
    assert await images.find_images_by_container_id("container-2") == [other]
    assert await images.image_exists("img_abc123") is True
    updated = await images.update_metadata("img_abc123", {"claudeSdkSessionId": "sdk-session-xxx"})
    assert updated.metadata == {"claudeSdkSessionId": "sdk-session-xxx"}
    merged = await images.update_metadata("img_abc123", {"n": 1})
    assert merged.metadata == {"claudeSdkSessionId": "sdk-session-xxx", "n": 1}
    assert await images.delete_image("img_abc123") is True
    assert await images.delete_image("img_abc123") is False
    assert await images.image_exists("img_abc123") is False
    with pytest.raises(NotFound):
        await images.update_metadata("img_abc123", {})


async def test_the_document_s_examples_can_be_run_again(persistence: Persistence) -> None:
    for _ in range(2):
        await persistence.sessions.save_session(session())
        await persistence.sessions.add_message("session-1", Message(id="msg-1", subtype="user", content="Hello!"))
        assert len(await persistence.sessions.get_messages("session-1")) == 1
        await persistence.sessions.delete_session("session-1")


async def test_the_session_repository_s_example(persistence: Persistence) -> None:
    sessions = persistence.sessions
    saved = await sessions.save_session(session(created_at=NOW, updated_at=NOW))
    assert saved == session(created_at=NOW, updated_at=NOW)
    assert await sessions.find_session_by_id("session-1") == saved
    assert await sessions.find_session_by_id("session-2") is None
    assert await sessions.find_session_by_image_id("img_abc123") == saved
    assert await sessions.find_session_by_image_id("img_other") is None
    newer = await sessions.save_session(session("session-2", created_at=NOW + 1))
    assert await sessions.find_session_by_image_id("img_abc123") == newer
    assert await sessions.find_sessions_by_container_id("container-1") == [newer, saved]
    assert await sessions.find_all_sessions() == [newer, saved]
    assert await sessions.session_exists("session-1") is True

    message = Message(id="msg-1", subtype="user", content="Hello!", timestamp=NOW)
    await sessions.add_message("session-1", message)
    [found] = await sessions.get_messages("session-1")
    assert (found.id, found.subtype, found.content, found.timestamp) == ("msg-1", "user", "Hello!", NOW)
    assert await sessions.clear_messages("session-1") == 1
    assert await sessions.get_messages("session-1") == []

    assert await sessions.delete_session("session-1") is True
    assert await sessions.delete_session("session-1") is False
    assert await sessions.session_exists("session-1") is False


async def test_the_container_repository_s_example(persistence: Persistence) -> None:
    containers = persistence.containers
    given = ContainerRecord(container_id="container-1", created_at=NOW, updated_at=NOW, config={"b": 1.0, "a": None})
    saved = await containers.save_container(given)
    assert (saved.created_at, saved.config) == (NOW, {"b": 1.0, "a": None})
    assert await containers.find_container_by_id("container-1") == saved
    assert await containers.find_container_by_id("container-2") is None
    assert await containers.find_all_containers() == [saved]
    assert await containers.container_exists("container-1") is True
    again = await containers.save_container(ContainerRecord(container_id="container-1", created_at=NOW + 5))
    assert (again.created_at, again.config) == (NOW, None)
    assert await containers.delete_container("container-1") is True
    assert await containers.delete_container("container-1") is False
    assert await containers.container_exists("container-1") is False


# The examples of document 003: moving and saving data


async def export_data(source: Persistence) -> dict[str, Any]:
    """Everything, as the document's script writes it."""
    sessions = await source.sessions.find_all_sessions()
    return {
        "containers": [record.to_json() for record in await source.containers.find_all_containers()],
        "images": [record.to_json() for record in await source.images.find_all_images()],
        "sessions": [record.to_json() for record in sessions],
        "messages": {
            record.session_id: [message.to_json() for message in await source.sessions.get_messages(record.session_id)]
            for record in sessions
        },
    }


async def import_data(target: Persistence, data: dict[str, Any]) -> None:
    for container in data["containers"]:
        await target.containers.save_container(ContainerRecord.from_json(container))
    for each in data["images"]:
        await target.images.save_image(ImageRecord.from_json(each))
    for each in data["sessions"]:
        record = await target.sessions.save_session(SessionRecord.from_json(each))
        for message in data["messages"].get(record.session_id, []):
            await target.sessions.add_message(record.session_id, Message.from_json(message))


async def test_data_moves_from_one_driver_to_another(persistence: Persistence) -> None:
    await persistence.containers.save_container(ContainerRecord(container_id="container-1", config={"k": 1}))
    await persistence.images.save_image(image(metadata={"k": 1}, mcp_servers={"files": {"command": "mcp"}}))
    await persistence.sessions.save_session(session())
    for message in KINDS:
        await persistence.sessions.add_message("session-1", message)
    exported = json.loads(json.dumps(await export_data(persistence)))
    target = await create_persistence(memory_driver())
    await import_data(target, exported)
    assert await export_data(target) == exported
    await import_data(target, exported)
    again = await export_data(target)
    for name in ("containers", "images", "messages"):
        assert again[name] == exported[name]


@pytest.mark.usefixtures("other_databases")
async def test_backups_of_a_sqlite_file(tmp_path: Path) -> None:
    path, backups = tmp_path / "agentx.db", tmp_path / "backups"
    backups.mkdir()
    persistence = await create_persistence(sqlite_driver(path))
    await persistence.sessions.save_session(session())
    # while the application is running
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backups / "agentx-1.db")) as target:
        source.backup(target)
    # and while it is not, which leaves no other file beside it
    await persistence.close()
    assert not path.with_name("agentx.db-wal").exists()
    shutil.copyfile(path, backups / "agentx-2.db")
    os.utime(backups / "agentx-1.db", (time.time() - 31 * 86_400,) * 2)
    for backup in backups.glob("agentx-*.db"):
        restored = await create_persistence(sqlite_driver(backup))
        assert await restored.sessions.session_exists("session-1")
        await restored.close()
    # those of the last thirty days are kept; one that was opened is as new as that
    os.utime(backups / "agentx-1.db", (time.time() - 31 * 86_400,) * 2)
    for backup in backups.glob("agentx-*.db"):
        if backup.stat().st_mtime < time.time() - 30 * 86_400:
            backup.unlink()
    assert [backup.name for backup in backups.glob("agentx-*.db")] == ["agentx-2.db"]


# Its troubleshooting; that of an exhausted pool is in test_ago.py


@pytest.mark.usefixtures("other_databases")
def test_a_file_that_many_write_to_is_never_found_locked(tmp_path: Path) -> None:
    path = tmp_path / "agentx.db"
    connect(str(path), migrate=True).close()

    async def write(number: int) -> None:
        persistence = await create_persistence(sqlite_driver(path))
        await persistence.sessions.save_session(session(f"session-{number % 2}"))
        for count in range(10):
            message = Message(id=f"{number}-{count}", subtype="user", content="")
            await persistence.sessions.add_message(f"session-{number % 2}", message)
        await persistence.close()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(async_to_sync(write), range(8)))
    store = connect(str(path))
    assert [store.count_messages(f"session-{number}") for number in range(2)] == [40, 40]


@pytest.mark.usefixtures("other_databases")
async def test_integrity_can_be_checked(tmp_path: Path) -> None:
    path = tmp_path / "agentx.db"
    persistence = await create_persistence(sqlite_driver(path))
    await persistence.sessions.save_session(session())
    health = await persistence.storage.ahealth()
    assert health.ok, health.problems
    await persistence.close()
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# Messages


KINDS = [
    Message(id="m1", subtype="user", content="List the files", timestamp=NOW),
    Message(
        id="m2",
        subtype="user",
        content=[{"type": "text", "text": "this"}, {"type": "image", "data": "aGk=", "mediaType": "image/png"}],
        timestamp=NOW + 1,
    ),
    Message(
        id="m3",
        subtype="assistant",
        content=[{"type": "thinking", "reasoning": "hm", "tokenCount": 1}, {"type": "text", "text": "I'll look."}],
        timestamp=NOW + 2,
        parent_id="m1",
        usage=TokenUsage(prompt_tokens=3, completion_tokens=4, total_tokens=7),
    ),
    Message(id="m4", subtype="tool-call", tool_calls=[CALL], timestamp=NOW + 3, parent_id="m3"),
    Message(id="m5", subtype="tool-result", tool_result=RESULT, tool_call_id="call_1", timestamp=NOW + 4),
    Message(id="m6", subtype="error", content="Too many requests", error_code="rate_limit_error", timestamp=NOW + 5),
]
ROLES = ["user", "user", "assistant", "assistant", "tool", "error"]


async def test_all_kinds_of_messages_come_back(persistence: Persistence, store: Storage) -> None:
    await persistence.sessions.save_session(session())
    for message in KINDS:
        await persistence.sessions.add_message("session-1", message)
    found = await persistence.sessions.get_messages("session-1")
    assert [message.role for message in found] == ROLES
    for message in found:
        message.role = None
    assert found == KINDS
    stored = await store.alist_messages("session-1")
    assert [message.kind for message in stored] == [message.subtype for message in KINDS]
    assert stored[3].tool_calls == [CALL]
    assert (stored[4].content, stored[4].tool_call_id, stored[4].name) == (RESULT, "call_1", "bash")
    assert stored[5].metadata == {"error_code": "rate_limit_error"}
    assert stored[0].created_at == datetime.fromtimestamp(NOW / 1000, UTC)


async def test_calls_may_be_the_content_and_subtypes_have_underscores(persistence: Persistence, store: Storage) -> None:
    await persistence.sessions.save_session(session())
    calls = [CALL, CALL | {"id": "call_2"}]
    await persistence.sessions.add_message("session-1", Message(id="m1", subtype="tool_call", content=calls))
    await persistence.sessions.add_message("session-1", Message(id="m2", subtype="tool_result", content="a.txt"))
    call, result = await persistence.sessions.get_messages("session-1")
    assert (call.subtype, call.content, call.tool_calls) == ("tool-call", calls, calls)
    assert (result.subtype, result.role, result.content, result.tool_result) == ("tool-result", "tool", "a.txt", None)
    assert [message.tool_calls for message in await store.alist_messages("session-1")] == [calls, None]


async def test_messages_are_truncated_after_one(persistence: Persistence) -> None:
    sessions = persistence.sessions
    await sessions.save_session(session())
    for message in KINDS:
        await sessions.add_message("session-1", message)
    assert await sessions.truncate_messages_after("session-1", "m3") == 3
    assert [message.id for message in await sessions.get_messages("session-1")] == ["m1", "m2", "m3"]
    assert await sessions.truncate_messages_after("session-1", "m3") == 0
    with pytest.raises(NotFound):
        await sessions.truncate_messages_after("session-1", "m4")


async def test_a_message_added_again_is_one(persistence: Persistence) -> None:
    await persistence.sessions.save_session(session())
    added = await persistence.sessions.add_message("session-1", KINDS[0])
    assert await persistence.sessions.add_message("session-1", KINDS[0]) == added
    with pytest.raises(AlreadyExists):
        await persistence.sessions.add_message("session-1", Message(id="m1", subtype="user", content="else"))
    with pytest.raises(NotFound):
        await persistence.sessions.add_message("session-2", KINDS[0])


async def test_a_deleted_session_shows_nothing(persistence: Persistence, store: Storage) -> None:
    sessions = persistence.sessions
    await sessions.save_session(session())
    await sessions.add_message("session-1", KINDS[0])
    await sessions.delete_session("session-1")
    assert await sessions.get_messages("session-1") == []
    assert await sessions.clear_messages("session-1") == 0
    assert await sessions.find_session_by_image_id("img_abc123") is None
    assert await sessions.find_all_sessions() == []
    assert await store.acount_messages("session-1") == 1


async def test_a_deleted_session_that_is_saved_again_begins_anew(persistence: Persistence, store: Storage) -> None:
    sessions = persistence.sessions
    await sessions.save_session(session())
    await sessions.add_message("session-1", KINDS[0])
    await store.apatch_session("session-1", title="old", user_id="ada", metadata={"old": True})
    await store.aappend_event(Event(session_id="session-1"))
    await sessions.delete_session("session-1")
    saved = await sessions.save_session(session(image_id="img_2"))
    assert saved.image_id == "img_2"
    assert await sessions.find_all_sessions() == [saved]
    assert await sessions.get_messages("session-1") == []
    await sessions.add_message("session-1", KINDS[0])
    assert len(await sessions.get_messages("session-1")) == 1
    stored = await store.aget_session("session-1")
    assert stored is not None
    assert (stored.title, stored.user_id, stored.metadata) == ("", "ada", {})
    assert await store.acount_events("session-1") == 1


async def test_saving_a_session_again_keeps_what_others_wrote(persistence: Persistence, store: Storage) -> None:
    await persistence.sessions.save_session(session(created_at=NOW))
    await store.apatch_session("session-1", title="t", user_id="ada", metadata={"k": 1})
    moved = await persistence.sessions.save_session(session(image_id="img_2", created_at=NOW + 1))
    assert (moved.image_id, moved.created_at) == ("img_2", NOW)
    kept = await store.aget_session("session-1")
    assert kept is not None
    assert (kept.title, kept.user_id, kept.metadata) == ("t", "ada", {"k": 1})


async def test_a_family_of_images(persistence: Persistence) -> None:
    images = persistence.images
    await images.save_image(image("img_1"))
    for number, parent in ((2, 1), (3, 2), (4, 1)):
        await images.save_image(image(f"img_{number}", parent_image_id=f"img_{parent}", session_id=f"session-{number}"))
    line, current = [], "img_3"
    while found := await images.find_image_by_id(current):
        line.append(found.image_id)
        current = found.parent_image_id or ""
    assert line == ["img_3", "img_2", "img_1"]
    children = [each.image_id for each in await images.find_all_images() if each.parent_image_id == "img_1"]
    assert sorted(children) == ["img_2", "img_4"]
    # a parent goes alone
    await images.delete_image("img_1")
    orphan = await images.find_image_by_id("img_2")
    assert orphan is not None
    assert orphan.parent_image_id == "img_1"


async def test_bad_messages_name_the_field(persistence: Persistence) -> None:
    await persistence.sessions.save_session(session())
    for message, field in [
        (Message(subtype="thought"), "subtype"),
        (Message(subtype=1), "subtype"),
        (Message(subtype="user", timestamp="now"), "timestamp"),
        (Message(subtype="user", content=1), "content"),
        (Message(subtype="tool-result", content="x", tool_result={}), "content"),
        (Message(subtype="tool-result", tool_result="x"), "tool_result"),
        (Message(subtype="user", metadata=["x"]), "metadata"),
        (Message(subtype="user", usage={"inputTokens": 1}), "usage"),
    ]:
        with case(message), pytest.raises(InvalidRecord) as refused:
            await persistence.sessions.add_message("session-1", message)
        assert refused.value.field == field
    assert await persistence.sessions.get_messages("session-1") == []


async def test_bad_records_name_the_field(persistence: Persistence) -> None:
    for call, field in (
        (persistence.containers.save_container(ContainerRecord(container_id="")), "container_id"),
        (persistence.containers.save_container(ContainerRecord(container_id="c", created_at=0.5)), "created_at"),
        (persistence.images.save_image(image("")), "image_id"),
        (persistence.images.save_image(image("i" * 256)), "image_id"),
        (persistence.sessions.save_session(session("")), "session_id"),
        (persistence.sessions.find_session_by_id(7), "session_id"),
    ):
        with pytest.raises(InvalidRecord) as refused:
            await call
        assert refused.value.field == field


# JSON


@pytest.mark.parametrize(
    "exported",
    [
        {"id": "m", "role": "assistant", "subtype": "tool-call", "toolCall": CALL, "timestamp": NOW},
        {"id": "m", "subtype": "tool_call", "content": [CALL, CALL], "timestamp": NOW},
        {
            "id": "m",
            "role": "tool",
            "subtype": "tool-result",
            "toolCallId": "call_1",
            "toolResult": RESULT,
            "timestamp": NOW,
        },
        {"id": "m", "subtype": "error", "content": "x", "errorCode": "e", "timestamp": NOW},
        {"id": "m", "subtype": "assistant", "content": "x", "usage": {"inputTokens": 1, "outputTokens": 0}},
    ],
)
def test_messages_cross_as_json(exported: dict[str, Any]) -> None:
    assert Message.from_json(exported).to_json() == exported


def test_what_an_image_s_json_has_besides_is_metadata() -> None:
    exported = {"imageId": "i", "containerId": "c", "sessionId": "s", "name": "n", "customData": {"starred": True}}
    found = ImageRecord.from_json(exported | {"metadata": {"driverSessionId": "d"}})
    assert found.metadata == {"customData": {"starred": True}, "driverSessionId": "d"}
    with pytest.raises(InvalidRecord) as refused:
        SessionRecord.from_json({"sessionId": "s", "imageId": "i", "containerId": "c", "agent": "a"})
    assert refused.value.field == "agent"
    with pytest.raises(InvalidRecord) as refused:
        Message.from_json({"subtype": "user", "usage": {"tokens": 1}})
    assert refused.value.field == "usage.tokens"


async def test_none_is_never_any_and_a_record_is_a_record() -> None:
    persistence = await create_persistence(memory_driver())
    for method, field in (
        ("containers.save_container", "record"),
        ("containers.find_container_by_id", "container_id"),
        ("containers.container_exists", "container_id"),
        ("containers.delete_container", "container_id"),
        ("images.save_image", "record"),
        ("images.find_image_by_id", "image_id"),
        ("images.find_images_by_name", "name"),
        ("images.find_images_by_container_id", "container_id"),
        ("images.image_exists", "image_id"),
        ("images.delete_image", "image_id"),
        ("sessions.save_session", "record"),
        ("sessions.find_session_by_id", "session_id"),
        ("sessions.find_session_by_image_id", "image_id"),
        ("sessions.find_sessions_by_container_id", "container_id"),
        ("sessions.session_exists", "session_id"),
        ("sessions.delete_session", "session_id"),
        ("sessions.get_messages", "session_id"),
        ("sessions.clear_messages", "session_id"),
    ):
        repository, name = method.split(".")
        for wrong in (None, {"sessionId": "s"}):
            with pytest.raises(InvalidRecord) as refused:
                await getattr(getattr(persistence, repository), name)(wrong)
            assert (method, refused.value.field) == (method, field)
    await persistence.sessions.save_session(session())
    for wrong in (None, {"subtype": "user"}):
        with pytest.raises(InvalidRecord) as refused:
            await persistence.sessions.add_message("session-1", wrong)
        assert refused.value.field == "message"
