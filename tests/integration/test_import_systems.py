"""`chronos_import` from other systems: their tables and exports go in once, and nothing is written there."""

from __future__ import annotations

import io
import json
import signal
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from chronos_storage import Storage, connect, storages
from chronos_storage.dsn import connect_read_only
from chronos_storage.records import TokenUsage
from chronos_storage.testing.conformance.helpers import everything
from tests.conversations import on_sqlite_alone
from tests.databases import PLACES, new_databases
from tests.integration.conftest import Ran

NOW = 1_790_000_000_000
TIME = datetime.fromtimestamp(NOW / 1000, UTC)

AGENTOS = [
    """CREATE TABLE conversations (id VARCHAR(255) PRIMARY KEY, userId TEXT NOT NULL, agentId TEXT,
       createdAt BIGINT NOT NULL, lastActivity BIGINT NOT NULL, title TEXT, metadata TEXT)""",
    """CREATE TABLE messages (id VARCHAR(255) PRIMARY KEY, conversationId TEXT NOT NULL, role TEXT NOT NULL,
       content TEXT NOT NULL, timestamp BIGINT NOT NULL, model TEXT, promptTokens BIGINT, completionTokens BIGINT,
       totalTokens BIGINT, cacheReadTokens BIGINT, cacheCreationTokens BIGINT, toolCalls TEXT, toolCallId TEXT,
       name TEXT, metadata TEXT)""",
]
AGO = [
    """CREATE TABLE sessions (id {uuid} PRIMARY KEY, user_id {uuid} NOT NULL, author TEXT NOT NULL, title TEXT NOT NULL,
       metadata {json}, created_at {time} NOT NULL, updated_at {time} NOT NULL, deleted_at {time})""",
    """CREATE TABLE events (id {uuid} PRIMARY KEY, session_id {uuid} NOT NULL, message_id {uuid} NOT NULL,
       user_id {uuid} NOT NULL, agent TEXT NOT NULL, content {json} NOT NULL, error TEXT NOT NULL, usage {json},
       created_at {time} NOT NULL, metadata {json})""",
]
CALLS = [{"id": "call_1", "function": {"name": "look", "arguments": "{}"}}]


def execute(url: str, statements: list[Any]) -> None:
    """Run statements in a database: a text, or a text and its parameters."""
    store: Any = connect(url)
    with connections[store.alias].cursor() as cursor:
        for statement in statements:
            cursor.execute(*(statement if isinstance(statement, tuple) else (statement,)))
    store.close()


def insert(table: str, **values: Any) -> tuple[str, list[Any]]:
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})", [*values.values()]


def agentos_rows(count: int = 2) -> list[Any]:
    """Conversations of four messages each, the first two of the same millisecond."""
    rows = []
    for number in range(count):
        id = f"c{number}"
        values = {"agentId": "agent", "title": "t", "metadata": '{"k": [1.0]}'} if number % 2 == 0 else {}
        rows.append(insert("conversations", id=id, userId="ada", createdAt=NOW, lastActivity=NOW + 9, **values))
        common = {"conversationId": id}
        usage = {"promptTokens": 1, "completionTokens": 2, "totalTokens": 3, "cacheReadTokens": 0}
        rows += [
            insert("messages", id=f"{id} z", role="user", content="hi", timestamp=NOW + 1, **common),
            insert("messages", id=f"{id} a", role="assistant", content="", timestamp=NOW + 1, model="m", **common)
            if number % 2
            else insert(
                "messages",
                id=f"{id} a",
                role="assistant",
                content="",
                timestamp=NOW + 1,
                model="m",
                **usage,
                toolCalls=json.dumps(CALLS),
                **common,
            ),
            insert(
                "messages", id=f"{id} b", role="tool", content="x", timestamp=NOW + 2, toolCallId="call_1", **common
            ),
            insert(
                "messages", id=f"{id} c", role="assistant", content="ok", timestamp=NOW + 3, metadata="{}", **common
            ),
        ]
    return rows


@pytest.fixture
def target(request: pytest.FixtureRequest, settings: Any, tmp_path: Path, other_databases: None) -> Iterator[Storage]:
    """A new storage, in memory unless a test says where, which the command knows as "here"."""
    place = getattr(request, "param", "memory")
    memory = nullcontext([f"memory://{uuid.uuid4().hex}"])
    with memory if place == "memory" else new_databases(place, tmp_path / "target") as (url,):
        options = {"DSN": url, "MIGRATE": place != "memory"}
        settings.CHRONOS_STORAGE = {
            "STORAGES": {"here": {"BACKEND": "chronos_storage.dsn.connect", "OPTIONS": options}}
        }
        yield storages["here"]
        storages["here"].close()


@pytest.fixture
def run(target: Storage) -> Callable[..., Ran]:
    """Runs the command with the target."""

    def run(*sources: object, **options: object) -> Ran:
        stdout, stderr, status = io.StringIO(), io.StringIO(), 0
        options = {"storage": "here"} | options
        try:
            call_command("chronos_import", *map(str, sources), stdout=stdout, stderr=stderr, **options)
        except CommandError as error:
            status = error.returncode
            stderr.write(f"{error}\n")
        return Ran(status, stdout.getvalue(), stderr.getvalue())

    return run


@pytest.fixture
def agentos(tmp_path: Path) -> Path:
    """AgentOS' tables in a SQLite file, with two conversations."""
    path = tmp_path / "agentos.db"
    write(path, [*AGENTOS, *agentos_rows()])
    return path


def write(path: Path, statements: list[Any]) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            text, parameters = statement if isinstance(statement, tuple) else (statement, [])
            database.execute(text.replace("%s", "?"), parameters)


# AgentOS


@pytest.mark.parametrize("target", ["memory", *PLACES], indirect=True)
def test_agentos_tables_go_in_once(target, run, agentos) -> None:
    before_source = agentos.read_bytes()
    ran = run(f"sqlite:///{agentos}", format="agentos")
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout == "Conversations: 2 imported, 0 already there, 0 broken. Messages: 8.\n"
    session = target.get_session("c0")
    assert (session.user_id, session.agent_id, session.title, session.metadata) == ("ada", "agent", "t", {"k": [1.0]})
    assert (session.created_at, session.last_activity_at) == (TIME, TIME + timedelta(milliseconds=9))
    said, called, answered, closed = target.list_messages("c0")
    assert [message.id for message in (said, called, answered, closed)] == ["c0 z", "c0 a", "c0 b", "c0 c"]
    assert (said.role, said.content, said.created_at) == ("user", "hi", TIME + timedelta(milliseconds=1))
    usage = TokenUsage(prompt_tokens=1, completion_tokens=2, total_tokens=3, cache_read_tokens=0)
    assert (called.usage, called.tool_calls, called.model) == (usage, CALLS, "m")
    assert (answered.tool_call_id, closed.usage) == ("call_1", None)
    assert target.verify_events("c0").intact
    assert target.count_events("c0") == 4
    other = target.get_session("c1")
    assert (other.agent_id, other.title, other.metadata) == ("", "", {})

    before = everything(target)
    again = run(f"sqlite:///{agentos}", format="agentos")
    assert again.stdout == "Conversations: 0 imported, 2 already there, 0 broken. Messages: 0.\n"
    assert everything(target) == before
    assert agentos.read_bytes() == before_source


def test_conversations_without_an_agent_get_the_one_that_is_named(target, run, agentos) -> None:
    run(agentos, format="agentos", agent_id="imported", user_id="nobody")
    assert [target.get_session(id).agent_id for id in ("c0", "c1")] == ["agent", "imported"]
    assert target.get_session("c0").user_id == "ada"


def test_what_happened_since_is_left_alone(target, run, agentos) -> None:
    run(agentos, format="agentos")
    target.delete_session("c0")
    target.delete_message("c1 z")
    target.patch_session("c1", title="renamed")
    before = everything(target)
    assert "0 imported, 1 already there, 1 deleted here" in run(agentos, format="agentos").stdout
    assert everything(target) == before


def test_broken_rows_are_named_and_the_rest_goes_in(target, run, agentos) -> None:
    rows = [
        insert("conversations", id="c5", userId="ada", createdAt=NOW, lastActivity=NOW, metadata="{"),
        insert("conversations", id="c6", userId="ada", createdAt=NOW, lastActivity=NOW),
        insert("messages", id="m", conversationId="c6", role="", content="", timestamp=NOW),
        insert("conversations", id="c7", userId="", createdAt=NOW, lastActivity=NOW),
        insert("conversations", id="c8\x1b[31m", userId="ada", createdAt="now", lastActivity=NOW),
    ]
    write(agentos, rows)
    ran = run(agentos, format="agentos")
    assert ran.stdout == "Conversations: 2 imported, 0 already there, 4 broken. Messages: 8.\n"
    assert ran.status == 1
    c5, c6, c7, c8, last = ran.stderr.splitlines()
    assert c5.startswith("conversations 'c5': conversations 'c5'.metadata: is not JSON")
    assert c6.startswith("conversations 'c6': messages 'm'.role: is empty")
    assert "'c7'.user_id: is missing" in c7
    assert "created_at: must be a whole number" in c8
    assert "\x1b" not in c8
    assert last == "Not every conversation could be imported."
    assert target.get_session("c6") is None


@pytest.mark.parametrize("place", [place for place in PLACES if place != "sqlite"])
@pytest.mark.parametrize("quoted", [False, True])
def test_agentos_tables_on_servers(place: str, quoted: bool, tmp_path: Path, django_db_blocker: Any) -> None:
    from chronos_storage.backends.document import MemoryBackend
    from chronos_storage.facade import Storage
    from chronos_storage.importing import SYSTEMS
    from chronos_storage.importing.importer import store

    statements: list[Any] = [*AGENTOS, *agentos_rows()]
    if quoted:  # PostgreSQL then keeps the capitals
        mark = "`" if place == "mariadb" else '"'
        for name in ("userId", "agentId", "createdAt", "lastActivity", "conversationId", "toolCalls", "toolCallId"):
            statements = [
                (each[0].replace(name, f"{mark}{name}{mark}"), each[1])
                if isinstance(each, tuple)
                else each.replace(name, f"{mark}{name}{mark}")
                for each in statements
            ]
    with django_db_blocker.unblock(), new_databases(place, tmp_path) as (url,):
        execute(url, statements)
        target = Storage(MemoryBackend())
        with SYSTEMS["agentos"](url) as source:
            assert source.count() == 2
            for conversation in source.conversations():
                store(target, conversation.session(), conversation.messages)
        order = ["c0 z", "c0 a", "c0 b", "c0 c"] if place != "mariadb" else ["c0 a", "c0 z", "c0 b", "c0 c"]
        assert [message.id for message in target.list_messages("c0")] == order
        message = target.get_message("c0 a")
        assert message is not None
        assert message.tool_calls == CALLS
        refused_writes(url)


def refused_writes(url: str) -> None:
    connection = connect_read_only(url)
    with pytest.raises(Exception, match=r"(?i)read.?only"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM messages")
    connection.close()


@pytest.mark.usefixtures("other_databases")
def test_a_source_is_only_read(agentos) -> None:
    refused_writes(str(agentos))


@pytest.mark.parametrize(
    ("sources", "system", "problem"),
    [
        (["absent.db"], "agentos", "there is no file absent.db"),
        (["redis://h"], "agentos", "redis://"),
        (["postgres://ada:sesame@127.0.0.1:1/x"], "agentos", "can't be used"),
        (["agentos.db"], "ago", "no table 'sessions'"),
        (["empty.db"], "agentos", "no table 'conversations'"),
        (["half.db"], "agentos", "has no column 'lastActivity'"),
        (["absent.json"], "agentx", "absent.json"),
        (["list.json"], "agentx", "must be an object"),
        (["typed.json"], "agentx", "sessions: must be a list"),
        (["agentx.db"], "agentx", "have AgentX export its data to a JSON file"),
    ],
)
def test_what_is_no_such_source_is_refused(
    target, run, agentos, tmp_path, monkeypatch, sources, system, problem
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "empty.db", [])
    (tmp_path / "empty.db").touch()
    write(tmp_path / "half.db", [AGENTOS[0].replace("lastActivity", "touched")])
    write(tmp_path / "agentx.db", ["CREATE TABLE kv_storage (key TEXT PRIMARY KEY, value TEXT NOT NULL)"])
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "typed.json").write_text('{"sessions": {}}')
    ran = run(*sources, format=system)
    assert ran.status == 1
    assert problem in ran.stderr
    assert "sesame" not in ran.stderr
    assert target.list_sessions() == []


@on_sqlite_alone
def test_it_stops_and_goes_on(start, tmp_path, storage_committed) -> None:
    path = tmp_path / "agentos.db"
    write(path, [*AGENTOS, *agentos_rows(100)])
    process = start("chronos_import", path, "--format", "agentos")
    until = time.monotonic() + 60
    while storage_committed.get_session("c0") is None and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    if process.returncode:  # else it was done first
        assert process.returncode == 130
        assert "the same command again goes on" in stderr
    again = start("chronos_import", path, "--format", "agentos")
    stdout, stderr = again.communicate(timeout=120)
    assert (again.returncode, stderr) == (0, "")
    assert "0 broken" in stdout
    sessions = storage_committed.list_sessions(limit=None)
    assert len(sessions) == 100
    assert {storage_committed.count_messages(session.id) for session in sessions} == {4}


# Ago


def ago_rows(number: int, *, deleted: bool = False) -> list[Any]:
    time = TIME.isoformat()
    session, user, message = (str(uuid.UUID(int=kind * 1000 + number)) for kind in (1, 2, 3))
    contents = [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yes"}]}]
    usage = json.dumps({"promptTokenCount": 1, "totalTokenCount": 5})
    return [
        insert(
            "sessions",
            id=session,
            user_id=user,
            author="app",
            title="t",
            metadata='{"k": 1}',
            created_at=time,
            updated_at=time,
            deleted_at=time if deleted else None,
        ),
        *(
            insert(
                "events",
                id=str(uuid.UUID(int=4000 + 10 * number + at)),
                session_id=session,
                message_id=message,
                user_id=user,
                agent="planner" if at else "",
                content=json.dumps(content),
                error="",
                usage=usage if at else None,
                created_at=time,
                metadata=None,
            )
            for at, content in enumerate(contents)
        ),
    ]


def ago_tables(place: str) -> list[str]:
    types = {"uuid": "UUID", "json": "JSONB", "time": "TIMESTAMPTZ"}
    if place == "sqlite":
        types = dict.fromkeys(types, "TEXT")
    return [statement.format(**types) for statement in AGO]


@pytest.mark.parametrize("place", [place for place in PLACES if place != "mariadb"])
def test_ago_tables_go_in_once(target, run, place, tmp_path) -> None:
    with new_databases(place, tmp_path) as (url,):
        execute(url, [*ago_tables(place), *ago_rows(1), *ago_rows(2, deleted=True)])
        ran = run(url, format="ago")
        assert (ran.status, ran.stderr) == (0, "")
        assert ran.stdout == "Conversations: 2 imported, 0 already there, 0 broken. Messages: 4.\n"
        again = run(url, format="ago")
        assert again.stdout == "Conversations: 0 imported, 2 already there, 0 broken. Messages: 0.\n"
    id, user = str(uuid.UUID(int=1001)), str(uuid.UUID(int=2001))
    session = target.get_session(id)
    assert (session.user_id, session.author, session.title, session.metadata) == (user, "app", "t", {"k": 1})
    assert (session.created_at, session.updated_at) == (TIME, TIME)
    first, second = target.list_messages(id)
    assert (first.role, first.content) == ("user", {"role": "user", "parts": [{"text": "hi"}]})
    assert second.usage == TokenUsage(prompt_tokens=1, total_tokens=5)
    assert second.metadata["agent"] == "planner"
    assert second.metadata["user_id"] == user
    assert target.get_session(str(uuid.UUID(int=1002))) is None
    deleted = target.get_session(str(uuid.UUID(int=1002)), include_deleted=True)
    assert deleted.deleted_at is not None
    assert target.count_messages(deleted.id) == 2


# AgentX


def export(**changes: Any) -> dict[str, Any]:
    times = {"createdAt": NOW, "updatedAt": NOW + 1}
    return {
        "containers": [{"containerId": "container-1", **times, "config": {"k": 1}}],
        "images": [
            {"imageId": "img_1", "containerId": "container-1", "sessionId": "session-1", "name": "n", **times},
            {
                "imageId": "img_2",
                "containerId": "container-1",
                "sessionId": "session-2",
                "name": "n",
                "parentImageId": "img_1",
                "customData": {"starred": True},
                **times,
            },
        ],
        "sessions": [
            {"sessionId": "session-1", "imageId": "img_1", "containerId": "container-1", "agentId": "a", **times},
            {"sessionId": "session-2", "imageId": "img_2", "containerId": "container-1", **times},
        ],
        "messages": {
            "session-1": [
                {"id": "m1", "role": "user", "subtype": "user", "content": "hi", "timestamp": NOW},
                {"subtype": "tool_call", "content": [{"id": "call_1"}], "timestamp": NOW},
                {"id": "m3", "subtype": "error", "content": "no", "errorCode": "e", "timestamp": NOW + 7},
            ]
        },
    } | changes


def test_an_agentx_export_goes_in_once(storage, command, tmp_path) -> None:
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(export(), indent=2))
    ran = command("chronos_import", path, format="agentx", user_id="ada")
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout == "Conversations: 2 imported, 0 already there, 0 broken. Messages: 3.\n"
    container, image = storage.get_container("container-1"), storage.get_image("img_2")
    assert (container.config, container.created_at) == ({"k": 1}, TIME)
    assert container.updated_at == TIME + timedelta(milliseconds=1)
    assert (image.parent_image_id, image.metadata) == ("img_1", {"customData": {"starred": True}})
    session = storage.get_session("session-1")
    assert (session.image_id, session.user_id, session.metadata) == ("img_1", "ada", {"agentId": "a"})
    said, called, failed = storage.list_messages("session-1")
    assert (said.content, called.tool_calls, failed.metadata) == ("hi", [{"id": "call_1"}], {"error_code": "e"})
    assert [message.kind for message in (said, called, failed)] == ["user", "tool-call", "error"]
    assert session.last_activity_at == TIME + timedelta(milliseconds=7)
    storage.patch_image_metadata("img_2", {"k": 1})
    before = everything(storage)
    again = command("chronos_import", path, format="agentx", user_id="ada")
    assert again.stdout == "Conversations: 0 imported, 2 already there, 0 broken. Messages: 0.\n"
    assert everything(storage) == before


@on_sqlite_alone
def test_a_session_that_is_deleted_here_is_named(storage, command, tmp_path) -> None:
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(export()))
    command("chronos_import", path, format="agentx")
    storage.delete_session("session-1")
    again = command("chronos_import", path, format="agentx")
    assert again.status == 0
    assert again.stdout == "Conversations: 0 imported, 1 already there, 1 deleted here, 0 broken. Messages: 0.\n"
    [named] = again.stderr.splitlines()
    assert named.startswith("sessions[0]: its session 'session-1' is deleted here")
    assert storage.get_session("session-1") is None


@on_sqlite_alone
def test_broken_parts_of_an_export_are_named(storage, command, tmp_path) -> None:
    path = tmp_path / "backup.json"
    broken = export(
        containers=[{"createdAt": NOW}],
        messages={"session-1": [{"id": "m", "subtype": "thought"}], "session-2": {}, "session-9": []},
    )
    broken["sessions"].append("x")
    path.write_text(json.dumps(broken))
    ran = command("chronos_import", path, format="agentx")
    assert ran.stdout == "Conversations: 0 imported, 0 already there, 5 broken. Messages: 0.\n"
    assert ran.status == 1
    container, first, second, third, left, _ = ran.stderr.splitlines()
    assert "containers[0].containerId: is missing" in container
    assert "messages['session-1'][0].subtype: must be one of user, assistant" in first
    assert "messages['session-2']: must be a list" in second
    assert "sessions[2].SessionRecord: must be an object" in third
    assert "belong to no session" in left
    assert len(storage.list_images()) == 2
