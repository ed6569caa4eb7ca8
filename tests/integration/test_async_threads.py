"""Asynchronous calls: beside each other in threads of the storage's own, or in the caller's where they belong there."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.core.checks import run_checks
from django.db import connections, models, transaction
from django.test.utils import override_settings
from django.utils import translation

from chronos_storage import Storage, async_threads, connect, signals
from chronos_storage.async_variants import hop
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.compat.connections import add_database, close_connections, settings_of
from chronos_storage.exceptions import TransactionOpen
from chronos_storage.models import Session as SessionRow
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.records import Message, Session
from chronos_storage.testing.conformance.helpers import column
from chronos_storage.vectors.stores import database_store
from tests.conftest import ONLY_SQLITE, STRICTEST, alias_of
from tests.databases import new_databases

T = TypeVar("T")
PATIENCE = 60

alias = alias_of(STRICTEST)


@pytest.fixture(autouse=True)
def anew(settings) -> None:
    """Each test begins with new threads, whatever it says of them."""
    settings.CHRONOS_STORAGE = {}


def run(work: Awaitable[T]) -> T:
    async def limited() -> T:
        return await asyncio.wait_for(work, PATIENCE)

    return asyncio.run(limited())


def threads_of(alias: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"chronos-{alias}"]


def server_process(alias: str) -> int:
    """The server's process that the thread's connection is with."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid: int = cursor.fetchone()[0]
    return pid


def connected(alias: str, pids: set[int]) -> set[int]:
    """Those of the server's processes that are still there."""
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE pid = ANY(%s)", [list(pids)])
        return {pid for (pid,) in cursor.fetchall()}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def row_held(alias: str, id: str) -> Iterator[None]:
    """Within the block another thread's transaction has a session's row locked."""
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic(using=alias):
            SessionRow.objects.using(alias).select_for_update().get(id=id)
            held.set()
            over.wait(PATIENCE)
        connections[alias].close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(PATIENCE)
    try:
        yield
    finally:
        over.set()
        thread.join()


def until_one_waits(alias: str) -> None:
    """Return once somebody's statement waits for a lock."""

    def waits() -> bool:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND datname = current_database()"
            )
            return cursor.fetchone() != (0,)

    try:
        until(waits)
    finally:
        connections[alias].close()


# Beside each other


def test_calls_that_take_a_while_do_so_at_once_in_so_many_threads(storage_committed: Storage, alias: str) -> None:
    all_in = threading.Barrier(8, timeout=PATIENCE)

    def work() -> tuple[int, int]:
        all_in.wait()
        return threading.get_ident(), server_process(alias)

    async def all_at_once() -> list[tuple[int, int]]:
        return await asyncio.gather(*[storage_committed.arun_atomic(work) for _ in range(24)])

    done = run(all_at_once())
    threads, processes = map(set, zip(*done, strict=True))
    assert threading.get_ident() not in threads
    assert len(threads) == len(processes) == len(threads_of(alias)) == 8


def test_a_look_up_does_not_wait_for_anothers_lock(storage_committed: Storage, alias: str) -> None:
    storage_committed.create_session(Session(id="s", title="before"))
    storage_committed.create_session(Session(id="t"))

    async def work() -> None:
        with row_held(alias, "s"):
            waiting = asyncio.create_task(storage_committed.apatch_session("s", title="after"))
            for _ in range(20):
                assert (await storage_committed.aget_session("s")).title == "before"
                await storage_committed.aadd_message(Message(session_id="t", role="user"))
            assert not waiting.done()
        assert (await waiting).title == "after"

    run(work())


def test_who_calls_gets_along_with_a_synchronous_caller_outside_of_a_transaction(storage_committed: Storage) -> None:
    async def work() -> int:
        await storage_committed.acreate_session(Session(id="s"))
        await asyncio.gather(*[storage_committed.aadd_message(Message(session_id="s", role="user")) for _ in range(9)])
        return threading.get_ident()

    assert async_to_sync(work)() != threading.get_ident()
    assert storage_committed.count_messages("s") == 9


def test_the_queue_and_the_vectors_go_by_the_same_threads(storage_committed: Storage, alias: str) -> None:
    queue, store = OrmQueue(using=alias), database_store(using=alias)

    async def work() -> None:
        await asyncio.gather(
            *[queue.apublish("t", number) for number in range(20)],
            *[store.acreate_collection(f"c{number}", 2) for number in range(20)],
        )
        assert len(await queue.arecover("t")) == len(await store.alist_collections()) == 20

    run(work())
    assert 1 < len(threads_of(alias)) <= 8
    queue.close()
    assert not threads_of(alias)


# What a call takes along

TENANT: ContextVar[str] = ContextVar("tenant")


def test_calls_have_the_callers_context(storage_committed: Storage) -> None:
    def look() -> tuple[str, str]:
        return TENANT.get(), translation.get_language()

    async def work(tenant: str, language: str) -> None:
        TENANT.set(tenant)
        with translation.override(language):
            for _ in range(5):
                assert await storage_committed.arun_atomic(look) == (tenant, language)

    async def both() -> None:
        await asyncio.gather(work("one", "de"), work("two", "fr"))

    run(both())


class ByTenant:
    """A router that sends each request to its tenant's database."""

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return TENANT.get(None)

    db_for_read = db_for_write


@pytest.mark.usefixtures("other_databases")
def test_two_tenants_at_once_each_in_a_database_of_its_own(tmp_path: Path) -> None:
    with new_databases("sqlite", tmp_path, 2) as urls:
        one, two = (connect(url, migrate=True) for url in urls)
        storage = Storage(OrmBackend())

        async def work(tenant: str) -> None:
            TENANT.set(tenant)
            await asyncio.gather(*[storage.acreate_session(Session(user_id=tenant)) for _ in range(10)])
            assert {session.user_id async for session in storage.aiter_sessions()} == {tenant}

        async def both() -> None:
            await asyncio.gather(work(one.alias), work(two.alias))

        with override_settings(DATABASE_ROUTERS=[f"{__name__}.ByTenant"]):
            run(both())
        for tenant in (one, two):
            assert [session.user_id for session in tenant.list_sessions()] == [tenant.alias] * 10
            tenant.close()
        assert not threads_of(one.alias)
        assert not threads_of(two.alias)


@pytest.mark.usefixtures("other_databases")
def test_two_tenants_at_once_on_connections_that_carry_their_names(tmp_path: Path) -> None:
    with new_databases("postgres", tmp_path) as [url]:
        plain = connect(url)
        with connections[plain.alias].cursor() as cursor:
            for tenant in ("one", "two"):
                cursor.execute(f'CREATE SCHEMA "{tenant}"')
        settings = {**settings_of(connections[plain.alias]), "ENGINE": "tests.tenants"}
        add_database("tenants", settings)
        storage = Storage(OrmBackend(using="tenants"))

        def tenants() -> Any:
            return connections["tenants"]

        async def request(tenant: str) -> set[int]:
            async with ThreadSensitiveContext():  # which Django opens for each request
                await sync_to_async(lambda: tenants().set_tenant(tenant))()
                await storage.amigrate()
                for _ in range(10):
                    await storage.acreate_session(Session(user_id=tenant))
                assert {session.user_id for session in await storage.alist_sessions()} == {tenant}
                threads = {await storage.arun_atomic(threading.get_ident) for _ in range(5)}
                await storage.aclose()
                return threads

        async def both() -> tuple[set[int], set[int]]:
            return await asyncio.gather(request("one"), request("two"))

        one, two = run(both())
        assert len(one) == len(two) == 1
        assert one != two
        plain.close()


def test_an_alias_can_be_left_to_the_callers_threads(storage_committed: Storage, alias: str, settings) -> None:
    async def threads() -> list[int]:
        calls = [storage_committed.arun_atomic(threading.get_ident) for _ in range(5)]
        return await asyncio.gather(*calls)

    for given in (0, {alias: 0}):
        settings.CHRONOS_STORAGE = {"ASYNC_CONNECTIONS": given}
        assert set(async_to_sync(threads)()) == {threading.get_ident()}
    settings.CHRONOS_STORAGE = {"ASYNC_CONNECTIONS": {"another": 0}}
    assert threading.get_ident() not in async_to_sync(threads)()


# In a transaction


def test_a_caller_with_a_transaction_open_gets_calls_that_are_part_of_it(storage_committed: Storage) -> None:
    async def work() -> None:
        await asyncio.gather(*[storage_committed.acreate_session(Session(id=id)) for id in "abc"])
        await asyncio.create_task(storage_committed.aadd_message(Message(session_id="a", role="user")))
        assert await storage_committed.acount_messages("a") == 1

    with storage_committed.atomic():
        async_to_sync(work)()
        assert column(storage_committed.list_sessions(), "id") == ["c", "b", "a"]
        transaction.set_rollback(True, using=storage_committed.alias)
    assert storage_committed.list_sessions() == []


def test_the_loop_of_a_thread_with_a_transaction_open_is_refused(storage_committed: Storage, alias: str) -> None:
    queue = OrmQueue(using=alias)

    async def work() -> int:
        await storage_committed.acreate_session(Session(id="s"))
        await queue.apublish("t", 1)
        return await storage_committed.acount_messages("s")

    for call in (storage_committed.aget_session("s"), queue.alast_cursor("t"), storage_committed.arun_atomic(int)):
        with transaction.atomic(using=alias), pytest.raises(TransactionOpen, match=rf"'{alias}'.*async_to_sync"):
            run(call)
        call.close()
    with transaction.atomic(using=alias):
        assert async_to_sync(work)() == 0
        assert run(Storage(MemoryBackend()).alist_sessions()) == []  # it is no part of it
    assert run(storage_committed.aget_session("s"))


def test_what_runs_in_a_transaction_of_its_own_can_make_calls_that_are_part_of_it(
    storage_committed: Storage, alias: str
) -> None:
    def work() -> int:
        storage_committed.create_session(Session(id="s"))
        async_to_sync(storage_committed.aadd_message)(Message(session_id="s", role="user"))
        with pytest.raises(TransactionOpen):
            run(storage_committed.aget_session("s"))
        return storage_committed.count_messages("s")

    assert run(storage_committed.arun_atomic(work)) == 1


def test_receivers_of_signals_may_make_calls_however_few_threads_there_are(
    storage_committed: Storage, settings
) -> None:
    settings.CHRONOS_STORAGE = {"ASYNC_CONNECTIONS": 1}

    async def note(sender: Any, records: Any, **kwargs: Any) -> None:
        if sender is Session:
            await storage_committed.aadd_message(Message(session_id=records[0].id, role="user"))

    def note_in_a_loop_of_its_own(sender: Any, records: Any, **kwargs: Any) -> None:
        if sender is Session:
            run(in_a_loop_of_its_own(records[0].id))

    async def in_a_loop_of_its_own(session_id: str) -> None:
        await storage_committed.aadd_message(Message(session_id=session_id, role="user"))
        await sync_to_async(close_connections)()

    async def work() -> list[int]:
        await asyncio.gather(*[storage_committed.acreate_session(Session(id=id)) for id in "abc"])
        return [await storage_committed.acount_messages(id) for id in "abc"]

    signals.records_written.connect(note)
    signals.records_written.connect(note_in_a_loop_of_its_own)
    try:
        assert run(work()) == [2, 2, 2]
    finally:
        signals.records_written.disconnect(note)
        signals.records_written.disconnect(note_in_a_loop_of_its_own)


def test_a_task_goes_on_after_the_synchronous_caller_that_began_it(storage_committed: Storage) -> None:
    tasks: list[asyncio.Task[Session]] = []
    go_on = asyncio.Event()

    async def late() -> Session:
        await go_on.wait()
        return await storage_committed.acreate_session(Session(id="late"))

    async def begin() -> None:
        tasks.append(asyncio.create_task(late()))

    async def work() -> str:
        await sync_to_async(async_to_sync(begin), thread_sensitive=False)()
        go_on.set()
        return (await tasks[0]).id

    assert run(work()) == "late"


# Cancelled


def test_a_cancelled_call_is_made_as_a_whole_or_not_at_all(storage_committed: Storage, alias: str, settings) -> None:
    settings.CHRONOS_STORAGE = {"ASYNC_CONNECTIONS": 1}
    storage_committed.create_session(Session(id="s"))

    def messages(name: str) -> list[Message]:
        return [Message(id=f"{name} {number}", session_id="s", role="user") for number in range(100)]

    async def work() -> None:
        with row_held(alias, "s"):
            begun = asyncio.create_task(storage_committed.aadd_messages(messages("begun")))
            waiting = asyncio.create_task(storage_committed.aadd_messages(messages("waiting")))
            await asyncio.to_thread(until_one_waits, alias)
            begun.cancel()
            waiting.cancel()
            results = await asyncio.gather(begun, waiting, return_exceptions=True)
            assert [type(result) for result in results] == [asyncio.CancelledError] * 2
        # Behind what has begun, in the only thread.
        found = [message.id async for message in storage_committed.aiter_messages("s")]
        assert found == [message.id for message in messages("begun")]

    run(work())


# How long connections stay


def test_each_of_many_tasks_gets_its_own_outcome_in_one_loop_after_another(tmp_path: Path) -> None:
    storage = connect(f"file://{tmp_path}")

    def work(number: int) -> int:
        if number % 3:
            return number
        raise ValueError(number)

    async def give_up(end: threading.Event) -> None:
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def stay() -> None:
            loop.call_soon_threadsafe(begun.set)
            end.wait(PATIENCE)

        task = asyncio.ensure_future(hop(storage, stay))
        await begun.wait()
        task.cancel()

    async def call_all() -> list[Any]:
        calls = [asyncio.ensure_future(hop(storage, work, number)) for number in range(300)]
        await asyncio.sleep(0)
        for call in calls[::7]:
            call.cancel()
        return await asyncio.gather(*calls, return_exceptions=True)

    for _ in range(2):
        end = threading.Event()
        asyncio.run(give_up(end))
        end.set()  # what comes of it, nobody waits for any more, and its loop is closed
        for number, outcome in enumerate(run(call_all())):
            if not number % 7:
                assert isinstance(outcome, asyncio.CancelledError)
            elif number % 3:
                assert outcome == number
            else:
                assert repr(outcome) == f"ValueError({number})"


class InterruptedLoop(asyncio.SelectorEventLoop):
    """A loop that is interrupted once, while it is told what came of a call."""

    interrupts = False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:  # type: ignore[override]
        handle = super().call_soon(callback, *args, context=context)
        if self.interrupts and args and isinstance(args[0], asyncio.Future):
            self.interrupts = False
            raise KeyboardInterrupt
        return handle


def test_a_loop_that_goes_on_after_an_interrupt_is_told_what_came_of_the_others(tmp_path: Path) -> None:
    storage, stopped = connect(f"file://{tmp_path}"), threading.Event()
    made: list[int] = []

    def work(number: int) -> None:
        stopped.wait(PATIENCE)
        made.append(number)

    async def begin() -> list[asyncio.Future[Any]]:
        return [asyncio.ensure_future(hop(storage, work, number)) for number in range(20)]

    with closing(InterruptedLoop()) as loop:
        calls = loop.run_until_complete(begin())
        loop.run_until_complete(asyncio.sleep(0))
        stopped.set()
        until(lambda: len(made) == len(calls))
        time.sleep(0.1)  # until the last one's outcome is there too
        loop.interrupts = True
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(asyncio.sleep(0.1))
        _, waiting = loop.run_until_complete(asyncio.wait(calls, timeout=PATIENCE))
        assert not waiting


def test_idle_connections_are_closed(storage_committed: Storage, alias: str, monkeypatch) -> None:
    monkeypatch.setattr(async_threads, "_LINGER", 0.05)

    async def work() -> list[int]:
        return await asyncio.gather(*[storage_committed.arun_atomic(server_process, alias) for _ in range(20)])

    for _ in range(2):
        processes = set(run(work()))
        until(lambda: not threads_of(alias))
        until(lambda: not connected(alias, processes))  # noqa: B023


def test_closing_closes_all_and_calls_go_on_afterwards(storage_committed: Storage, alias: str) -> None:
    async def work() -> set[int]:
        await asyncio.gather(*[storage_committed.ahealth() for _ in range(20)])
        processes = {await storage_committed.arun_atomic(server_process, alias) for _ in range(20)}
        await storage_committed.aclose()
        return processes

    for close in (storage_committed.close, lambda: None):
        processes = run(work())
        until(lambda: len(threads_of(alias)) <= 1)  # the one that closed them
        close()
        until(lambda: not connected(alias, processes))  # noqa: B023


def test_they_are_closed_before_a_database_is_removed(other_databases: None, tmp_path: Path) -> None:
    with new_databases("postgres", tmp_path) as [url]:
        storage = connect(url)

        async def work() -> None:
            await asyncio.gather(*[storage.ahealth() for _ in range(20)])

        run(work())
        assert threads_of(storage.alias)
        connected_to, name = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", url.rpartition("/")[2]
        with connections["postgres"]._nodb_cursor() as cursor:
            assert not threads_of(storage.alias)
            until(lambda: cursor.execute(connected_to, [name]).fetchone() == (0,))  # the server may need a moment


def test_a_pool_gets_its_connections_back_after_each_call(other_databases: None, tmp_path: Path) -> None:
    with new_databases("postgres", tmp_path) as [url]:
        storage: Any = connect(url, migrate=True, options={"pool": {"min_size": 1, "max_size": 2, "timeout": 5}})

        async def work() -> None:
            await asyncio.gather(*[storage.acreate_session(Session()) for _ in range(40)])

        storage.close()
        run(work())
        assert len(storage.list_sessions()) == 40  # by a connection of the same pool, with all threads idle
        connection: Any = connections[storage.alias]
        pool = connection.pool
        storage.close()
        assert pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"] <= 2
        connection.close_pool()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no forks")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("alias", ONLY_SQLITE)
def test_a_forked_child_has_threads_of_its_own(storage_committed: Storage) -> None:
    async def count() -> int:
        await asyncio.gather(*[storage_committed.acreate_session(Session()) for _ in range(10)])
        return len(await storage_committed.alist_sessions())

    assert run(count()) == 10
    child = os.fork()
    if not child:
        try:
            os._exit(run(count()))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 20
    assert run(count()) == 30


@pytest.mark.usefixtures("other_databases")
def test_sqlite_in_memory_has_one_thread() -> None:
    storage = connect(":memory:", migrate=True)

    async def work() -> None:
        await storage.acreate_session(Session(id="s"))
        await asyncio.gather(*[storage.aadd_message(Message(session_id="s", role="user")) for _ in range(50)])

    run(work())
    assert len(threads_of(storage.alias)) == 1
    assert storage.count_messages("s") == 50
    storage.close()


# The settings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (8, None),
        (0, None),
        ({"default": 1}, None),
        (-1, "E005"),
        ("8", "E005"),
        (True, "E005"),
        ({"default": None}, "E005"),
        ({"nowhere": 1}, "E004"),
    ],
)
def test_what_is_no_number_of_connections_is_an_error(settings, given: Any, complaint: str | None) -> None:
    settings.CHRONOS_STORAGE = {"ASYNC_CONNECTIONS": given}
    messages = {message.id: str(message.msg) for message in run_checks(tags=["compatibility"])}
    if complaint is None:
        assert not messages.keys() & {"chronos_storage.E003", "chronos_storage.E004", "chronos_storage.E005"}
    else:
        assert messages[f"chronos_storage.{complaint}"].startswith('CHRONOS_STORAGE["ASYNC_CONNECTIONS"] ')


@pytest.mark.parametrize(
    ("pool", "size", "most"),
    [
        (True, None, 4),
        ({"min_size": 6}, None, 6),
        ({"max_size": 7}, None, 7),
        ({"max_size": 8}, None, None),
        ({"max_size": 2}, {"default": 2}, None),
        ({"max_size": 2}, 3, 2),
        (False, None, None),
    ],
)
def test_a_pool_with_fewer_connections_than_calls_take_is_a_warning(
    monkeypatch, settings, pool: Any, size: Any, most: int | None
) -> None:
    monkeypatch.setitem(settings_of(connections["default"]), "NAME", "a file")
    monkeypatch.setitem(settings_of(connections["default"]), "OPTIONS", {"pool": pool})
    settings.CHRONOS_STORAGE = {} if size is None else {"ASYNC_CONNECTIONS": size}
    found = [message.msg for message in run_checks(tags=["compatibility"]) if message.id == "chronos_storage.W005"]
    assert [f"has {most} connections" in text for text in found] == ([] if most is None else [True])
