"""Many writers at once, in processes that are killed and in threads that get in each other's way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connections, transaction
from pytest_django import DjangoDbBlocker

from chronos_storage import connect, models, records
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.exceptions import NotFound, RetryTransaction
from chronos_storage.facade import Storage
from chronos_storage.records import (
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
from chronos_storage.testing.conformance.helpers import PATIENCE
from tests.appenders import digest_of
from tests.conftest import STRICTEST, each_database
from tests.failing import on_failure

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")

PROCESSES, EVENTS, VICTIMS = 16, 12, (3, 11)


def environment_for(alias: str) -> dict[str, str]:
    """In which a process has the database of these tests under that alias."""
    database = str(connections[alias].settings_dict["NAME"])
    if alias == "default":
        variable, address = "TEST_SQLITE_URL", f"sqlite:///{database}"
    else:
        variable = f"TEST_{alias.upper()}_URL"
        address = urlsplit(os.environ[variable])._replace(path=f"/{database}").geturl()
    return os.environ | {variable: address, "DJANGO_SETTINGS_MODULE": "tests.settings"}


def lines(path: Path) -> list[list[str]]:
    """The whole lines of a file that may have been broken off."""
    text = path.read_text() if path.exists() else ""
    return [line.split() for line in text.split("\n")[:-1]]


def run_and_kill(
    store: str, environment: dict[str, str], folder: Path, kind: str, count: int, victims: Sequence[int], processes: int
) -> None:
    """Have processes append to the session "s", so many each, of which some are killed while they are at it.

    Args:
        store: as `tests.appenders` takes it.
    """
    # the victims would go on for minutes
    counts = [str(10_000 * count if number in victims else count) for number in range(processes)]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.appenders", kind, store, "s", str(folder), *counts],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as launcher:
        assert launcher.stdout is not None
        children = [int(child) for child in launcher.stdout.readline().split()]
        try:
            for number in victims:
                while len(lines(folder / str(number))) < count // 4 and launcher.poll() is None:
                    time.sleep(0.002)
                os.kill(children[number], signal.SIGKILL)
            statuses = [int(status) for status in launcher.stdout.readline().split()]
        finally:
            if launcher.poll() is None:
                for child in children:
                    with suppress(ProcessLookupError):
                        os.kill(child, signal.SIGKILL)
    assert statuses == [-signal.SIGKILL if number in victims else 0 for number in range(processes)]


def assert_all_is_there(storage: Storage, folder: Path, count: int, victims: Sequence[int], processes: int) -> None:
    """Of the events that `run_and_kill` had appended: no gap, no repeat, and nothing that was acknowledged is lost."""
    acknowledged = {number: lines(folder / str(number)) for number in range(processes)}
    assert {len(appended) for number, appended in acknowledged.items() if number not in victims} == {count}
    events = storage.list_events("s")
    assert [event.seq_num for event in events] == list(range(1, len(events) + 1))
    stored = {(str(event.seq_num), event.id): event for event in events}
    for number, appended in acknowledged.items():
        assert [stored[seq_num, id].payload for seq_num, id in appended] == [
            {"number": each} for each in range(len(appended))
        ]
        assert {stored[seq_num, id].type for seq_num, id in appended} == {str(number)}
    told = sum(map(len, acknowledged.values()))
    # one that was killed may have appended its last event and not have heard of it
    assert told <= len(events) <= told + len(victims)
    verdict = storage.verify_events("s")
    assert (verdict.intact, verdict.checked, verdict.last_seq) == (True, len(events), len(events))
    assert storage.append_event(Event(session_id="s")).seq_num == len(events) + 1


def test_killed_processes_leave_no_gap_and_lose_nothing(storage_committed: Storage, tmp_path: Path) -> None:
    storage = storage_committed
    storage.create_session(Session(id="s"))
    run_and_kill(storage.alias, environment_for(storage.alias), tmp_path, "events", EVENTS, VICTIMS, PROCESSES)
    assert_all_is_there(storage, tmp_path, EVENTS, VICTIMS, PROCESSES)


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_states_that_killed_processes_saved_are_exact(storage_committed: Storage, tmp_path: Path) -> None:
    """With prunes beside them, by each of its own run."""
    storage = storage_committed
    storage.create_session(Session(id="s"))
    run_and_kill(storage.alias, environment_for(storage.alias), tmp_path, "checkpoints", 16, [1, 4], 6)
    acknowledged = {id: digest for number in range(6) for _, id, digest in lines(tmp_path / str(number))}
    found = list(storage.iter_checkpoints("s"))
    assert all(acknowledged.get(each.id, digest_of(each.state)) == digest_of(each.state) for each in found)
    unheard = [each.id for each in found if each.id not in acknowledged]
    assert len(unheard) <= 2  # what was saved as its process was killed
    for number in set(range(6)) - {1, 4}:
        kept = [id for _, id, _ in lines(tmp_path / str(number))][-6:]
        assert [each.id for each in found if each.run_id == f"{number}"] == kept[::-1]
    state = {"messages": [f"{number}{600 * 'x'}" for number in range(9)]}
    assert storage.save_checkpoint(Checkpoint(session_id="s", state=state)).state == state
    assert storage.get_latest_checkpoint("s").state == state


def test_a_process_that_was_stopped_meanwhile_writes_nothing_more(storage_committed: Storage) -> None:
    """Against: a worker that wakes after another has taken over, and whose state is the latest then."""
    storage = storage_committed
    storage.create_session(Session(id="s"))
    with subprocess.Popen(
        [sys.executable, "-m", "tests.stalled", storage.alias, "s"],
        cwd=ROOT,
        env=environment_for(storage.alias),
        stdout=subprocess.PIPE,
        text=True,
    ) as worker:
        try:
            # The one that it left is there to be asked for again.
            found = os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            assert found is not None
            assert found.si_code == os.CLD_STOPPED
            fence = storage.acquire("s", "newer")
            third = storage.save_checkpoint(Checkpoint(session_id="s", state={"by": "newer"}), fence=fence)
            before = list(storage.iter_checkpoints("s"))
        finally:
            worker.send_signal(signal.SIGCONT)
        said, _ = worker.communicate()
    assert said.split() == ["StaleWriter"] * 7
    assert list(storage.iter_checkpoints("s")) == before
    assert storage.get_latest_checkpoint("s") == third
    assert (storage.last_seq("s"), storage.count_messages("s")) == (0, 0)


@pytest.mark.parametrize("alias", STRICTEST, indirect=True)
def test_whoever_is_killed_a_card_is_charged_once(storage_committed: Storage, tmp_path: Path) -> None:
    alias = storage_committed.alias
    command = [sys.executable, "-m", "tests.charging", alias, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment_for(alias), stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    assert found["killed"] == [
        ["before", "unknown", 0, 1, {"paid": 7}],
        ["between", "unknown", 1, 1, {"paid": 7}],
        ["after", "known", 1, 1, {"paid": 7}],
    ]
    assert "charged" in found["at once"]
    assert set(found["at once"]) <= {"charged", "FenceHeld", "OutcomeUnknown", "StaleWriter"}
    assert (tmp_path / "at once").read_text() == "charged\n"


# Threads in each other's way


def together(storage: Storage, *jobs: Callable[[], Any]) -> list[Any]:
    """What each job returned or raised, each run in a thread of its own."""
    results: list[Any] = [None] * len(jobs)

    def run(place: int) -> None:
        try:
            results[place] = jobs[place]()
        except Exception as error:
            results[place] = error
        finally:
            storage.close()

    threads = [threading.Thread(target=run, args=[place]) for place in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


#: SQLite has one writer, and so no deadlock.
on_servers = pytest.mark.parametrize(
    "alias",
    [
        pytest.param(alias, marks=pytest.mark.django_db(databases=[alias]))
        for alias in settings.DATABASES
        if alias != "default"
    ],
    indirect=True,
)


@pytest.fixture
def contested(storage_committed: Storage) -> Storage:
    """A store with sessions "a" and "b", which have events."""
    for id in ("a", "b"):
        storage_committed.create_session(Session(id=id))
        storage_committed.append_event(Event(session_id=id))
    return storage_committed


@on_servers
def test_a_deadlock_ends_one_transaction_which_can_be_run_again(contested: Storage) -> None:
    storage = contested
    both_have_one = threading.Barrier(2)

    def transfer(first: str, second: str, barrier: threading.Barrier | None) -> None:
        with storage.atomic():
            User.objects.using(storage.alias).create(username=f"{first} to {second}")
            storage.append_event(Event(session_id=first, type=f"{first} to {second}"))
            if barrier:
                barrier.wait()
            storage.append_event(Event(session_id=second, type=f"{first} to {second}"))

    jobs = [("a", "b"), ("b", "a")]
    results = together(storage, *[lambda job=job: transfer(*job, both_have_one) for job in jobs])
    [loser] = [job for job, result in zip(jobs, results, strict=True) if isinstance(result, RetryTransaction)]
    assert results.count(None) == 1
    assert storage.last_seq("a") == storage.last_seq("b") == 2
    assert User.objects.using(storage.alias).count() == 1
    transfer(*loser, None)
    for id in ("a", "b"):
        assert {event.type for event in storage.list_events(id)} == {"", "a to b", "b to a"}
        assert storage.verify_events(id).intact
    assert User.objects.using(storage.alias).count() == 2


@on_servers
@pytest.mark.parametrize("call", ["add_messages", "append_events"])
def test_outside_a_transaction_the_facade_survives_a_deadlock(contested: Storage, call: str) -> None:
    storage = contested
    record = {"add_messages": Message(session_id="", role="user"), "append_events": Event(session_id="")}[call]
    append: Any = getattr(storage, call)
    append([batched(record, id) for id in ("a", "b")])
    host_has_b = threading.Event()

    def host() -> None:
        with suppress(RetryTransaction), transaction.atomic(using=storage.alias):
            append([batched(record, "b")])
            host_has_b.set()
            time.sleep(0.1)  # until the other waits for "b", and has "a"
            append([batched(record, "a")])

    def facade() -> Any:
        host_has_b.wait()
        return append(batched(record, id) for id in ("a", "b"))

    ended, appended = together(storage, host, facade)
    assert ended is None
    assert [(each.session_id, each.seq_num > 1) for each in appended] == [("a", True), ("b", True)]
    assert all(verdict.intact for verdict in storage.verify_all())


def batched(record: Any, session_id: str) -> Any:
    return type(record)(**{"session_id": session_id} | ({"role": "user"} if isinstance(record, Message) else {}))


def test_batches_over_new_sessions_in_any_order_never_fail(storage_committed: Storage) -> None:
    """Several writers meet in sessions that nobody has written to before, each in an order of its own."""
    storage = storage_committed
    for id in "abcdef":
        storage.create_session(Session(id=id))
    start = threading.Barrier(8)

    def write(turn: int) -> None:
        ids = "abcdef"[turn % 6 :] + "abcdef"[: turn % 6]
        start.wait()
        for order in (ids, ids[::-1], ids[1::2], ids[::2]):
            storage.add_messages([Message(session_id=id, role="user", content=turn * [{}]) for id in order])
            storage.append_events([Event(session_id=id, payload=turn) for id in order])
            storage.save_checkpoint(Checkpoint(session_id=order[0], namespace=f"{turn}"))

    assert together(storage, *[lambda turn=turn: write(turn) for turn in range(8)]) == [None] * 8
    for id in "abcdef":
        assert [event.seq_num for event in storage.list_events(id)] == list(range(1, 25))
        assert [message.seq_num for message in storage.list_messages(id)] == list(range(1, 25))
        assert storage.verify_events(id).intact
    assert len(list(storage.scan("checkpoint"))) == 32


#: One of each write that takes locks of a session.
OF_ONE_SESSION: list[Callable[[Storage, str], Any]] = [
    lambda store, id: store.append_event(Event(session_id=id)),
    lambda store, id: store.add_message(Message(session_id=id, role="user")),
    lambda store, id: store.save_checkpoint(Checkpoint(session_id=id)),
    lambda store, id: store.append_audit_log(AuditLog(session_id=id)),
    lambda store, id: store.append_events([Event(session_id=id)] * 2),
    lambda store, id: store.patch_session(id, title="new"),
    lambda store, id: store.save_checkpoint(Checkpoint(session_id=id, namespace="sub")),
    lambda store, id: store.delete_messages(id),
]


@on_servers
@pytest.mark.parametrize("last", ["purge", "delete"])
def test_writers_of_one_session_lock_in_one_order(storage_committed: Storage, last: str) -> None:
    """Each call of a transaction keeps its locks, whatever the order of the calls: a deadlock would end one."""
    storage = storage_committed
    for id in "ab":
        storage.create_session(Session(id=id))
    start = threading.Barrier(6)

    def write(turn: int) -> None:
        for id in "ab":
            start.wait()
            with suppress(NotFound), storage.atomic():
                for call in OF_ONE_SESSION[turn:] + OF_ONE_SESSION[:turn]:
                    call(storage, id)
                if last == "delete":
                    storage.delete_session(id, hard=turn % 2 == 0)
                else:
                    with storage.purge_permit(reason="old") as permit:
                        permit.purge_audit_logs(id)
                        permit.purge_events(id)

    assert together(storage, *[lambda turn=turn: write(turn) for turn in range(6)]) == [None] * 6
    assert [storage.last_seq(id) for id in "ab" if storage.get_session(id)] == ([] if last == "delete" else [18, 18])
    assert all(verdict.intact for verdict in storage.verify_all())


@pytest.mark.parametrize("alias", each_database(without=["default", "postgres", "postgres15"]), indirect=True)
def test_a_late_audit_entry_and_the_removal_of_its_session_leave_a_whole_chain(storage_committed: Storage) -> None:
    """The entry was under way before there was such a session, and is stored while the session is removed."""
    storage = storage_committed
    looked, purged, appended = threading.Event(), threading.Event(), threading.Event()

    def before(statement: str, reached: threading.Event, other: threading.Event) -> Any:
        def wait(execute: Any, sql: str, *arguments: Any) -> Any:
            if sql.startswith(statement):
                reached.set()
                assert other.wait(PATIENCE)
            return execute(sql, *arguments)

        return connections[storage.alias].execute_wrapper(wait)

    def append() -> None:
        with before(f"INSERT INTO {quoted(models.Head)}", looked, purged):
            storage.append_audit_log(AuditLog(session_id="new"))
        appended.set()

    def remove() -> bool:
        assert looked.wait(PATIENCE)
        storage.create_session(Session(id="new"))
        with before(f"DELETE FROM {quoted(models.Trace)}", purged, appended):
            return storage.delete_session("new", hard=True)

    def quoted(model: Any) -> str:
        name: str = connections[storage.alias].ops.quote_name(model._meta.db_table)
        return name

    assert together(storage, append, remove) == [None, True]
    assert [verdict for verdict in storage.verify_all() if not verdict.intact] == []


@pytest.mark.parametrize("alias", each_database(without=["default", "mariadb"]), indirect=True)
def test_an_audit_entry_that_waits_while_its_session_is_made_and_removed(storage_committed: Storage) -> None:
    """On PostgreSQL it is one statement, in which it first looks for the session and then waits for the chain."""
    storage, held = storage_committed, threading.Event()
    storage.append_audit_log(AuditLog(session_id="new"))
    head = models.Head.objects.using(storage.alias).filter(kind="audit_log", owner="new")

    def until_waiting(count: int) -> None:
        until = time.monotonic() + PATIENCE
        waiting = 0
        while waiting < count and time.monotonic() < until:
            with connections[storage.alias].cursor() as cursor:
                cursor.execute("SELECT pg_stat_clear_snapshot()")
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                [waiting] = cursor.fetchone()
        assert waiting == count

    def hold() -> None:
        with transaction.atomic(using=storage.alias):
            head.select_for_update().get()
            held.set()
            until_waiting(2)

    def append() -> None:
        assert held.wait(PATIENCE)
        storage.append_audit_log(AuditLog(session_id="new"))

    def remove() -> bool:
        assert held.wait(PATIENCE)
        until_waiting(1)
        storage.create_session(Session(id="new"))
        return storage.delete_session("new", hard=True)

    assert together(storage, hold, append, remove) == [None, None, True]
    assert [verdict for verdict in storage.verify_all() if not verdict.intact] == []


class OneFile:
    """A SQLite database, by a store that waits for its turn and one that gives up at once."""

    def __init__(self, path: Path) -> None:
        self.patient = self._connect(path, 30)
        self.patient.migrate()
        self.patient.create_session(Session(id="s"))
        self.hasty = self._connect(path, 0.01)
        self.deferred = self._connect(path, 0.01, transaction_mode="DEFERRED")
        #: Ends what keeps the file busy.
        self.over = threading.Event()

    def _connect(self, path: Path, timeout: float, **options: Any) -> Storage:
        store = connect(str(path), options={"timeout": timeout, **options})
        assert isinstance(store.backend, OrmBackend)
        return store

    def keep_busy(self) -> threading.Thread:
        """A thread that has begun to write, and does not end until it is over."""
        begun = threading.Event()
        self.over.clear()

        def hold() -> None:
            with self.patient.atomic():
                self.patient.put_memory(MemoryRecord(agent_id="holder", key="k"))
                begun.set()
                assert self.over.wait(PATIENCE)
            self.patient.close()

        thread = threading.Thread(target=hold)
        thread.start()
        begun.wait()
        return thread

    def write(self, write: Callable[[Storage], T]) -> T:
        """Have the hasty store write to the file, which is busy until that was refused once."""
        thread = self.keep_busy()

        def free() -> None:
            self.over.set()
            thread.join()

        with on_failure(self.hasty.alias, free):
            written = write(self.hasty)
        assert self.over.is_set()
        return written


@pytest.fixture
def one_file(tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[OneFile]:
    with django_db_blocker.unblock():
        file = OneFile(tmp_path / "agent.db")
        yield file
        file.patient.close()
        file.hasty.close()
        file.deferred.close()


WRITES: dict[str, Callable[[Storage], Any]] = {
    "append_event": lambda store: store.append_event(Event(session_id="s")),
    "append_events": lambda store: store.append_events([Event(session_id="s")]),
    "add_message": lambda store: store.add_message(Message(session_id="s", role="user")),
    "save_checkpoint": lambda store: store.save_checkpoint(Checkpoint(session_id="s")),
    "create_session": lambda store: store.create_session(Session(id="new")),
    "patch_session": lambda store: store.patch_session("s", title="new"),
    "patch_session_metadata": lambda store: store.patch_session_metadata("s", {"new": 1}),
    "put_memory": lambda store: store.put_memory(MemoryRecord(agent_id="a", key="k")),
    "append_audit_log": lambda store: store.append_audit_log(AuditLog(session_id="s")),
    "insert_trace": lambda store: store.insert_trace(Trace(id="t")),
    "save_image": lambda store: store.save_image(Image(id="i")),
    "delete_session": lambda store: store.delete_session("s", hard=True),
    "load": lambda store: store.load([Container(id="c", created_at=records.now(), updated_at=records.now())]),
}


def test_outside_a_transaction_the_facade_waits_for_a_busy_file(one_file: OneFile, subtests: pytest.Subtests) -> None:
    for name, write in WRITES.items():
        with subtests.test(name):
            one_file.write(write)
    assert one_file.hasty.get_session("s") is None
    assert all(verdict.intact for verdict in one_file.hasty.verify_all())


def test_what_can_be_read_only_once_is_written_once_and_whole(one_file: OneFile) -> None:
    def messages() -> Iterator[Message]:
        yield from (Message(id=id, session_id="s", role="user") for id in "abc")

    def events() -> Iterator[Event]:
        yield from (Event(id=id, session_id="s") for id in "abc")

    def containers() -> Iterator[Container]:
        yield from (Container(id=id, created_at=records.now(), updated_at=records.now()) for id in "abc")

    assert [message.id for message in one_file.write(lambda store: store.add_messages(messages()))] == ["a", "b", "c"]
    assert [event.id for event in one_file.write(lambda store: store.append_events(events()))] == ["a", "b", "c"]
    # it may be too long to be kept until it is written: the transaction has begun before it is gone through
    assert one_file.write(lambda store: store.load(containers())) == 3
    assert len(one_file.hasty.list_messages("s")) == len(one_file.hasty.list_events("s")) == 3
    assert len(one_file.hasty.list_containers()) == 3


def test_a_file_that_stays_busy_ends_the_attempts(one_file: OneFile) -> None:
    thread = one_file.keep_busy()
    with pytest.raises(RetryTransaction):
        one_file.hasty.append_event(Event(session_id="s"))
    assert thread.is_alive()
    one_file.over.set()
    thread.join()
    assert one_file.hasty.append_event(Event(session_id="s")).seq_num == 1


def test_a_transaction_on_a_busy_file_can_be_run_again(one_file: OneFile) -> None:
    def work() -> None:
        with one_file.hasty.atomic():
            one_file.hasty.append_event(Event(session_id="s"))

    def purge(store: Storage) -> None:
        with store.purge_permit(reason="r") as permit:
            permit.purge_events("s")

    thread = one_file.keep_busy()  # and one that is busy for less is waited for
    with pytest.raises(RetryTransaction):
        work()
    one_file.over.set()
    thread.join()
    work()
    assert one_file.hasty.last_seq("s") == 1
    one_file.write(purge)
    assert one_file.hasty.count_events("s") == 0


def test_inside_a_host_s_transaction_a_busy_file_is_said_at_once(one_file: OneFile) -> None:
    """Where the host's transactions are deferred, the first write meets the other writer."""
    thread = one_file.keep_busy()
    attempts = 0

    def work() -> None:
        nonlocal attempts
        with transaction.atomic(using=one_file.deferred.alias):
            attempts += 1
            one_file.deferred.append_event(Event(session_id="s"))

    with pytest.raises(RetryTransaction):
        work()
    one_file.over.set()
    thread.join()
    work()
    assert attempts == 2
    assert one_file.deferred.count_events("s") == 1
