"""YAML files that say where agents store: the documents' examples, what is wrong with others, and the command."""

from __future__ import annotations

import hashlib
import inspect
import io
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from chronos_storage import Storage, config, connect
from chronos_storage.exceptions import ConfigurationError, InvalidRecord
from chronos_storage.records import (
    KINDS,
    Artifact,
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Fence,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from tests.databases import PLACES, new_databases

File = Callable[[str], Path]
NOW = datetime(2026, 1, 2, tzinfo=UTC)
BOTH = """
defaults:
  storage:
    backend: sqlite
    dsn: chronos.db
agents:
  - id: production-agent
    name: not ours
    model: {key: "${UNDEFINED}"}
    storage:
      backend: postgres
      dsn: ${DATABASE_URL}
  - id: other
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> File:
    """Writes a file, in the folder to which file names in it are relative."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNDEFINED", raising=False)

    def write(text: str) -> Path:
        path = tmp_path / "agents.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def use(file: File, settings: Any) -> Callable[[str], None]:
    """Makes a file's text the setting."""

    def set_up(text: str) -> None:
        settings.CHRONOS_STORAGE = config.load(file(text))

    return set_up


# The documents' examples


@pytest.mark.usefixtures("other_databases")
def test_one_storage_in_sqlite(use: Callable[[str], None], tmp_path: Path) -> None:
    use("storage:\n  backend: sqlite     # or another\n  dsn: chronos.db\n")
    storage = config.storage_for("anyone")
    storage.migrate()
    storage.create_session(Session(id="s"))
    storage.close()
    assert connect(str(tmp_path / "chronos.db")).get_session("s") is not None
    assert config.storage_for("someone else").get_session("s") is not None


@pytest.mark.usefixtures("other_databases")
@pytest.mark.parametrize("place", [place for place in PLACES if place != "sqlite"])
def test_one_storage_on_a_server_by_a_variable(
    use: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, place: str, tmp_path: Path
) -> None:
    with new_databases(place, tmp_path) as (url,):
        monkeypatch.setenv("DATABASE_URL", url)
        backend = "mysql" if place == "mariadb" else "postgres"
        use(f"storage:\n  backend: {backend}\n  dsn: ${{DATABASE_URL}}\n")
        storage = config.storage_for("agent")
        storage.migrate()
        storage.create_session(Session(id="s"))
        storage.close()
        assert connect(url).get_session("s") is not None


@pytest.mark.usefixtures("other_databases")
def test_an_agent_s_own_storage_and_the_defaults(
    use: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "sqlite:///own.db")
    use(BOTH.replace("backend: postgres", "backend: sqlite"))
    own, shared = config.storage_for("production-agent"), config.storage_for("other")
    for storage in (own, shared):
        storage.migrate()
        storage.close()
    own.create_session(Session(id="s"))
    assert shared.get_session("s") is None
    assert (tmp_path / "own.db").exists()
    assert (tmp_path / "chronos.db").exists()
    assert config.storage_for("unheard of") is shared


def test_what_the_setting_is(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://user:pass@host:5432/chronos?sslmode=require")
    connecting = "chronos_storage.dsn.connect"
    assert config.load(file(BOTH)) == {
        "STORAGES": {
            "default": {"BACKEND": connecting, "OPTIONS": {"DSN": "chronos.db"}},
            "agent:production-agent": {
                "BACKEND": connecting,
                "OPTIONS": {"DSN": "postgres://user:pass@host:5432/chronos?sslmode=require"},
            },
        }
    }


# Backends


@pytest.mark.parametrize(
    ("section", "address"),
    [
        ("backend: sqlite\n    dsn: ':memory:'", ":memory:"),
        ("backend: postgres\n    dsn: postgresql://h/n", "postgresql://h/n"),
        ("backend: mysql\n    dsn: mysql://h/n", "mysql://h/n"),
        ("backend: redis\n    dsn: redis://h:6379/0", "redis://h:6379/0"),
        ("backend: redis\n    dsn: localhost:6379", "redis://localhost:6379"),
        ("backend: mongo\n    dsn: mongodb://h/n", "mongodb://h/n"),
        ("backend: dynamo\n    dsn: dynamodb://region/table", "dynamodb://region/table"),
        ("backend: dynamo\n    dsn: us-east-1", "dynamodb://us-east-1/chronos"),
        ("backend: dynamo\n    dsn: us-east-1/agents", "dynamodb://us-east-1/agents"),
        ("backend: filesystem\n    dsn: /some data", "file:///some%20data"),
        ("backend: memory", "memory://"),
        ("backend: memory\n    dsn: a/b", "memory://a%2Fb"),
        ("backend: memory\n    dsn: ':memory:'", "memory://"),
    ],
)
def test_each_backend_has_its_address(file: File, section: str, address: str) -> None:
    found = config.load(file(f"defaults:\n  storage:\n    {section}\n"))
    assert found["STORAGES"]["default"]["OPTIONS"] == {"DSN": address}


def test_in_memory(use: Callable[[str], None]) -> None:
    use("agents:\n- id: a\n  storage: {backend: memory}\n- id: b\n  storage: {backend: memory, dsn: shared}\n")
    assert isinstance(config.storage_for("a"), Storage)
    config.storage_for("a").create_session(Session(id="s"))
    assert config.storage_for("a").get_session("s") is not None
    assert config.storage_for("b").get_session("s") is None
    assert isinstance(config.storage_for("c"), Storage)  # the settings' own default


def test_none_accepts_what_an_agent_writes(use: Callable[[str], None], caplog: pytest.LogCaptureFixture) -> None:
    use("storage:\n  backend: none\n")
    storage = config.storage_for("a")
    session = storage.create_session(Session(id="s", title="t"))
    with storage.atomic():
        message = storage.add_message(Message(session_id="s", role="user", content="hello"))
    assert (session.title, message.content, message.seq_num) == ("t", "hello", 1)
    assert session.created_at is not None
    first = storage.append_event(Event(session_id="s", type="t"), expected_seq=0)
    assert storage.append_event(Event(session_id="s"), expected_seq=first.seq_num).seq_num == 2
    assert [each.seq_num for each in storage.append_events([Event(session_id="s"), Event(session_id="s")])] == [1, 2]
    assert storage.patch_session("never made", title="new").title == "new"
    assert storage.end_trace("never made", output=1).output == 1
    artifact = storage.put_artifact(Artifact(session_id="s", name="n"), b"data")
    assert (artifact.version, artifact.size, storage.get_artifact("n", session_id="s")) == (1, 4, None)
    with storage.open_artifact(artifact.id) as opened:
        assert (opened.read(), opened.seek(0), opened.read(10)) == (b"", 0, b"")
    with pytest.raises(InvalidRecord):
        storage.add_message(Message(session_id="s", role="user", content=float("nan")))
    assert [record.levelname for record in caplog.records if "'none'" in record.message] == ["WARNING"]


def test_none_takes_every_method_and_keeps_nothing(use: Callable[[str], None]) -> None:
    use("storage:\n  backend: none\n")
    storage = config.storage_for("a")
    samples: dict[str, Any] = {
        "session": Session(id="s"),
        "message": Message(id="m", session_id="s", role="user"),
        "messages": [Message(session_id="s", role="user"), Message(id="m", session_id="t", role="user")],
        "record": MemoryRecord(id="r", agent_id="a", key="k"),
        "log": AuditLog(id="l", session_id="s", action="do"),
        "trace": Trace(id="t", session_id="s"),
        "event": Event(id="e", session_id="s", seq_num=7),
        "fence": Fence(session_id="s", token=1),
        "events": [Event(session_id="s"), Event(id="e", session_id="t", seq_num=3)],
        "checkpoint": Checkpoint(id="c", session_id="s", state={"k": 1}),
        "artifact": Artifact(id="f", session_id="s", name="n"),
        "data": b"data",
        "sha256": hashlib.sha256(b"data").hexdigest(),
        "container": Container(id="c"),
        "image": Image(id="i"),
        "records": [Container(id="c", created_at=NOW, updated_at=NOW)],
        "changes": {"k": 1},
        "ids": ["x"],
        "limit": 1,
        "kind": "event",
        "held": True,
        "provider": "openai",
        "actor": "somebody",
        "reason": "a reason",
        "traces": [Trace(session_id="s"), Trace(id="t")],
    }
    # One of several that may be left out, and another type than of the same name elsewhere.
    own: dict[str, dict[str, Any]] = {
        "delete_checkpoints": {"keep_last": 1},
        "list_traces": {"session_id": "s"},
        "iter_traces": {"session_id": "s"},
        "put_memories": {"records": [MemoryRecord(agent_id="a", key="k"), MemoryRecord(id="r", agent_id="a", key="l")]},
    }
    synchronous = [
        name
        for name, method in inspect.getmembers(Storage, inspect.isfunction)
        if not (name.startswith("_") or inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method))
    ]
    assert "append_event" in synchronous
    for name in synchronous:
        given: list[Any] = []
        named: dict[str, Any] = dict(own.get(name, {}))
        for key, parameter in list(inspect.signature(getattr(Storage, name)).parameters.items())[1:]:
            if key in named or parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
                continue
            if parameter.kind is parameter.KEYWORD_ONLY:
                named[key] = samples[key]
            else:
                given.append(samples.get(key, "x"))
        result = getattr(storage, name)(*given, **named)
        if hasattr(result, "__enter__"):
            with result:
                pass
        if inspect.isgenerator(result):
            assert list(result) == []
    for kind in KINDS:
        assert list(storage.scan(kind)) == []
    assert storage.last_seq("s") == storage.count_messages("s") == storage.token_usage("s").total_tokens == 0
    assert (storage.get_session("s"), storage.get_image("i"), storage.get_trace("t")) == (None, None, None)
    health = storage.health()
    assert health.ok
    assert "none" in health.store


# What is wrong


@pytest.mark.parametrize(
    ("text", "where", "right"),
    [
        ("storage: {backend: postgres, dsn: '${UNDEFINED}'}", "storage.dsn", "UNDEFINED, which is not set"),
        ("storage: {backend: '${UNDEFINED}'}", "storage.backend", "UNDEFINED, which is not set"),
        ("storage: {backend: sqlite, dsn: '${a b}'}", "storage.dsn", "${NAME}"),
        ("storage: {backend: sqlite, dsn: '${}'}", "storage.dsn", "${NAME}"),
        ("storage: {backend: sqlite, dsn: '${EMPTY}'}", "storage.dsn", "is empty"),
        ("storage: {backend: oracle, dsn: x}", "storage.backend", "sqlite, postgres, mysql"),
        ("storage: {backend: no}", "storage.backend", "must be a string"),
        ("storage: {dsn: x}", "storage.backend", "is missing"),
        ("storage: {backend: sqlite}", "storage.dsn", "is missing"),
        ("storage: {backend: sqlite, dsn: 7}", "storage.dsn", "must be a string"),
        ("storage: {backend: sqlite, dsn: 'postgres://h/n'}", "storage.dsn", "chronos.db"),
        ("storage: {backend: postgres, dsn: chronos.db}", "storage.dsn", "postgres://user"),
        ("storage: {backend: none, dsn: x}", "storage.dsn", "left out"),
        ("storage: {backend: memory, path: x}", "storage.path", "a backend and a dsn"),
        ("storage: sqlite", "storage", "must be a mapping"),
        ("defaults:", "defaults", "must be a mapping"),
        ("defaults: [1]", "defaults", "must be a mapping"),
        ("defaults: {storage: {backend: none}}\nstorage: {backend: none}", "storage", "defaults.storage"),
        ("agents: {id: a}", "agents", "must be a list"),
        ("agents: [a]", "agents[0]", "must be a mapping"),
        ("agents: [{id: a}, {storage: {backend: none}}]", "agents[1].id", "a string"),
        ("agents: [{id: 7}]", "agents[0].id", "a string"),
        ("agents: [{id: a}, {id: a}]", "agents[1].id", "'a'"),
        ("agents: [{id: a, storage: {backend: mongo}}]", "agents[0].storage.dsn", "is missing"),
        ("- a list", "", "must be a mapping"),
        ("a: [", "", "is not YAML"),
        ("a: !!python/object/apply:os.getcwd []", "", "is not YAML"),
    ],
)
def test_errors_name_file_place_and_what_is_right(
    file: File, monkeypatch: pytest.MonkeyPatch, text: str, where: str, right: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    path = file(text)
    with pytest.raises(ConfigurationError) as refused:
        config.load(path)
    message = str(refused.value)
    assert message.startswith(f"{path}: {where}: " if where else f"{path} ")
    assert right in message


def test_no_error_of_a_file_has_the_password_that_stands_there(file: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:sesame@h/n")
    for text in (
        "storage: postgres://ada:sesame@h/n",
        "storage: {backend: 'postgres://ada:sesame@h/n'}",
        "storage: {backend: '${DATABASE_URL}'}",
        "storage: {backend: postgres, dsn: ['postgres://ada:sesame@h/n']}",
        "storage: [{backend: postgres, dsn: 'postgres://ada:sesame@h/n'}]",
        "agents: {a: {storage: {backend: postgres, dsn: 'postgres://ada:sesame@h/n'}}}",
        'storage:\n  dsn: "postgres://ada:sesame@h/n\n',
        "storage:\n  dsn: postgres://ada:sesame@h/n: x",
        "storage:\n  dsn: @sesame",
        "storage:\n  dsn: !sesame x",
    ):
        with pytest.raises(ConfigurationError) as refused:
            config.load(file(text))
        assert "sesame" not in "".join(traceback.format_exception(refused.value)), text


def test_a_file_that_can_t_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.yaml can't be read"):
        config.load(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(ConfigurationError, match=r"latin\.yaml can't be read"):
        config.load(tmp_path / "latin.yaml")


# The command


def check(path: Path) -> tuple[int, list[str], str]:
    """The command's exit status, lines and last word."""
    stdout = io.StringIO()
    try:
        call_command("chronos_config", "check", str(path), stdout=stdout)
    except CommandError as error:
        return error.returncode, stdout.getvalue().splitlines(), str(error)
    return 0, stdout.getvalue().splitlines(), ""


@pytest.mark.usefixtures("other_databases")
def test_the_command_says_what_each_would_use(file: File, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://ada:sesame@127.0.0.1:1/chronos")
    path = file(BOTH)
    status, lines, last = check(path)
    assert status == 1
    assert last == "Not every storage can be used."
    assert lines[0].startswith("default: sqlite chronos.db: there is no file chronos.db yet")
    assert lines[1].startswith("production-agent: postgres postgres://ada:***@127.0.0.1:1/chronos: ")
    assert "sesame" not in "".join(lines)
    assert lines[2] == lines[0].replace("default", "other")
    assert not (tmp_path / "chronos.db").exists()  # nothing was made

    connect("chronos.db").close()
    (tmp_path / "chronos.db").touch()
    assert "call the storage's migrate()" in check(path)[1][0]
    storage = connect("chronos.db", migrate=True)
    storage.close()
    text = BOTH.replace("backend: postgres", "backend: memory").replace("dsn: ${DATABASE_URL}", "dsn: x")
    assert check(file(text)) == (
        0,
        [
            "default: sqlite chronos.db: ready",
            "production-agent: memory memory://x: ready",
            "other: sqlite chronos.db: ready",
            "Agents: 3 ready, 0 not.",
        ],
        "",
    )


def test_the_command_refuses_what_is_wrong(file: File) -> None:
    status, lines, last = check(file("storage: {backend: x}"))
    assert (status, lines) == (1, [])
    assert "storage.backend: must be one of" in last


@pytest.mark.django_db
def test_the_command_knows_the_settings_default(file: File) -> None:
    path = file("agents: [{id: a}, {id: b, storage: {backend: none}}]")
    assert check(path) == (
        0,
        [
            "default: the settings' default storage: ready",
            "a: the settings' default storage: ready",
            "b: none: ready",
            "Agents: 3 ready, 0 not.",
        ],
        "",
    )
