"""What the package's own test cases don't ask: whole applications, other aggregates' ids, writers that race."""

from __future__ import annotations

import zlib
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import (
    DataError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    StoredEvent,
    Tracking,
)
from eventsourcing.system import ProcessApplication, SingleThreadedRunner, System

from chronos_storage import connect
from chronos_storage.facade import Storage
from chronos_storage.integrations.eventsourcing import (
    ChronosApplicationRecorder,
    ChronosProcessRecorder,
    ChronosTrackingRecorder,
)


def stored(originator_id: UUID | str, version: int, state: bytes = b"{}") -> StoredEvent:
    return StoredEvent(originator_id=originator_id, originator_version=version, topic="topic", state=state)


@pytest.fixture
def recorder(storage: Storage) -> ChronosApplicationRecorder:
    return ChronosApplicationRecorder(storage, "app")


class Dog(Aggregate):
    @event("Registered")
    def __init__(self, name: str) -> None:
        self.name = name
        self.tricks: list[str] = []

    @event("TrickAdded")
    def add_trick(self, trick: str) -> None:
        self.tricks.append(trick)


class Dogs(Application[UUID]):
    is_snapshotting_enabled = True

    def register(self, name: str, *tricks: str) -> UUID:
        dog = Dog(name)
        for trick in tricks:
            dog.add_trick(trick)
        self.save(dog)
        return dog.id


class Counter(Aggregate):
    def __init__(self) -> None:
        self.count = 0

    @event("Counted")
    def add(self) -> None:
        self.count += 1


class Counters(ProcessApplication[UUID]):
    def policy(self, domain_event: Any, processing_event: Any) -> None:
        if isinstance(domain_event, Dog.TrickAdded):  # type: ignore[attr-defined]  # which the decorator makes
            counter = Counter()
            counter.add()
            processing_event.collect_events(counter)


@pytest.fixture
def env(alias: str, settings: Any) -> dict[str, str]:
    options = {"BACKEND": "chronos_storage.backends.orm.OrmBackend", "OPTIONS": {"USING": alias}}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": options}}
    return {"PERSISTENCE_MODULE": "chronos_storage.integrations.eventsourcing"}


def test_an_application_with_snapshots(env: dict[str, str], storage: Storage) -> None:
    app = Dogs(env)
    id = app.register("Fido", "roll over", "fetch")
    app.take_snapshot(id)
    dog: Dog = app.repository.get(id)
    dog.add_trick("sit")
    app.save(dog)
    again: Dog = Dogs(env).repository.get(id)
    assert again.tricks == ["roll over", "fetch", "sit"]
    before: Dog = app.repository.get(id, version=2)
    assert before.tricks == ["roll over"]
    assert [item["originator_version"] for item in _sections(app)] == [1, 2, 3, 4]
    first = storage.list_events("eventsourcing~Dogs")[0]
    assert "Fido" in first.payload["state"]  # which the admin shows as it is
    assert storage.verify_events("eventsourcing~Dogs").intact


def _sections(app: Application[UUID]) -> list[dict[str, Any]]:
    return [vars(notification) for notification in app.notification_log.select(1, 10)]


def test_a_system_follows(env: dict[str, str], storage: Storage) -> None:
    with SingleThreadedRunner[UUID](System(pipes=[[Dogs, Counters]]), env) as runner:
        runner.get(Dogs).register("Fido", "roll over", "fetch")
        followed = runner.get(Counters).recorder
        assert followed.max_tracking_id("Dogs") == 3
    assert storage.count_events("eventsourcing~Counters") == 4


def test_a_state_of_any_bytes_comes_back(recorder: ChronosApplicationRecorder) -> None:
    states = [b"", b"\x00", b"\xff\xfe", zlib.compress(b"x" * 100), "Köln".encode(), b'{"a":1}']
    id = uuid4()
    recorder.insert_events([stored(id, version, state) for version, state in enumerate(states)])
    assert [found.state for found in recorder.select_events(id)] == states


def test_ids_do_not_run_into_each_other(recorder: ChronosApplicationRecorder) -> None:
    ids: list[UUID | str] = ["a", "a~0", "a~", "a%7E", "A", "\x7f", "a~0000000000000000001", "é", uuid4()]
    for version in (0, 2, 10):
        recorder.insert_events([stored(id, version) for id in ids])
    for id in ids:
        assert [found.originator_version for found in recorder.select_events(id)] == [0, 2, 10]
        found = recorder.select_events(id, desc=True, gt=0, lte=9, limit=1)
        assert [(one.originator_id, one.originator_version) for one in found] == [(id, 2)]


def test_events_come_by_version_however_they_were_inserted(recorder: ChronosApplicationRecorder) -> None:
    for version in (2, 10, 1):
        recorder.insert_events([stored("a", version)])
    assert [event.originator_version for event in recorder.select_events("a")] == [1, 2, 10]
    assert [event.originator_version for event in recorder.select_events("a", desc=True, limit=2)] == [10, 2]


def test_an_aggregate_s_id_may_be_long(recorder: ChronosApplicationRecorder) -> None:
    ids = ["a" * length for length in (235, 236, 255, 5_000)]
    recorder.insert_events([stored(id, version) for id in ids for version in (1, 2)])
    for id in ids:
        assert [(e.originator_id, e.originator_version) for e in recorder.select_events(id)] == [(id, 1), (id, 2)]


def test_errors_are_the_packages(storage: Storage) -> None:
    recorder = ChronosApplicationRecorder(storage, "app")
    with pytest.raises(DataError, match="type"):
        recorder.insert_events([StoredEvent("a", 1, "x" * 256, b"")])
    with pytest.raises(DataError, match="originator_version"):
        recorder.insert_events([stored("a", -1)])
    storage.delete_session("app")
    with pytest.raises(ProgrammingError, match="app"):
        recorder.insert_events([stored("a", 1)])
    with pytest.raises(IntegrityError, match="deleted"):
        ChronosApplicationRecorder(storage, "app")


@pytest.mark.parametrize("address", ["memory://", "file://{}"])
def test_what_follows_needs_a_database(tmp_path: Path, address: str) -> None:
    storage = connect(address.format(tmp_path))
    assert ChronosApplicationRecorder(storage, "app").insert_events([stored("a", 1)]) == [1]
    for recorder in (ChronosTrackingRecorder, ChronosProcessRecorder):
        with pytest.raises(NotSupportedError, match="transactions"):
            recorder(storage, "app")


def test_events_and_tracking_are_one(storage: Storage) -> None:
    recorder = ChronosProcessRecorder(storage, "app")
    assert recorder.insert_events([stored("a", 1)], tracking=Tracking("up", 5)) == [1]
    for events, tracking in (([stored("a", 2)], Tracking("up", 5)), ([stored("a", 1)], Tracking("up", 6))):
        with pytest.raises(IntegrityError):
            recorder.insert_events(events, tracking=tracking)
    assert recorder.max_tracking_id("up") == 5
    assert recorder.max_notification_id() == 1
    assert recorder.insert_events([stored("a", 2)], tracking=Tracking("up", 6)) == [2]


def test_of_sixteen_who_race_one_wins_each_version(storage_committed: Storage) -> None:
    recorder = ChronosProcessRecorder(storage_committed, "app")
    won: list[int] = []
    lost: list[int] = []

    def work() -> None:
        for version in range(1, 6):
            try:
                recorder.insert_events([stored("a", version), stored("b", version)], tracking=Tracking("up", version))
                won.append(version)
            except IntegrityError:
                lost.append(version)

    threads = [Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [1, 2, 3, 4, 5]
    assert len(lost) == 75
    found = recorder.select_notifications(1, 100)
    assert [one.id for one in found] == list(range(1, 11))
    assert [one.originator_version for one in found] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
