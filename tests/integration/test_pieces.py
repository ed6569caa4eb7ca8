"""Commits that are too large for one: nobody sees a part of them, whenever who makes them is killed."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from chronos_storage import Storage, connect
from chronos_storage.backends.document import DocumentBackend, pieces
from chronos_storage.backends.document.driver import Document, Entry, Write
from chronos_storage.backends.document.memory import MemoryDriver
from chronos_storage.exceptions import NotFound, RetryTransaction
from chronos_storage.records import AuditLog, Checkpoint, Event, MemoryRecord, Message, Session, now
from chronos_storage.testing.conformance.helpers import PATIENCE
from tests.conformance.piecewise import PiecewiseDriver

MANY = 7


class Killed(BaseException):
    """The end of a process, as far as a test can have it."""


def filled(storage: Storage) -> None:
    """A session "s" with something of each kind."""
    storage.create_session(Session(id="s"))
    storage.append_events([Event(id=f"e{n}", session_id="s", payload="x" * 300) for n in range(MANY)])
    storage.add_messages([Message(id=f"m{n}", session_id="s", role="user") for n in range(MANY)])
    storage.save_checkpoint(Checkpoint(session_id="s", state={"items": [*range(MANY)]}))
    storage.put_memory(MemoryRecord(agent_id="a", session_id="s", key="k", value=1))


def seen(storage: Storage) -> tuple[int, ...]:
    """How much there is of each kind."""
    return (
        len(storage.list_events("s")),
        len(storage.list_messages("s")),
        len(storage.list_checkpoints("s")),
        len(storage.list_memory("a", session_id="s")),
        len(storage.list_sessions(include_deleted=True)),
    )


ALL, NOTHING = (MANY, MANY, 1, 1, 1), (0, 0, 0, 0, 0)


def die_after(driver: PiecewiseDriver, steps: int) -> None:
    left = iter(range(steps))

    def before() -> None:
        if next(left, None) is None:
            raise Killed

    driver.before = before


def two(kept: MemoryDriver) -> tuple[Storage, PiecewiseDriver, Storage]:
    """Who is to be killed, his driver, and another."""
    driver = PiecewiseDriver(kept)
    return Storage(DocumentBackend(driver)), driver, Storage(DocumentBackend(PiecewiseDriver(kept)))


def test_who_is_killed_as_he_removes_leaves_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, outcomes = 0, set()
    while True:
        kept = MemoryDriver()
        victim, driver, other = two(kept)
        filled(victim)
        die_after(driver, steps)
        try:
            victim.delete_session("s", hard=True)
        except Killed:
            outcomes.add(seen(other))
        else:
            break
        with monkeypatch.context() as context:
            context.setattr(pieces, "_PATIENCE", -1.0)  # he is taken for dead at once
            other.migrate()
            left = seen(other)
            assert left in (ALL, NOTHING)
            assert other.delete_session("s", hard=True) is (left == ALL)
        assert seen(other) == NOTHING
        assert other.verify_audit_logs("agent:").intact
        assert {key[0] for key in kept._documents} <= {"audit_log", "head"}
        steps += 1
    assert outcomes == {ALL, NOTHING}
    assert steps > 3 * MANY / 2  # as many as there are pieces


def test_who_is_killed_as_he_writes_leaves_all_or_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, outcomes = 0, set()
    given = [Message(id=f"m{n}", session_id="s", role="user") for n in range(MANY)]
    while True:
        kept = MemoryDriver()
        victim, driver, other = two(kept)
        victim.create_session(Session(id="s"))
        die_after(driver, steps)
        try:
            victim.add_messages(given)
        except Killed:
            outcomes.add(len(other.list_messages("s")))
        else:
            break
        with monkeypatch.context() as context:
            context.setattr(pieces, "_PATIENCE", -1.0)
            other.migrate()
            stored = other.add_messages(given)
        assert [message.seq_num for message in stored] == [*range(1, MANY + 1)]
        assert other.list_messages("s") == list(stored)
        assert {key[0] for key in kept._documents} == {"session", "guard", "head", "message"}
        steps += 1
    assert outcomes == {0, MANY}


def test_nobody_sees_a_part_while_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who looks between any two steps, and who writes then."""
    monkeypatch.setattr(pieces, "_LOOK", -1.0)  # whoever is in the way of marks looks whose they are
    kept = MemoryDriver()
    one, driver, other = two(kept)
    filled(one)
    views = []

    def look() -> None:
        driver.before = lambda: None  # what the looking itself does is no step
        views.append(seen(other))
        with pytest.raises((NotFound, RetryTransaction)):
            other.append_event(Event(session_id="s"))
        driver.before = look

    one.delete_session("s")
    driver.before = look
    assert one.delete_session("s", hard=True)
    assert set(views) == {ALL, NOTHING}
    assert views == sorted(views, reverse=True)


def test_who_adds_to_the_audit_log_meanwhile_does_not_have_it_made_anew() -> None:
    one, driver, other = two(MemoryDriver())
    filled(one)
    commits = set()

    def add() -> None:
        entries = driver.scan_kept(("pieces",), above=None, below=None, reverse=False, limit=2, size=1_000)
        if {place for place, _ in entries} - commits:
            commits.update(place for place, _ in entries)
        elif len(other.list_audit_logs()) < 40:
            other.append_audit_log(AuditLog(actor="a"))

    driver.before = add
    assert one.delete_session("s", hard=True)
    assert len(commits) == 1
    assert len(other.list_audit_logs()) == 41
    assert other.verify_audit_logs("agent:").intact


def test_a_list_is_of_one_moment_whatever_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that comes to the front while those are passed over that a commit is about to make."""
    one, driver, other = two(MemoryDriver())
    ids = [f"s{n}" for n in range(6)]
    for id in ids:
        other.create_session(Session(id=id))
    die_after(driver, MANY)
    with pytest.raises(Killed):
        one.load([Session(id=f"l{n}", created_at=now(), updated_at=now(), last_activity_at=now()) for n in range(MANY)])
    backend: Any = other.backend
    scan_kept = backend.driver.scan_kept
    for late, id in enumerate(ids[:5]):
        scans = itertools.count()

        def scan_and_move(
            *args: Any, id: str = id, late: int = late, scans: Iterator[int] = scans, **options: Any
        ) -> Any:
            found = scan_kept(*args, **options)
            if next(scans) == late:
                with monkeypatch.context() as context:
                    context.setattr(backend.driver, "scan_kept", scan_kept)
                    other.add_message(Message(session_id=id, role="user"))
            return found

        monkeypatch.setattr(backend.driver, "scan_kept", scan_and_move)
        found = other.list_sessions(order="-last_activity_at", limit=len(ids))
        assert sorted(session.id for session in found) == ids


STORES: list[Any] = [
    pytest.param((os.environ.get(variable), place), id=name)
    for name, variable, place in (
        ("redis", "TEST_REDIS_URL", "base"),
        ("mongodb", "TEST_MONGODB_URL", "collection"),
    )
    if os.environ.get(variable)
]


@pytest.fixture(params=STORES)
def storage(request: pytest.FixtureRequest) -> Iterator[Storage]:
    dsn, place = request.param
    options: Any = {place: uuid.uuid4().hex}
    with closing(connect(dsn, migrate=True, **options)) as storage:
        driver: Any = storage.backend
        driver.driver.most, driver.driver.piece = (10, 1_000), (4, 1_000)
        yield storage


def test_a_large_session_is_written_removed_and_written_again(storage: Storage) -> None:
    filled(storage)
    assert seen(storage) == ALL
    assert storage.verify_events("s").intact
    for page in (1, 3):
        assert [event.id for event in storage.list_events("s", limit=page)] == [f"e{n}" for n in range(page)]
    assert storage.delete_session("s", hard=True)
    assert seen(storage) == NOTHING
    filled(storage)
    assert seen(storage) == ALL
    backend: Any = storage.backend
    assert backend.driver.scan(("pieces",), limit=1, size=1) == []


def test_marks_are_not_remembered(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who wrote to a session alone until now, and is about to remove it, writes to it once more between two steps."""
    filled(storage)
    for _ in range(3):
        storage.append_event(Event(session_id="s"))
    driver: Any = storage.backend
    driver = driver.driver
    commit_at_once = driver.commit_at_once

    def commit_and_write(writes: Any, **options: Any) -> bool:
        is_done: bool = commit_at_once(writes, **options)
        with monkeypatch.context() as context:
            context.setattr(driver, "commit_at_once", commit_at_once)
            context.setattr(pieces, "_LOOK", -1.0)  # what is done is taken for done at once
            with pytest.raises((NotFound, RetryTransaction)):
                storage.append_event(Event(session_id="s"))
        return is_done

    storage.delete_session("s")
    monkeypatch.setattr(driver, "commit_at_once", commit_and_write)
    assert storage.delete_session("s", hard=True)


def test_marks_go_whoever_has_his_turn_there(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against: two who had each his turn at another marked document kept each other from taking the marks away."""
    filled(storage)
    backend: Any = storage.backend
    driver, steps = backend.driver, iter(range(4))

    def die_after_some(*args: Any, **options: Any) -> bool:
        if next(steps, None) is None:
            raise Killed
        is_done: bool = type(driver).commit_at_once(driver, *args, **options)
        return is_done

    with monkeypatch.context() as context:
        context.setattr(driver, "commit_at_once", die_after_some)
        with pytest.raises(Killed):
            storage.delete_session("s", hard=True)
    assert [*driver.scan_kept(("pieces",), above=None, below=None, reverse=False, limit=2, size=1_000)] != []
    monkeypatch.setattr(pieces, "_PATIENCE", -1.0)
    with ThreadPoolExecutor(1) as pool, driver.turn({("guard", "s")}, PATIENCE):
        pool.submit(storage.migrate).result(PATIENCE)
    assert driver.scan(("pieces",), limit=1, size=1) == []
    assert seen(storage) == ALL


def test_none_is_passed_over_where_another_is_to_be(storage: Storage) -> None:
    """Numbers that a large commit was to give, and others have been given meanwhile."""
    storage.create_session(Session(id="s"))
    backend: Any = storage.backend
    driver = backend.driver
    entries = [Entry(("p",), f"{n}") for n in range(MANY)]
    left = [Document((f"a{n}",), "{}", (entry,)) for n, entry in enumerate(entries)]
    there = [Document((f"b{n}",), "{}", (entry,)) for n, entry in enumerate(entries)]
    driver.commit_at_once([Write(("pieces", "x"), None, driver._said("x", "pending"))])
    assert driver._marked("x", [Write(each.key, None, each) for each in left])
    if driver.commit([Write(each.key, None, each) for each in there]):
        for limit in range(1, MANY + 1):
            for reverse in (False, True):
                found = driver.scan(("p",), limit=limit, size=1_000, reverse=reverse)
                expected = there[::-1] if reverse else there
                assert [each.key for _, each in found] == [each.key for each in expected[:limit]]
    else:
        assert driver.scan(("p",), limit=MANY, size=1_000) == []
