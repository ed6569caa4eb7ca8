"""The backend with a cache in front keeps the contract, and gives nothing that is not so in the backend behind."""

from __future__ import annotations

import logging
import re
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connections

from chronos_storage.backends.base import Query
from chronos_storage.backends.cached import CachedBackend
from chronos_storage.backends.cached.content import LARGEST
from chronos_storage.backends.cached.ledger import PAGE
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.document.mongodb import MongoBackend
from chronos_storage.backends.document.redis import RedisBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import ConfigurationError, DamagedArtifact, NotFound
from chronos_storage.facade import Storage
from chronos_storage.facade.stores import storages
from chronos_storage.ids import new_id
from chronos_storage.records import Checkpoint, Event, MemoryRecord, Message, Session
from chronos_storage.testing import StorageConformance
from chronos_storage.testing.conformance.artifacts import content, file_storage, files_of, put
from tests.conftest import SQLITE_AND_POSTGRES, alias_of
from tests.servers import free_port, redis

alias = alias_of(SQLITE_AND_POSTGRES)

#: A cache in which each test of a class has its own keys.
_LOCAL = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "cached"}


@pytest.fixture(autouse=True)
def cache(settings: Any) -> Any:
    settings.CACHES = {"default": _LOCAL | {"KEY_PREFIX": new_id()}}
    return caches["default"]


class TestCachedStorage(StorageConformance):
    @pytest.fixture
    def storage(self, settings: Any) -> Storage:
        if url := redis():
            settings.CACHES = {
                "default": {
                    "BACKEND": "django_redis.cache.RedisCache",
                    "LOCATION": url,
                    "KEY_PREFIX": new_id(),
                }
            }
        return Storage(CachedBackend(MemoryBackend(), max_staleness=60))

    @pytest.fixture
    def storage_committed(self, storage: Storage) -> Storage:
        return storage


class _Counting(MemoryBackend):
    """Which counts what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.given = self.long_states = 0

    def select(self, query: Query[Any]) -> list[Any]:
        found = super().select(query)
        self.calls += 1
        self.given += len(found)
        if query.whole:
            self.long_states += sum(len(str(each.state)) > 2048 for each in found if isinstance(each, Checkpoint))
        return found

    def begin(self) -> None:
        self.calls = self.given = self.long_states = 0


@pytest.fixture
def behind() -> _Counting:
    return _Counting()


def _state(number: int) -> dict[str, Any]:
    return {"messages": [f"{number} {'x' * 600} {each}" for each in range(20)], "step": number, "ratio": 1.0}


def test_a_state_is_read_once(behind: _Counting) -> None:
    storage = Storage(CachedBackend(behind))
    storage.create_session(Session(id="s"))
    saved = [storage.save_checkpoint(Checkpoint(session_id="s", state=_state(each))) for each in range(3)]
    for _ in range(2):
        assert storage.list_checkpoints("s") == saved[::-1]
        assert storage.get_latest_checkpoint("s") == saved[-1]
        assert storage.get_checkpoint(saved[0].id) == saved[0]
    assert behind.long_states == 3
    storage.get_checkpoint(saved[0].id).state["messages"].clear()
    assert storage.get_checkpoint(saved[0].id) == saved[0]
    assert storage.delete_checkpoint(saved[1].id)
    assert storage.list_checkpoints("s") == [saved[2], saved[0]]


def test_the_bytes_of_a_small_artifact_are_read_once(behind: _Counting) -> None:
    storage, plain = Storage(CachedBackend(behind)), Storage(behind)
    small, other, large = put(storage, bytes(LARGEST)), put(storage, b"x"), put(storage, bytes(LARGEST + 1))
    assert [content(storage, each) for each in (small, large)] == [bytes(LARGEST), bytes(LARGEST + 1)]
    for name in files_of(storage):
        file_storage().delete(name)
    assert content(storage, small) == bytes(LARGEST)
    again = put(plain, bytes(LARGEST))  # where its bytes are put again
    assert content(storage, again) == bytes(LARGEST)
    for missing in (other, large):
        with pytest.raises(DamagedArtifact):
            storage.open_artifact(missing.id)
    storage.delete_artifact(small.id)
    with pytest.raises(NotFound):
        storage.open_artifact(small.id)


def test_a_session_made_again_under_its_id_has_none_of_the_old_states(behind: _Counting) -> None:
    storage = Storage(CachedBackend(behind))
    time = Checkpoint(session_id="s").created_at
    for attempt in range(3):
        storage.create_session(Session(id="s"))
        given = Checkpoint(id="c", session_id="s", state=_state(attempt), created_at=time)
        storage.save_checkpoint(given)
        assert [each.state for each in storage.list_checkpoints("s")] == [_state(attempt)]
        storage.append_events([Event(session_id="s", id=f"{each}", payload=attempt) for each in range(5 * PAGE)])
        for _ in range(2):
            assert {event.payload for event in storage.list_events("s")} == {attempt}
        storage.delete_session("s", hard=True)
        assert storage.list_checkpoints("s") == []
        assert storage.list_events("s") == []


@pytest.mark.parametrize("count", [0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 4 * PAGE + 7])
def test_long_runs_of_events_are_as_they_are(behind: _Counting, count: int) -> None:
    storage, plain = Storage(CachedBackend(behind)), Storage(behind)
    storage.create_session(Session(id="s"))
    events: list[Event] = []
    for added in (count, PAGE):
        events += storage.append_events(
            [Event(session_id="s", payload={"line": f"a\n{each}\u2028"}) for each in range(added)]
        )
        for after in (0, 7, PAGE, count):
            for limit in (None, 3 * PAGE, 4 * PAGE - 7):
                for _ in range(2):
                    expected = plain.list_events("s", after, limit=limit)
                    assert storage.list_events("s", after, limit=limit) == expected
    assert storage.list_events("s") == events


def test_there_is_a_latest_checkpoint_while_another_takes_its_place() -> None:
    class Overtaken(MemoryBackend):
        """Which another writer changes between two questions."""

        def select(self, query: Query[Any]) -> list[Any]:
            found = super().select(query)
            if not query.whole and found[0].id == "old":
                plain.save_checkpoint(Checkpoint(id="new", session_id="s", state=_state(1)))
                plain.delete_checkpoints("s", keep_last=1)
            return found

    behind = Overtaken()
    storage, plain = Storage(CachedBackend(behind)), Storage(behind)
    storage.create_session(Session(id="s"))
    storage.save_checkpoint(Checkpoint(id="old", session_id="s", state=_state(0)))
    assert storage.get_latest_checkpoint("s").id == "new"


def test_a_long_run_of_events_is_read_once(behind: _Counting) -> None:
    storage = Storage(CachedBackend(behind))
    storage.create_session(Session(id="s"))
    events = storage.append_events([Event(session_id="s", payload=each) for each in range(20 * PAGE)])
    assert storage.list_events("s") == events
    behind.begin()
    assert storage.list_events("s") == events
    assert behind.given == PAGE + 1
    events += storage.append_events([Event(session_id="s", payload=each) for each in range(3)])
    behind.begin()
    assert storage.list_events("s", limit=None) == events
    assert behind.given == PAGE + 4


def test_purged_events_are_gone(behind: _Counting) -> None:
    storage = Storage(CachedBackend(behind))
    storage.create_session(Session(id="s"))
    events = storage.append_events([Event(session_id="s", payload=each) for each in range(6 * PAGE)])
    assert storage.list_events("s") == events
    for through in (3, PAGE, 3 * PAGE + 50):
        with storage.purge_permit(reason="old") as permit:
            permit.purge_events("s", through_seq=through)
        assert storage.list_events("s") == events[through:]
        assert storage.list_events("s", 2 * PAGE) == events[max(through, 2 * PAGE) :]
    with storage.purge_permit(reason="all") as permit:
        permit.purge_events("s")
    assert storage.list_events("s") == []


def test_what_a_transaction_took_back_is_never_given(storage_committed: Storage) -> None:
    backend = storage_committed.backend
    storage = Storage(CachedBackend(backend, max_staleness=60))
    storage.create_session(Session(id="s", title="old"))
    assert storage.get_session("s").title == "old"

    def write_and_fail() -> None:
        storage.append_events([Event(session_id="s", payload="gone") for _ in range(3 * PAGE)])
        storage.save_checkpoint(Checkpoint(id="c", session_id="s", state=_state(1)))
        storage.patch_session("s", title="gone")
        for _ in range(2):
            assert len(storage.list_events("s")) == 3 * PAGE
            assert storage.get_latest_checkpoint("s").state == _state(1)
            assert storage.get_session("s").title == "gone"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), storage.atomic():
        write_and_fail()
    assert storage.get_session("s").title == "old"
    assert storage.get_latest_checkpoint("s") is None
    storage.append_events([Event(session_id="s", payload="here") for _ in range(3 * PAGE)])
    storage.save_checkpoint(Checkpoint(id="c", session_id="s", state=_state(2)))
    for _ in range(2):
        assert {event.payload for event in storage.list_events("s")} == {"here"}
        assert storage.get_checkpoint("c").state == _state(2)
    assert storage.verify_events("s").intact


def test_nothing_but_what_cannot_change_is_kept_unless_the_host_says_so(behind: _Counting) -> None:
    cached, plain = Storage(CachedBackend(behind)), Storage(behind)
    cached.create_session(Session(id="s"))
    cached.put_memory(MemoryRecord(agent_id="a", key="k", value=1))
    assert cached.get_session("s").title == ""
    assert cached.get_memory("a", "k").value == 1
    plain.patch_session("s", title="new")
    plain.put_memory(MemoryRecord(agent_id="a", key="k", value=2))
    assert cached.get_session("s").title == "new"
    assert cached.get_memory("a", "k").value == 2


def test_sessions_and_memories_are_as_old_as_the_host_allows_at_most(behind: _Counting) -> None:
    cached, plain = Storage(CachedBackend(behind, max_staleness=1)), Storage(behind)
    cached.create_session(Session(id="s"))
    cached.put_memory(MemoryRecord(agent_id="a", key="k", value=1))
    assert cached.get_session("s").title == ""
    assert cached.get_memory("a", "k").value == 1
    behind.begin()
    for _ in range(3):
        assert cached.get_session("s") is not None
        assert cached.get_session("s", include_deleted=True) is not None
        assert cached.get_memory("a", "k", kind=None) is not None
    assert behind.calls <= 1  # with the deleted ones it is another question
    plain.patch_session("s", title="new")
    plain.put_memory(MemoryRecord(agent_id="a", key="k", value=2))
    deadline = time.monotonic() + 60
    while cached.get_session("s").title != "new" or cached.get_memory("a", "k").value != 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_answer_that_was_long_in_coming_is_as_old_as_its_question() -> None:
    class Slow(MemoryBackend):
        def select(self, query: Query[Any]) -> list[Any]:
            found = super().select(query)
            if query.record is Session and found[0].title == "old":
                plain.patch_session("s", title="new")
                time.sleep(1.1)
            return found

    behind = Slow()
    cached, plain = Storage(CachedBackend(behind, max_staleness=1)), Storage(behind)
    plain.create_session(Session(id="s", title="old"))
    assert cached.get_session("s").title == "old"
    assert cached.get_session("s").title == "new"


def test_stores_that_differ_in_their_address_alone_have_answers_of_their_own() -> None:
    addresses = ("redis://host", "redis://host?db=1", "redis://host:1", "unix:///socket", "unix:///socket?db=1")
    behind: list[Any] = [RedisBackend(url=address) for address in addresses]
    behind += [MongoBackend(f"mongodb://user:secret@{host}/") for host in ("a", "b", "a,b")]
    assert len(set(map(repr, behind))) == len(behind)
    assert "secret" not in repr(behind)


def test_each_tenant_has_answers_of_its_own(
    storage_committed: Storage, alias: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = Storage(CachedBackend(storage_committed.backend, max_staleness=60))
    for tenant in ("one", "two"):  # as if the second one's schema had a session of this id too
        monkeypatch.setattr(connections[alias], "schema_name", tenant, raising=False)
        storage_committed.save_session(Session(id="s", title=tenant))
        assert cached.get_session("s").title == tenant


def test_who_has_written_reads_what_was_written() -> None:
    storage = Storage(CachedBackend(MemoryBackend(), max_staleness=600))
    storage.create_session(Session(id="s", user_id="u"))

    def session() -> Session:
        found = storage.get_session("s", include_deleted=True)
        assert found is not None
        assert storage.get_session("s", include_deleted=True) == found
        return found

    before = session()
    storage.add_message(Message(session_id="s", role="user", content="hello"))
    assert session().last_activity_at > before.last_activity_at
    storage.patch_session_metadata("s", {"a": 1})
    assert session().metadata == {"a": 1}
    storage.delete_session("s")
    assert storage.get_session("s") is None
    assert session().deleted_at is not None
    storage.restore_session("s")
    assert storage.get_session("s") is not None
    for agent in ("a", "b"):
        storage.put_memory(MemoryRecord(id="m", agent_id=agent, key="k", value=agent))
        assert storage.get_memory(agent, "k").value == agent
    assert storage.get_memory("a", "k") is None
    assert storage.delete_memory("m")
    assert storage.get_memory("b", "k") is None
    storage.delete_session("s", hard=True)
    assert storage.get_session("s", include_deleted=True) is None


def test_a_cache_that_is_away_slows_and_breaks_nothing(
    settings: Any, behind: _Counting, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": address}}
    storage = Storage(CachedBackend(behind, max_staleness=60))
    storage.create_session(Session(id="s"))
    events = storage.append_events([Event(session_id="s") for _ in range(3 * PAGE)])
    saved = storage.save_checkpoint(Checkpoint(session_id="s", state=_state(0)))
    storage.put_memory(MemoryRecord(agent_id="a", key="k", value=1))
    artifact = put(storage, b"data")
    with caplog.at_level(logging.WARNING, "chronos_storage"):
        for _ in range(50):
            assert storage.get_session("s") is not None
            assert storage.get_memory("a", "k") is not None
            assert storage.list_events("s") == events
            assert storage.get_latest_checkpoint("s") == saved
            assert content(storage, artifact) == b"data"
    assert caplog.messages.count("The cache 'default' failed; for 5 seconds the store is read without it.") <= 20


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": 1}', "x\n{}", "\n".join(["0" * 64, *["{}"] * PAGE]), b"1", "b3RoZXI="]
)
def test_what_others_put_into_the_cache_is_not_believed_or_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, cache: Any, behind: _Counting, text: Any
) -> None:
    storage = Storage(CachedBackend(behind, max_staleness=60))
    storage.create_session(Session(id="s"))
    events = storage.append_events([Event(session_id="s") for _ in range(3 * PAGE)])
    artifact = put(storage, b"data")
    monkeypatch.setattr(type(cache), "get_many", lambda self, keys, version=None: dict.fromkeys(keys, text))
    assert storage.get_session("s") is not None
    assert storage.list_events("s") == events
    assert content(storage, artifact) == b"data"


def test_what_the_page_says(settings: Any) -> None:
    """Of docs/cache.md the settings open a store, and the numbers are those of the code."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "cache.md").read_text(encoding="utf-8")
    whole, options = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    said: dict[str, Any] = {}
    exec(whole, said)
    settings.CACHES = said["CACHES"]
    for more in ({}, eval(f"{{{options}}}")["OPTIONS"]):
        [made] = said["CHRONOS_STORAGE"]["STORAGES"].values()
        made["OPTIONS"] |= more
        settings.CHRONOS_STORAGE = said["CHRONOS_STORAGE"]
        found = storages["default"].backend
        assert isinstance(found, CachedBackend)
        assert isinstance(found.backend, OrmBackend)
    text = " ".join(page.split())
    for said_of_code in (
        f"of up to {LARGEST // 1024} KiB",
        f"of more than {2 * PAGE} |",
        f"the first number that {PAGE} divides",
        "left alone for five seconds",
        "Texts over 8 million characters",
    ):
        assert said_of_code in text


def test_the_settings_name_what_is_behind_it(settings: Any) -> None:
    options = {"BACKEND": "chronos_storage.backends.document.MemoryBackend", "OPTIONS": {"NAME": "cached-settings"}}
    backend = {"BACKEND": "chronos_storage.backends.cached.CachedBackend", "OPTIONS": {**options, "MAX_STALENESS": 5}}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}}
    made = storages["default"].backend
    assert isinstance(made, CachedBackend)
    assert isinstance(made.backend, MemoryBackend)
    assert "cached-settings" in repr(made)
    assert storages["default"].health().backend.endswith(".CachedBackend")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"backend": MemoryBackend(), "cache": "nowhere"}, "'default'"),
        ({"backend": MemoryBackend(), "max_staleness": 0}, "MAX_STALENESS"),
        ({"backend": MemoryBackend(), "max_staleness": 1.5}, "MAX_STALENESS"),
        ({"backend": MemoryBackend(), "max_staleness": True}, "MAX_STALENESS"),
        ({"backend": "collections.OrderedDict"}, "OrderedDict"),
        ({"backend": MemoryBackend}, "BACKEND"),
    ],
)
def test_a_mistake_in_the_settings_is_named(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        CachedBackend(**arguments)
