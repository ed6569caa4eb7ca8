"""Ago's service: its eleven methods, and a configuration that does what it says."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from chronos_storage import Storage
from chronos_storage.exceptions import AlreadyExists, ConfigurationError, InvalidRecord, NotFound
from chronos_storage.interfaces import ago
from chronos_storage.interfaces.ago import Config, Event, Service, Session
from chronos_storage.interfaces.ago_records import message_of
from chronos_storage.records import Message, TokenUsage
from chronos_storage.testing.conformance.helpers import case
from tests.databases import PLACES, new_databases

NOW = datetime(2026, 3, 8, 12, 0, 0, 123456, UTC)


@pytest.fixture
def service(store: Storage) -> Service:
    return Service(store)


def event(id: str, text: str = "hi", session_id: str = "s", role: str = "user", **fields: Any) -> Event:
    return Event(id=id, session_id=session_id, content={"role": role, "parts": [{"text": text}]}, **fields)


def ids(found: list[Any]) -> list[str]:
    return [each.id for each in found]


# The examples of document 004: the other one, a database, is below


def test_without_a_configuration_it_is_in_memory() -> None:
    for config in (None, Config()):
        service = ago.new(config)
        session = service.create_session(Session(user_id="ada"))
        service.create_event(event("e", session_id=session.id))
        assert ids(service.get_events(session.id)) == ["e"]
        service.close()
        assert ids(service.get_events(session.id)) == ["e"]
        assert ago.new(config).list_sessions() == []  # a store of its own


# The service


def test_a_session_comes_back(service: Service) -> None:
    given = Session(id="s", user_id="ada", author="app", title="t", metadata={"k": [1]}, created_at=NOW, updated_at=NOW)
    assert service.create_session(given) == given
    assert service.get_session("s") == given
    assert service.get_session("other") is None
    with pytest.raises(AlreadyExists):
        service.create_session(given)
    made = service.create_session(Session(user_id="ada"))
    assert made.id
    assert made.created_at is not None


def test_an_update_writes_the_session_s_own_fields(service: Service, store: Storage) -> None:
    service.create_session(Session(id="s", user_id="ada", author="app", metadata={"k": 1}, created_at=NOW))
    store.patch_session("s", agent_id="agent", status="running")
    updated = service.update_session(Session(id="s", user_id="ada", author="other", title="t"))
    assert (updated.author, updated.title, updated.metadata) == ("other", "t", None)
    assert updated.updated_at is not None
    assert updated.updated_at > NOW
    assert updated.created_at == NOW
    kept = store.get_session("s")
    assert kept is not None
    assert (kept.agent_id, kept.status) == ("agent", "running")


def test_an_update_keeps_the_user_and_needs_the_session(service: Service) -> None:
    service.create_session(Session(id="s", user_id="ada"))
    with pytest.raises(InvalidRecord) as refused:
        service.update_session(Session(id="s", user_id="eve"))
    assert refused.value.field == "user_id"
    kept = service.update_session(Session(id="s", title="renamed"))
    assert (kept.user_id, kept.title) == ("ada", "renamed")
    with pytest.raises(NotFound):
        service.update_session(Session(id="unheard of"))


def test_a_deleted_session_is_hidden_and_its_events_readable(service: Service, store: Storage) -> None:
    service.create_session(Session(id="s", user_id="ada"))
    service.create_event(event("e"))
    assert service.delete_session("s") is True
    assert service.delete_session("s") is False
    assert service.delete_session("unheard of") is False
    assert service.get_session("s") is None
    assert service.list_sessions("ada") == []
    assert ids(service.get_events("s")) == ["e"]
    with pytest.raises(NotFound):
        service.update_session(Session(id="s", user_id="ada"))
    with pytest.raises(NotFound):
        service.create_event(event("e2"))
    kept = store.get_session("s", include_deleted=True)
    assert kept is not None
    assert kept.deleted_at is not None


@pytest.mark.parametrize("everything", [0, -1])
def test_sessions_are_listed_newest_first(service: Service, everything: int) -> None:
    for number in range(120):
        timestamp = NOW + timedelta(seconds=number)
        service.create_session(Session(id=f"{number:03}", user_id=("ada", "eve")[number % 2], created_at=timestamp))
    assert ids(service.list_sessions("ada", 3, 1)) == ["116", "114", "112"]
    assert len(service.list_sessions("ada", everything, everything)) == 60
    assert len(service.list_sessions("", everything, 0)) == 120
    assert ids(service.list_sessions("ada", everything, 58)) == ["002", "000"]
    assert service.list_sessions("nobody", 10, 0) == []


def test_an_event_comes_back(service: Service) -> None:
    service.create_session(Session(id="s", user_id="ada"))
    given = Event(
        id="e",
        session_id="s",
        message_id="m",
        user_id="ada",
        agent="planner",
        content={"parts": [{"text": "hi"}, {"functionCall": {"args": {"x": 1.0}}}], "role": "model"},
        error="quota",
        usage={"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7, "trafficType": "x"},
        created_at=NOW,
        metadata={"k": {"n": 1}},
    )
    assert service.create_event(given) == given
    assert service.create_event(given) == given
    stored = service.get_event("e")
    assert stored == given
    assert stored is not None
    assert list(stored.content) == ["parts", "role"]
    assert service.get_event("other") is None
    plain = event("e2", created_at=NOW)
    assert service.create_event(plain) == plain
    with pytest.raises(AlreadyExists):
        service.create_event(event("e", "something else"))


def test_an_event_is_a_message(service: Service, store: Storage) -> None:
    service.create_session(Session(id="s", user_id="ada"))
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7, "cachedContentTokenCount": 1}
    service.create_event(event("e", role="model", agent="planner", message_id="m", user_id="ada", usage=usage))
    message = store.get_message("e")
    assert message is not None
    assert (message.role, message.content) == ("model", {"role": "model", "parts": [{"text": "hi"}]})
    assert message.metadata == {"agent": "planner", "message_id": "m", "user_id": "ada", "usage": usage}
    assert message.usage == TokenUsage(prompt_tokens=3, completion_tokens=4, total_tokens=7, cache_read_tokens=1)
    assert store.count_events("s") == 0


def test_events_keep_the_order_of_writing(service: Service) -> None:
    service.create_session(Session(id="s"))
    assert service.create_events([]) == []
    many = [event(f"e{number:02}", created_at=NOW - timedelta(seconds=number)) for number in range(20)]
    assert service.create_events(many) == many
    assert service.get_events("s") == many
    assert service.get_recent_events("s", 3) == many[-3:]
    for everything in (0, -1, 20, 100):
        assert service.get_recent_events("s", everything) == many
    assert service.get_events("other") == service.get_recent_events("other", 5) == []


def test_events_are_stored_all_or_none(service: Service) -> None:
    service.create_session(Session(id="s"))
    with pytest.raises(NotFound):
        service.create_events([event("e1"), event("e2", session_id="other")])
    with pytest.raises(InvalidRecord):
        service.create_events([event("e1"), Event(id="e2", session_id="s", content={1: 2})])
    assert service.get_events("s") == []


def test_an_event_s_id_is_unique_among_live_sessions(service: Service, store: Storage) -> None:
    for id in ("s", "s2", "s3"):
        service.create_session(Session(id=id))
    service.create_event(event("e"))
    for batch in (
        [event("e", session_id="s2")],
        [event("e2", session_id="s2"), event("e", session_id="s2")],
        [event("e3", session_id="s2"), event("e3", session_id="s3")],
    ):
        with pytest.raises(AlreadyExists):
            service.create_events(batch)
    with pytest.raises(AlreadyExists):
        service.create_event(event("e", session_id="s2"))
    assert service.get_events("s2") == service.get_events("s3") == []
    service.delete_session("s")
    found = service.get_event("e")
    assert found is not None
    assert found.session_id == "s"
    service.create_event(event("e", "live", session_id="s2", created_at=NOW))
    # what the storage itself allows
    store.add_message(message_of(event("e", "newer", session_id="s3", created_at=NOW + timedelta(seconds=1))))
    for newest in ("s3", "s2"):
        found = service.get_event("e")
        assert found is not None
        assert found.session_id == newest
        service.delete_session(newest)


def test_bad_events_name_the_field(service: Service) -> None:
    service.create_session(Session(id="s"))
    bad: list[tuple[dict[str, Any], str]] = [
        ({"content": {1: 2}}, "content.json"),
        ({"metadata": {"x": float("nan")}}, "metadata.x"),
        ({"agent": 7}, "agent"),
        ({"created_at": datetime(2026, 1, 1)}, "created_at"),
    ]
    for fields, field in bad:
        given = {"id": "e", "session_id": "s", "content": {"role": "user"}} | fields
        with case(fields), pytest.raises(InvalidRecord) as refused:
            service.create_event(Event(**given))
        assert refused.value.field == field
    assert service.get_events("s") == []


#: JSON of every type, and what a message or its metadata would otherwise be kept as.
ANY_JSON: list[Any] = [
    "hi", "", 7, 1.5, True, [], [{"text": "x"}], {"parts": []}, {"role": ""}, {"role": 7},
    {"json": 1}, {"json": {"json": 1}}, {"metadata": {"metadata": 1}}, {"agent": "x", "k": 1}, {"usage": 1},
]  # fmt: skip


def test_content_usage_and_metadata_may_be_any_json(service: Service, store: Storage) -> None:
    service.create_session(Session(id="s"))
    given = [
        Event(id=f"{number}", session_id="s", content=value, usage=value or None, metadata=value, created_at=NOW)
        for number, value in enumerate(ANY_JSON)
    ]
    given += [
        Event(id="absent", session_id="s", content=None, created_at=NOW),
        Event(id="own", session_id="s", agent="a", content=[], metadata={"agent": "b", "metadata": 1}, created_at=NOW),
    ]
    assert service.create_events(given) == given
    assert service.get_events("s") == given
    own = store.get_message("own")
    assert own is not None
    assert (own.role, own.metadata["agent"]) == ("assistant", "a")
    for value in ANY_JSON:
        session = service.create_session(Session(metadata=value))
        assert session.metadata == value
        assert service.get_session(session.id) == session
        assert service.update_session(Session(id=session.id, metadata=[value])).metadata == [value]


def test_messages_of_other_interfaces_are_events(service: Service, store: Storage) -> None:
    service.create_session(Session(id="s"))
    calls = [{"id": "call"}]
    store.add_messages(
        [
            Message(id="m1", session_id="s", role="user", content="hi", metadata={"agent": 7, "error": "e"}),
            Message(id="m2", session_id="s", role="assistant", tool_calls=calls, usage=TokenUsage(prompt_tokens=1)),
            Message(id="m3", session_id="s", role="tool", content=[{"type": "text"}]),
            Message(id="m4", session_id="s", role="tool", content={"type": "tool-result"}),
        ]
    )
    said, called, answered, resulted = service.get_events("s")
    assert said.content == {"role": "user", "parts": [{"text": "hi"}]}
    assert (said.agent, said.error, said.metadata) == ("", "e", {"agent": 7})
    assert called.content == {"role": "assistant", "parts": [], "tool_calls": calls}
    assert called.usage == {"prompt_tokens": 1}
    assert answered.content == {"role": "tool", "parts": [{"type": "text"}]}
    assert resulted.content == {"role": "tool", "parts": [{"type": "tool-result"}]}


def test_records_cross_as_json() -> None:
    exported = {
        "id": "e",
        "session_id": "s",
        "message_id": "m",
        "user_id": "u",
        "content": {"role": "user", "parts": []},
        "usage": {"totalTokenCount": 1},
        "created_at": "2026-03-08T12:00:00.123456789Z",
    }
    found = Event.from_json(exported)
    assert found.created_at == NOW
    written = found.to_json()
    assert written == exported | {"created_at": "2026-03-08T12:00:00.123456+00:00"}
    assert Event.from_json(written) == found
    session = Session.from_json({"id": "s", "user_id": "u", "created_at": "2026-03-08T12:00:00Z"})
    assert session.created_at == NOW.replace(microsecond=0)
    for data in ({"id": "s", "created_at": "today"}, {"id": "s", "updated_at": "today"}):
        with pytest.raises(InvalidRecord, match="2026-03-08"):
            Session.from_json(data)


def test_none_is_never_any_and_a_record_is_a_record() -> None:
    service: Any = ago.new()
    for method, field in (
        ("create_session", "session"),
        ("get_session", "id"),
        ("update_session", "session"),
        ("delete_session", "id"),
        ("list_sessions", "user_id"),
        ("create_event", "event"),
        ("create_events", "events"),
        ("get_events", "session_id"),
        ("get_event", "id"),
    ):
        for wrong in (None, 7):
            with pytest.raises(InvalidRecord) as refused:
                getattr(service, method)(wrong)
            assert (method, refused.value.field) == (method, field)
    with pytest.raises(InvalidRecord) as refused:
        service.create_events([event("e"), None])
    assert refused.value.field == "event"


def test_json_leaves_out_what_go_would() -> None:
    time = NOW.isoformat()
    event = Event(id="e", session_id="s", content=None, created_at=NOW)
    empty = {"id": "e", "session_id": "s", "message_id": "", "user_id": "", "content": None, "created_at": time}
    assert event.to_json() == empty
    assert Event.from_json(empty | dict.fromkeys(("agent", "error", "usage", "metadata"))) == event
    whole = empty | {"agent": "a", "error": "e", "usage": {}, "metadata": {}, "content": [0]}
    assert Event.from_json(whole).to_json() == whole
    session = Session(id="s", created_at=NOW)
    unknown = "0001-01-01T00:00:00Z"
    assert session.to_json() == {
        "id": "s", "user_id": "", "author": "", "title": "", "created_at": time, "updated_at": unknown
    }  # fmt: skip
    assert Session.from_json(session.to_json()) == session
    assert Session(deleted_at=NOW, metadata=[]).to_json().keys() >= {"deleted_at", "metadata"}


# The configuration


SERVERS = [place for place in PLACES if place.startswith("postgres")]
#: For pools, which are the same on any server, and for pgvector, which the oldest is without.
on_the_newest = pytest.mark.parametrize("url", [place for place in SERVERS if place == "postgres"], indirect=True)


@pytest.fixture(params=SERVERS)
def url(request: pytest.FixtureRequest, tmp_path: Any, django_db_blocker: Any) -> Iterator[str]:
    """The address of a new database on PostgreSQL."""
    with django_db_blocker.unblock(), new_databases(request.param, tmp_path) as (address,):
        yield address
        for alias in connections:
            if connections[alias].settings_dict["NAME"] == address.rpartition("/")[2]:
                connection: Any = connections[alias]
                connection.close()
                connection.close_pool()


def connection_of(service: Service) -> Any:
    """The connection of this thread that the service uses."""
    storage: Any = service._storage
    return connections[storage.alias]


def ask(service: Service, sql: str, *parameters: Any) -> Any:
    """The one value that a query on the service's own connection gives."""
    with connection_of(service).cursor() as cursor:
        cursor.execute(sql, parameters)
        (value,) = cursor.fetchone()
    service._storage.close()
    return value


@on_the_newest
def test_a_database_and_the_size_of_its_pool(url: str) -> None:
    service = ago.new(Config(database_url=url, max_conns=20))
    service.create_session(Session(id="s", user_id="ada"))
    service.create_event(event("e"))
    service.close()
    service.close()
    again = ago.new(Config(database_url=url, max_conns=20))
    assert ids(again.get_events("s")) == ["e"]
    pool = connection_of(again).pool
    assert (pool.min_size, pool.max_size) == (2, 20)
    again.close()


@on_the_newest
def test_the_size_of_the_pool_may_stand_in_the_address(url: str) -> None:
    sized = f"{url}?pool_max_conns=3&pool_min_conns=1&application_name=x"
    for config, sizes in (
        (Config(database_url=sized), (1, 3)),
        (Config(database_url=sized, max_conns=5), (1, 5)),
        (Config(database_url=f"{url}?pool_max_size=1"), (1, 1)),
    ):
        service = ago.new(config)
        pool = connection_of(service).pool
        assert (pool.min_size, pool.max_size) == sizes
        assert ask(service, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()") <= sizes[1] + 1
        service.close()


@on_the_newest
def test_threads_share_no_more_connections_than_the_pool_has(url: str) -> None:
    service = ago.new(Config(database_url=url, max_conns=3, min_conns=2))
    service.create_session(Session(id="s"))
    over, most = threading.Event(), []

    def count() -> int:
        return int(
            ask(
                service,
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND backend_type = 'client backend'",
            )
        )

    def observe() -> None:
        while not over.wait(0.005):
            most.append(count())

    until = time.monotonic() + 60
    while count() > 3:  # the one that the tables were made on is still on its way out
        assert time.monotonic() < until
    observer = threading.Thread(target=observe)
    observer.start()
    try:
        with ThreadPoolExecutor(12) as threads:
            list(threads.map(lambda number: service.create_event(event(f"e{number}")), range(120)))
    finally:
        over.set()
        observer.join()
    assert len(service.get_events("s")) == 120
    assert 2 <= max(most) <= 3
    until = time.monotonic() + 60
    while count() < 2:  # which are kept while idle
        assert time.monotonic() < until
    service.close()


def test_a_schema_is_made_and_used(url: str) -> None:
    public = ago.new(Config(database_url=url))
    public.create_session(Session(id="s", title="in public"))
    first = ago.new(Config(database_url=url, schema="tenant a"))
    second = ago.new(Config(database_url=url, schema="tenant_b"))
    for service in (first, second):
        assert service.list_sessions() == []
        service.create_session(Session(id="s"))
        service.create_event(event("e"))
    assert ask(first, "SELECT current_schema()") == "tenant a"
    assert ask(first, 'SELECT count(*) FROM "tenant a".chronos_storage_message') == 1
    assert ids(second.get_events("s")) == ["e"]
    assert public.get_events("s") == []
    for service in (first, second, public):
        health = service._storage.health()
        assert health.ok, health.problems
        service.close()
    again = ago.new(Config(database_url=url, schema="tenant_b", auto_migrate=False))
    assert ids(again.get_events("s")) == ["e"]
    again.close()


@on_the_newest
@pytest.mark.parametrize("home", ["public", "extensions"])
def test_the_schema_s_search_path_still_finds_pgvector(url: str, home: str) -> None:
    plain = ago.new(Config(database_url=url))
    with connection_of(plain).cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {home}")
        cursor.execute(f"CREATE EXTENSION vector SCHEMA {home}")
    plain.close()
    service = ago.new(Config(database_url=url, schema="tenant"))
    assert ask(service, "SELECT '[1,2]'::vector <=> '[1,2]'::vector") == 0
    assert ask(service, "SELECT current_schema()") == "tenant"
    service.close()


def test_without_auto_migrate_nothing_is_made(url: str) -> None:
    for schema in ("", "tenant"):
        with pytest.raises(ConfigurationError, match="auto_migrate"):
            ago.new(Config(database_url=url, schema=schema, auto_migrate=False))
    service = ago.new(Config(database_url=url))
    # the tables of another schema are not taken for those that are missing
    with pytest.raises(ConfigurationError, match="auto_migrate"):
        ago.new(Config(database_url=url, schema="tenant", auto_migrate=False))
    assert ask(service, "SELECT count(*) FROM pg_namespace WHERE nspname = 'tenant'") == 0
    service.close()


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        (Config(database_url="sqlite:///ago.db"), "postgres://"),
        (Config(database_url="postgres://127.0.0.1/x", max_conns=1, min_conns=2), "min_conns"),
        (Config(database_url="postgres://127.0.0.1/x", max_conns=-1), "min_conns"),
        (Config(database_url="postgres://127.0.0.1/x", schema='a"b'), "schema"),
        (Config(database_url="postgres://127.0.0.1:1/x"), "can't be used"),
    ],
)
def test_what_can_t_be_right_is_refused(config: Config, problem: str, django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), pytest.raises(ConfigurationError, match=problem):
        ago.new(config)


def test_passwords_stay_secret(django_db_blocker: Any) -> None:
    with django_db_blocker.unblock(), pytest.raises(ConfigurationError) as refused:
        ago.new(Config(database_url="postgres://ada:sesame@127.0.0.1:1/x"))
    assert "sesame" not in str(refused.value)
