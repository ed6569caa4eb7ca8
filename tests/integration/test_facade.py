"""How a project gets at its storages: settings, addresses, routers, checks, signals, the host's own transactions."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.core import checks
from django.db import connections, router, transaction
from pytest_django import DjangoDbBlocker, Settings

import chronos_storage
from chronos_storage import Storage, connect, ledger, signals, storages
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import AlreadyExists, ConfigurationError, NotFound, NotSupported
from chronos_storage.models import AuditLog as AuditLogRow
from chronos_storage.models import Event as EventRow
from chronos_storage.models import Message as MessageRow
from chronos_storage.records import (
    KINDS,
    Artifact,
    AuditLog,
    Checkpoint,
    Container,
    Event,
    Image,
    MemoryRecord,
    Message,
    Session,
    Trace,
)
from tests.databases import PLACES, new_databases

ROOT = Path(__file__).resolve().parents[2]
ORM = "chronos_storage.backends.orm.OrmBackend"


def everything(store: Storage) -> dict[str, list[Any]]:
    return {kind: list(store.scan(kind)) for kind in KINDS}


def write_everything(store: Storage, session_id: str = "s") -> None:
    """One record of each kind."""
    store.create_session(Session(id=session_id, agent_id="a", user_id="u", image_id="i"))
    store.patch_session_metadata(session_id, {"k": 1})
    store.add_message(Message(session_id=session_id, role="user", content="hello"))
    store.put_memory(MemoryRecord(agent_id="a", key="k", value=1))
    store.append_audit_log(AuditLog(session_id=session_id, action="do"))
    store.insert_trace(Trace(id=f"t {session_id}", session_id=session_id))
    store.end_trace(f"t {session_id}")
    store.append_event(Event(session_id=session_id, payload=1))
    store.append_events([Event(session_id=session_id), Event(session_id=session_id)])
    store.save_checkpoint(Checkpoint(session_id=session_id, state={"n": 1}))
    store.save_container(Container(id="c"))
    store.save_image(Image(id="i", name="n"))
    store.put_artifact(Artifact(session_id=session_id, name="n"), b"data")


# Importing


def python(code: str) -> str:
    """What a fresh interpreter prints that knows no Django settings."""
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_needs_no_settings_and_loads_no_model_or_optional_library() -> None:
    loaded = python(
        "import sys, chronos_storage\n"
        "from chronos_storage import *\n"
        "from chronos_storage import Storage, connect, records, codec, exceptions, ids, signals, storage, storages\n"
        "from chronos_storage.backends.base import PurgePermit\n"
        "print(*sys.modules)"
    ).split()
    optional = {"MySQLdb", "bson", "factory", "numpy", "pgvector", "psycopg", "pymongo", "pymysql", "pytest", "redis"}
    optional.add("rest_framework")
    assert {name for name in loaded if name.split(".")[0] in optional} == set()
    assert {
        name for name in loaded if name.startswith(("chronos_storage.models", "chronos_storage.backends.orm"))
    } == set()


def test_importing_the_package_alone_loads_nothing() -> None:
    loaded = python("import sys, chronos_storage; print(*sys.modules)").split()
    assert {name for name in loaded if name.startswith(("chronos_storage.", "django"))} == set()


def test_public_names() -> None:
    for name in chronos_storage.__all__:
        assert getattr(chronos_storage, name) is not None
    assert python("import chronos_storage; print(hasattr(chronos_storage, 'nothing'))") == "False"
    submodules = {path.stem for path in (ROOT / "chronos_storage").iterdir()}
    assert submodules.isdisjoint(chronos_storage.__all__)


# Settings


def test_without_a_setting_the_default_storage_is_over_the_models(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {}
    assert list(storages) == ["default"]
    assert isinstance(storages["default"].backend, OrmBackend)
    storage = chronos_storage.storage
    assert isinstance(storage, Storage)
    assert storage.backend is storages["default"].backend
    assert {"append_event", "aappend_event", "alias"} <= set(dir(storage))


class Shouting(Storage):
    """A host's own class, whose methods are not all `Storage`'s."""

    def get_session(self, id: str, *, include_deleted: bool = False) -> Session | None:
        return Session(id=id.upper())

    def shout(self) -> str:
        return "!"

    def __repr__(self) -> str:
        return "<Shouting>"


def shouting() -> Shouting:
    return Shouting(OrmBackend())


def test_the_default_storage_does_what_the_one_it_stands_for_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": f"{__name__}.shouting"}}}
    storage: Any = chronos_storage.storage
    assert storage.get_session("s") == Session(id="S")
    assert (storage.shout(), repr(storage)) == ("!", "<Shouting>")
    with monkeypatch.context() as patched:
        patched.setattr(storage, "shout", lambda: "?")
        assert storages["default"].shout() == storage.shout() == "?"  # type: ignore[attr-defined]
    assert storage.shout() == "!"


def test_who_looks_at_all_that_a_storage_has_sees_no_alias_where_there_is_none() -> None:
    storage = Storage(MemoryBackend())
    assert not hasattr(storage, "alias")
    assert "get_session" in dict(inspect.getmembers(storage))
    with pytest.raises(NotSupported, match="no database of Django's"):
        _ = storage.alias


def test_a_storage_is_made_of_a_backend_alone() -> None:
    for wrong in (None, OrmBackend, chronos_storage.storage):
        with pytest.raises(TypeError, match=r"chronos_storage\.Backend"):
            Storage(wrong)


def test_a_storage_says_what_it_is_without_a_password() -> None:
    assert re.fullmatch(r"<Storage over <OrmBackend 'default': sqlite '.+'>>", repr(chronos_storage.storage))
    shown = repr(connect("postgres://user:secret@127.0.0.1:1/chronos"))
    assert re.fullmatch(r"<Storage over <OrmBackend 'chronos_\w+': postgresql 'chronos'>>", shown)


def test_aliases_are_made_once_each(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {"STORAGES": {"archive": {"BACKEND": ORM, "OPTIONS": {"USING": "default"}}}}
    assert sorted(storages) == ["archive", "default"]
    archive = storages["archive"]
    assert isinstance(archive.backend, OrmBackend)
    assert archive.alias == "default"
    assert storages["archive"] is archive
    assert storages["default"] is not archive


def test_threads_share_one(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {}
    start = threading.Barrier(8)
    found: list[Storage] = []

    def look_up() -> None:
        start.wait()
        found.append(storages["default"])

    threads = [threading.Thread(target=look_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(store) for store in found}) == 1


class Wrapping(OrmBackend):
    """A host's own backend, over another one."""

    def __init__(self, over: str) -> None:
        super().__init__()
        self.over = storages[over]


def test_a_backend_may_be_made_of_another(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {
        "STORAGES": {"wrapping": {"BACKEND": f"{__name__}.Wrapping", "OPTIONS": {"OVER": "default"}}}
    }
    wrapping = storages["wrapping"]
    assert isinstance(wrapping.backend, Wrapping)
    assert wrapping.backend.over is storages["default"]


def test_a_changed_setting_is_heard(settings: Settings, tmp_path: Path) -> None:
    one, two = (connect(str(tmp_path / name)).alias for name in ("one.db", "two.db"))
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": ORM, "OPTIONS": {"USING": one}}}}
    assert storages["default"].alias == chronos_storage.storage.alias == one
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": ORM, "OPTIONS": {"using": two}}}}
    assert storages["default"].alias == chronos_storage.storage.alias == two


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ({}, "BACKEND"),
        ({"BACKEND": "nothing"}, "nothing"),
        ({"BACKEND": None}, "None"),
        ({"BACKEND": "no.such.module"}, "no.such"),
        ({"BACKEND": "chronos_storage.backends.orm.NoSuch"}, "NoSuch"),
        ({"BACKEND": ORM, "OPTIONS": {"COLOUR": "red"}}, "colour"),
    ],
    ids=str,
)
def test_a_wrong_entry_is_a_clear_error(settings: Settings, entry: dict[str, Any], complaint: str) -> None:
    settings.CHRONOS_STORAGE = {"STORAGES": {"mine": entry}}
    with pytest.raises(ConfigurationError) as caught:
        storages["mine"]
    assert complaint in str(caught.value)
    assert '"mine"' in str(caught.value)
    assert found("E004") == [f"{caught.value}."]


def test_an_unknown_alias_is_a_clear_error(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {}
    with pytest.raises(ConfigurationError, match="unknown"):
        storages["unknown"]


# System checks


def ours() -> list[checks.CheckMessage]:
    """What our checks say that read no database, of the databases in the settings."""
    messages = checks.run_checks(tags=[checks.Tags.compatibility])
    connected = [f"'{alias}'" for alias in connections if alias not in django_settings.DATABASES]
    return [
        message
        for message in messages
        if str(message.id).startswith("chronos_storage.") and not any(alias in message.msg for alias in connected)
    ]


def found(id: str) -> list[str]:
    """The messages of the checks with this id."""
    return [message.msg for message in ours() if message.id == f"chronos_storage.{id}"]


def test_these_settings_are_without_complaint() -> None:
    assert ours() == []


def test_naive_times_are_an_error(settings: Settings) -> None:
    settings.USE_TZ = False
    assert len(found("E001")) == 1


@pytest.mark.parametrize(
    ("setting", "where"),
    [
        ([], "CHRONOS_STORAGE must"),
        (None, "CHRONOS_STORAGE must"),
        ({"STORAGES": [ORM]}, 'CHRONOS_STORAGE["STORAGES"] must'),
        ({"STORAGES": {"mine": ORM}}, 'CHRONOS_STORAGE["STORAGES"]["mine"] must'),
    ],
    ids=str,
)
def test_what_is_no_dict_is_an_error(settings: Settings, setting: Any, where: str) -> None:
    settings.CHRONOS_STORAGE = setting
    [message] = found("E002")
    assert message.startswith(where)


def test_unknown_keys_are_errors(settings: Settings) -> None:
    settings.CHRONOS_STORAGE = {"STORAGE": {}, "STORAGES": {"mine": {"BACKEND": ORM, "LOCATION": "x"}}}
    messages = found("E003")
    assert len(messages) == 2
    assert "'STORAGE'" in messages[0]
    assert "'LOCATION'" in messages[1]
    assert "mine" in messages[1]


@pytest.mark.parametrize(
    ("option", "value"), [("init_command", ""), ("transaction_mode", "DEFERRED"), ("timeout", None)]
)
def test_a_sqlite_file_without_what_several_writers_need_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, option: str, value: Any
) -> None:
    options = dict(django_settings.DATABASES["default"]["OPTIONS"])
    assert found("W001") == []
    del options[option]
    if value is not None:
        options[option] = value
    monkeypatch.setitem(connections["default"].settings_dict, "OPTIONS", options)
    [message] = [message for message in ours() if message.id == "chronos_storage.W001"]
    assert "'default'" in message.msg
    assert f'"{option}"' in str(message.hint)
    assert sum(f'"{name}"' in str(message.hint) for name in ("init_command", "transaction_mode", "timeout")) == 1


@pytest.mark.parametrize(("zone", "complaints"), [(None, 0), ("UTC", 0), ("Europe/Berlin", 1)])
def test_a_database_of_local_times_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, zone: str | None, complaints: int
) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "TIME_ZONE", zone)
    assert len(found("W002")) == complaints


def test_a_database_that_commits_nothing_by_itself_is_an_error(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    assert found("E009") == []
    monkeypatch.setitem(connections["default"].settings_dict, "AUTOCOMMIT", False)
    [message] = found("E009")
    assert "'default'" in message
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": {"BACKEND": "chronos_storage.backends.document.MemoryBackend"}}}
    settings.CHRONOS_STORAGE |= {"QUEUE": {"BACKEND": "chronos_storage.queues.memory.MemoryQueue"}}
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "chronos_storage.vectors"]
    assert found("E009") == []


def test_addresses_that_were_connected_are_without_complaint(tmp_path: Path) -> None:
    stores = [connect(dsn) for dsn in (":memory:", str(tmp_path / "file.db"))]
    messages = checks.run_checks(tags=[checks.Tags.compatibility])
    for store in stores:
        assert [message for message in messages if store.alias in message.msg] == []


# Addresses


@pytest.fixture
def unblocked(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Databases may be used that pytest-django knows nothing of."""
    with django_db_blocker.unblock():
        yield


@contextmanager
def closing(store: Storage) -> Iterator[Storage]:
    assert isinstance(store.backend, OrmBackend)
    try:
        yield store
    finally:
        store.close()


def in_thread(function: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def journal_mode(store: Storage) -> str:
    with connections[store.alias].cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        return str(cursor.fetchone()[0])


@pytest.mark.usefixtures("unblocked")
@pytest.mark.parametrize(
    "spelling", ["{path}", "sqlite:///{path}", "sqlite:///new%20folder/inner/agent.db", "new folder/inner/agent.db"]
)
def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "new folder" / "inner" / "agent.db"
    with closing(connect(spelling.format(path=path), migrate=True)) as store:
        assert path.exists()
        assert journal_mode(store) == "wal"
        write_everything(store)
        before = everything(store)
        store.close()
        monkeypatch.chdir("/")
        assert everything(store) == before
        assert in_thread(lambda: closed_after(store)) == before
        assert store.health().ok


def closed_after(store: Storage) -> dict[str, list[Any]]:
    with closing(store):
        return everything(store)


@pytest.mark.usefixtures("unblocked")
@pytest.mark.parametrize("spelling", ["agent.db", "agent", "a:b.db", "%41.db", "agent?.db"])
def test_a_bare_file_name_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(connect(spelling)) as store:
        assert not store.health().ok  # which looks for the tables
    assert (tmp_path / spelling).exists()


@pytest.mark.usefixtures("unblocked")
def test_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store, other = connect(":memory:", migrate=True), connect(":memory:", migrate=True)
    write_everything(store)
    before = everything(store)
    assert in_thread(lambda: closed_after(store)) == before
    store.close()
    assert everything(store) == before
    assert not any(everything(other).values())
    assert list(tmp_path.iterdir()) == []
    store.close()
    other.close()


@pytest.mark.usefixtures("unblocked")
@pytest.mark.parametrize("spelling", ["sqlite://:memory:", "sqlite:///:memory:", "sqlite://"])
def test_memory_spelled_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spelling: str) -> None:
    def tables(store: Storage) -> list[str]:
        with closing(store):
            return connections[store.alias].introspection.table_names()

    monkeypatch.chdir(tmp_path)
    store, other = connect(spelling), connect(spelling)
    with connections[store.alias].cursor() as cursor:
        cursor.execute("CREATE TABLE made (id INTEGER)")
    assert in_thread(lambda: tables(store)) == ["made"]
    assert tables(store) == tables(store) == ["made"]
    assert tables(other) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("unblocked")
def test_memory_outlives_the_thread_that_made_it() -> None:
    def make() -> Storage:
        store = connect(":memory:", migrate=True)
        write_everything(store)
        store.close()
        return store

    with closing(in_thread(make)) as store:
        assert len(store.list_events("s")) == 3


@pytest.mark.usefixtures("unblocked")
def test_memory_is_read_and_written_by_many_threads() -> None:
    store = connect(":memory:", migrate=True)
    store.create_session(Session(id="s"))
    errors: list[Exception] = []

    def work() -> None:
        try:
            for _ in range(10):
                store.append_event(Event(session_id="s"))
                store.list_events("s")
                with store.atomic():
                    store.append_event(Event(session_id="s"))
                    store.add_message(Message(session_id="s", role="user"))
        except Exception as error:
            errors.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [event.seq_num for event in store.list_events("s")] == list(range(1, 161))
    assert store.verify_events("s").intact
    store.close()


@pytest.mark.usefixtures("unblocked")
@pytest.mark.parametrize("place", [place for place in PLACES if place != "sqlite"])
def test_a_server(place: str, tmp_path: Path) -> None:
    with new_databases(place, tmp_path) as [address]:
        spellings = [address, address.replace("postgres:", "postgresql:").replace("mysql:", "mariadb:")]
        for number, spelling in enumerate(spellings):
            store = connect(spelling, migrate=True, conn_max_age=number)
            assert store.health().ok
            write_everything(store, f"s{number}")
        written = list(store.scan("session"))
        assert [session.id for session in written] == ["s0", "s1"]
        assert in_thread(lambda: closed_after(store))["session"] == written


def test_the_same_address_is_the_same_alias(tmp_path: Path) -> None:
    path = str(tmp_path / "agent.db")
    aliases = [
        store.alias
        for store in (
            connect(path),
            connect(path),
            connect(f"sqlite:///{path}"),
            connect(path, time_zone="Asia/Tokyo"),
            connect(path, options={"timeout": 1}),
        )
    ]
    assert aliases[0] == aliases[1] == aliases[2]
    assert len(set(aliases)) == 3


def test_options_are_the_alias_s_and_its_driver_s(tmp_path: Path) -> None:
    store = connect(f"sqlite:///{tmp_path}/a.db?timeout=7", conn_max_age=60, options={"transaction_mode": "EXCLUSIVE"})
    alias = connections[store.alias].settings_dict
    assert alias["CONN_MAX_AGE"] == 60
    assert alias["OPTIONS"]["timeout"] == 7
    assert alias["OPTIONS"]["transaction_mode"] == "EXCLUSIVE"
    assert "journal_mode=WAL" in alias["OPTIONS"]["init_command"]


@pytest.mark.parametrize("dsn", ["oracle://host/db", "nonsense://", "://x", "postgres://host:port/x"])
def test_an_address_that_cannot_be_read_is_a_clear_error(dsn: str) -> None:
    before = list(connections)
    with pytest.raises(ConfigurationError):
        connect(dsn)
    assert list(connections) == before


@pytest.mark.usefixtures("unblocked")
def test_without_migrate_there_are_no_tables_until_it_is_asked_for(tmp_path: Path) -> None:
    with closing(connect(str(tmp_path / "agent.db"))) as store:
        health = store.health()
        assert not health.ok
        assert "migrate" in health.problems[0]
        with pytest.raises(ConfigurationError, match="migrate"):
            store.list_sessions()
        store.migrate()
        store.migrate()
        assert store.health().ok
        assert store.list_sessions() == []


def test_a_store_that_cannot_be_reached_says_so_in_its_health(unblocked: None) -> None:
    health = connect("postgres://nobody@127.0.0.1:1/nothing").health()
    assert not health.ok
    assert health.problems
    assert health.latency is None


# Database routers


class Routed:
    """A host's router: agent state is kept in `home`, and what is read goes to a replica wherever the app lets it."""

    home = ""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model._meta.app_label == "chronos_storage" else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return self.home if model._meta.app_label == "chronos_storage" else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == self.home if app_label == "chronos_storage" else None


@pytest.fixture
def routed(alias: str, db: None, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Storage:
    """A store that names no alias, where a router sends it to the tested one."""
    monkeypatch.setattr(Routed, "home", alias)
    settings.DATABASE_ROUTERS = [f"{__name__}.Routed"]
    assert router.db_for_read(EventRow) == "replica"
    return Storage(OrmBackend())


def test_a_router_decides_where_all_is_kept(routed: Storage, alias: str) -> None:
    assert routed.alias == alias
    write_everything(routed)
    stored = everything(routed)
    assert all(stored.values())
    assert everything(Storage(OrmBackend(using=alias))) == stored
    assert routed.get_session("s") == routed.list_sessions("a")[0] == routed.get_image_session("i")
    assert routed.token_usage("s").total_tokens == 0
    assert routed.verify_events("s").intact
    assert all(verdict.intact for verdict in routed.verify_all())
    assert routed.load(stored["session"]) == 0
    assert routed.truncate_messages("s", stored["message"][0].id) == 0
    assert routed.delete_checkpoints("s", keep_last=0) == 1
    assert routed.health().ok
    with routed.atomic():
        assert routed.append_event(Event(session_id="s")).seq_num == 4
    assert routed.delete_session("s", hard=True)
    assert routed.list_events("s") == []


def test_a_router_decides_where_is_purged(routed: Storage, alias: str) -> None:
    write_everything(routed)
    with ledger.purge_permit(reason="router"):
        assert EventRow.objects.filter(session_id="s").delete()[0] == 3
        assert AuditLogRow.objects.filter(session_id="s").delete()[0] == 1
    with ledger.purge_permit(reason="router") as permit:
        assert permit.purge_audit_logs() == 1
    assert [entry.detail["reason"] for entry in Storage(OrmBackend(using=alias)).list_audit_logs()] == ["router"]


@pytest.mark.usefixtures("other_databases")
def test_tables_that_a_router_forbids_are_not_taken_for_made(routed: Storage, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="router"):
        connect(str(tmp_path / "agent.db"), migrate=True)


# Signals


@contextmanager
def heard(signal: Any, using: str) -> Iterator[list[dict[str, Any]]]:
    """What receivers of the signal hear, and whether a transaction is open then."""
    messages: list[dict[str, Any]] = []

    def receiver(**message: Any) -> None:
        messages.append(message | {"in_transaction": connections[using].in_atomic_block})

    signal.connect(receiver)
    try:
        yield messages
    finally:
        signal.disconnect(receiver)


def test_receivers_hear_of_what_was_written_once_it_is_committed(storage_committed: Storage) -> None:
    store = storage_committed
    with heard(signals.records_written, store.alias) as messages:
        session = store.create_session(Session(id="s"))
        event = store.append_event(Event(id="e", session_id="s"))
        assert [(message["sender"], message["records"]) for message in messages] == [
            (Session, (session,)),
            (Event, (event,)),
        ]
        assert {(message["using"], message["in_transaction"]) for message in messages} == {(store.alias, False)}
        messages.clear()

        with store.atomic():
            added = store.add_messages([Message(session_id="s", role="user") for _ in range(2)])
            assert messages == []
        assert [message["records"] for message in messages] == [tuple(added)]
        messages.clear()

        with pytest.raises(AlreadyExists), store.atomic():
            write_everything(store)
        with pytest.raises(NotFound):
            store.append_event(Event(session_id="unknown"))
        assert messages == []


def test_a_receiver_changes_nothing_of_what_a_writer_gets(storage_committed: Storage) -> None:
    def receiver(records: Any, **kwargs: Any) -> None:
        records[0].payload["from"] = "the receiver"
        records[0].type = "changed"

    storage_committed.create_session(Session(id="s"))
    signals.records_written.connect(receiver, sender=Event)
    try:
        event = storage_committed.append_event(Event(session_id="s", type="own", payload={"from": "the caller"}))
    finally:
        signals.records_written.disconnect(receiver, sender=Event)
    assert (event.type, event.payload) == ("own", {"from": "the caller"})


def test_receivers_do_not_hear_of_what_was_stored_already(storage_committed: Storage) -> None:
    store = storage_committed
    store.create_session(Session(id="s"))
    given = {
        store.append_event: Event(id="e", session_id="s"),
        store.append_audit_log: AuditLog(id="a", session_id="s"),
        store.add_message: Message(id="m", session_id="s", role="user"),
        store.insert_trace: Trace(id="t", session_id="s"),
        store.save_checkpoint: Checkpoint(id="c", session_id="s"),
    }
    for write, record in given.items():
        write(record)
    with heard(signals.records_written, store.alias) as messages:
        for write, record in given.items():
            write(record)
        assert messages == []
        store.append_events([Event(id=id, session_id="s") for id in ("new", "e", "newer", "new")])
        [message] = messages
        assert [event.id for event in message["records"]] == ["new", "newer"]


def test_receivers_hear_of_deletions(storage_committed: Storage) -> None:
    store = storage_committed
    with heard(signals.session_deleted, store.alias) as messages:
        store.create_session(Session(id="s"))
        for hard in (False, False, True, True):
            store.delete_session("s", hard=hard)
    assert [(message["sender"], message["session_id"], message["hard"]) for message in messages] == [
        (Session, "s", False),
        (Session, "s", True),
    ]


def test_a_receiver_that_fails_stops_nothing(storage_committed: Storage, caplog: pytest.LogCaptureFixture) -> None:
    def receiver(**kwargs: Any) -> None:
        raise ZeroDivisionError("the receiver's")

    signals.records_written.connect(receiver)
    try:
        with storage_committed.atomic():
            write_everything(storage_committed)
        assert storage_committed.append_event(Event(session_id="s")).seq_num == 4
    finally:
        signals.records_written.disconnect(receiver)
    assert all(everything(storage_committed).values())
    assert "the receiver's" in caplog.text


# The host's own transaction


def test_host_models_and_agent_state_commit_together(storage_committed: Storage) -> None:
    store, users = storage_committed, User.objects.using(storage_committed.alias)
    with transaction.atomic(using=store.alias):
        user = users.create(username="host")
        write_everything(store)
        user.first_name = store.get_session("s").agent_id
        user.save()
    assert users.get().first_name == "a"
    assert all(everything(store).values())


def test_host_models_and_agent_state_roll_back_together(storage_committed: Storage) -> None:
    store, users = storage_committed, User.objects.using(storage_committed.alias)

    def work() -> None:
        with transaction.atomic(using=store.alias):
            users.create(username="host")
            write_everything(store)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert not users.exists()
    assert not any(everything(store).values())
    write_everything(store)
    assert store.append_event(Event(session_id="s")).seq_num == 4
    assert store.verify_events("s").intact


def test_errors_of_the_storage_leave_the_host_s_transaction_usable(storage_committed: Storage) -> None:
    store, users = storage_committed, User.objects.using(storage_committed.alias)
    write_everything(store)
    refusals: list[tuple[type[Exception], Callable[[], object]]] = [
        (AlreadyExists, lambda: store.create_session(Session(id="s"))),
        (NotFound, lambda: store.append_event(Event(session_id="unknown"))),
        (NotFound, lambda: store.add_messages([Message(session_id=id, role="user") for id in ("s", "unknown")])),
        (NotFound, lambda: store.save_checkpoint(Checkpoint(session_id="unknown"))),
        (AlreadyExists, lambda: store.insert_trace(Trace(id="t s", name="other"))),
        (AlreadyExists, lambda: store.save_checkpoint(Checkpoint(session_id="s", seq_num=1))),
    ]
    before = everything(store)
    with transaction.atomic(using=store.alias):
        for number, (error, attempt) in enumerate(refusals):
            with pytest.raises(error):
                attempt()
            users.create(username=f"host {number}")
        assert everything(store) == before
        store.append_event(Event(session_id="s"))
    assert users.count() == len(refusals)
    assert store.last_seq("s") == 4


def test_a_message_that_was_made_without_its_number_s_head_ends_no_transaction(storage_committed: Storage) -> None:
    store = storage_committed
    store.create_session(Session(id="s"))
    made = {"session_id": "s", "seq_num": 1, "role": "user", "kind": "user", "created_at": datetime.now(UTC)}
    MessageRow.objects.using(store.alias).create(message_id="m", **made)
    with transaction.atomic(using=store.alias):
        added = store.add_message(Message(session_id="s", role="user"))
        assert store.list_messages("s")[1:] == [added]


# Time zones


@pytest.mark.usefixtures("unblocked")
@pytest.mark.parametrize("time_zone", ["Asia/Tokyo", "America/St_Johns", "UTC"])
def test_times_are_utc_whatever_the_database_keeps(tmp_path: Path, time_zone: str) -> None:
    timestamp = datetime(2026, 7, 1, 23, 59, 59, 999999, tzinfo=UTC)
    with closing(connect(str(tmp_path / "agent.db"), migrate=True, time_zone=time_zone)) as store:
        store.create_session(Session(id="s", created_at=timestamp))
        store.append_events([Event(session_id="s", created_at=timestamp + timedelta(hours=n)) for n in range(30)])
        store.append_audit_log(AuditLog(session_id="s", created_at=timestamp))
        store.put_memory(MemoryRecord(agent_id="a", key="k", expires_at=timestamp + timedelta(days=9999)))
        times = [event.created_at for event in store.list_events("s")]
        assert times == [timestamp + timedelta(hours=n) for n in range(30)]
        assert {time.tzinfo for time in times} == {UTC}
        assert store.get_session("s").created_at.tzinfo is UTC
        assert store.get_memory("a", "k").expires_at == timestamp + timedelta(days=9999)
        assert [log.created_at for log in store.list_audit_logs(since=timestamp, until=timestamp)] == [timestamp]
        assert store.verify_events("s").intact
        assert store.verify_audit_logs("s").intact
