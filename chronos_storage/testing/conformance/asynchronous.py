"""The asynchronous variants: one for every method, doing the same."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

import pytest
from asgiref.sync import async_to_sync

from ...exceptions import AlreadyExists, InvalidRecord, NotFound, NotSupported, SequenceConflict
from ...facade import Storage
from ...records import Artifact, AuditLog, Checkpoint, Container, Event, Image, MemoryRecord, Message, Session, Trace
from ..writers import write
from .helpers import PATIENCE, case, column, needs_transactions, open_session, populate
from .samples import complete_session, full

P = ParamSpec("P")
T = TypeVar("T")

WITHOUT_ASYNC_VARIANT = {"atomic", "purge_permit", "session"}
_NAMES = {name for name, _ in inspect.getmembers(Storage, inspect.isfunction) if not name.startswith("_")}
ASYNC_VARIANTS = {name for name in _NAMES if name.startswith("a") and name[1:] in _NAMES}
METHODS = _NAMES - ASYNC_VARIANTS - WITHOUT_ASYNC_VARIANT - {"arun_atomic"}

#: Every method that only reads, with arguments that find something in a store populated as "s".
QUESTIONS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "get_session": (("s",), {}),
    "list_sessions": (("agent",), {"user_id": "user", "order": "-last_activity_at"}),
    "iter_sessions": (("agent",), {"user_id": "user"}),
    "get_message": (("m1",), {"session_id": "s"}),
    "find_messages": ((["m1", "m2"],), {}),
    "list_messages": (("s",), {"order": "desc", "limit": 2}),
    "iter_messages": (("s",), {"roles": ["user"]}),
    "get_messages": (("s", ["m1", "m2"]), {}),
    "context": (("s",), {"provider": "openai"}),
    "count_messages": (("s",), {}),
    "last_message_seq": (("s",), {}),
    "token_usage": (("s",), {}),
    "usage": ((), {"agent_id": "agent", "user_id": "user"}),
    "get_memory": (("agent", "k1"), {"user_id": "user"}),
    "list_memory": (("agent", "long_term"), {"prefix": "k"}),
    "iter_memory": (("agent",), {}),
    "list_audit_logs": (("s",), {"action": "do"}),
    "iter_audit_logs": ((), {"agent_id": "agent"}),
    "get_trace": (("s t1",), {}),
    "list_traces": (("s",), {}),
    "iter_traces": (("s",), {}),
    "trace_tree": (("s",), {}),
    "get_event": (("e1",), {}),
    "list_events": (("s", 1), {"types": ["t"]}),
    "iter_events": (("s", 1), {}),
    "get_recent_events": (("s", 2), {}),
    "count_events": (("s",), {}),
    "last_seq": (("s",), {}),
    "get_checkpoint": (("c1",), {}),
    "get_latest_checkpoint": (("s",), {"namespace": "sub"}),
    "list_checkpoints": (("s",), {"before_seq": 2}),
    "iter_checkpoints": (("s",), {}),
    "list_namespaces": (("s",), {}),
    "get_fence": (("s",), {}),
    "get_artifact": (("name",), {"session_id": "s", "user_id": "user"}),
    "list_artifacts": ((), {"session_id": "s"}),
    "get_container": (("container",), {}),
    "list_containers": ((), {"limit": 1}),
    "container_exists": (("container",), {}),
    "get_image": (("image",), {}),
    "list_images": ((), {"name": "name"}),
    "image_exists": (("image",), {}),
    "get_image_session": (("used",), {}),
    "verify_events": (("s",), {}),
    "verify_audit_logs": (("s",), {}),
    "verify_all": ((), {}),
    "chain_heads": ((), {}),
    "list_chain": (("event", "s"), {}),
    "scan": (("event",), {}),
}


def run(function: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a coroutine function; its calls are part of the transaction that this thread has open, as under Django."""
    result: T = async_to_sync(function)(*args, **kwargs)
    return result


async def collected(items: AsyncIterator[T]) -> list[T]:
    """All items of an asynchronous iterator."""
    return [item async for item in items]


class AsynchronousContract:
    def test_every_method_has_a_variant_but_those_that_hold_a_transaction(self, storage: Storage) -> None:
        assert {name[1:] for name in ASYNC_VARIANTS} == METHODS
        assert not any(hasattr(storage, f"a{name}") for name in WITHOUT_ASYNC_VARIANT)
        for name in ASYNC_VARIANTS:
            iterates = name.startswith("aiter_") or name in ("averify_all", "achain_heads", "ascan")
            is_async_variant = inspect.isasyncgenfunction if iterates else inspect.iscoroutinefunction
            assert is_async_variant(getattr(storage, name))

    def test_an_iterator_can_be_closed_before_its_end(self, storage: Storage) -> None:
        populate(storage)

        async def work() -> None:
            messages = storage.aiter_messages("s")
            assert (await anext(messages)).seq_num == 1
            await messages.aclose()
            assert [message async for message in messages] == []

        run(work)

    def test_a_variant_answers_as_its_method_does(self, storage: Storage) -> None:
        populate(storage)
        for record in (full("container"), full("image"), Session(id="of an image", image_id="used")):
            write(storage, record)
        storage.acquire("s", "worker")
        for name, (arguments, options) in QUESTIONS.items():
            with case(name):
                answer = getattr(storage, name)(*arguments, **options)
                iterates = not isinstance(answer, list) and hasattr(answer, "__next__")
                answer = list(answer) if iterates else answer
                assert answer not in (None, [], False)
                asked = partial(getattr(storage, f"a{name}"), *arguments, **options)
                assert run(partial(collected, asked()) if iterates else asked) == answer

    def test_sessions_and_messages(self, storage: Storage) -> None:
        async def work() -> None:
            made = await storage.acreate_session(Session(id="s"))
            made.title = "updated"
            assert (await storage.aupdate_session(made)).title == "updated"
            assert (await storage.asave_session(Session(id="t"))).id == "t"
            assert (await storage.apatch_session("s", author="patched")).title == "updated"
            assert (await storage.apatch_session_metadata("s", {"a": 1})).metadata == {"a": 1}
            assert (await storage.aadd_message(Message(id="1", session_id="s", role="user"))).seq_num == 1
            more = [Message(id=id, session_id="s", role="user") for id in "2345"]
            assert column(await storage.aadd_messages(more), "seq_num") == [2, 3, 4, 5]
            assert await storage.atruncate_messages("s", "4") == 1
            assert await storage.adelete_message("1", session_id="s") is True
            assert await storage.adelete_messages("s") == 3
            assert await storage.adelete_session("s") is True
            assert (await storage.arestore_session("s")).deleted_at is None
            assert await storage.adelete_session("s", hard=True) is True

        run(work)
        assert column(storage.list_sessions(include_deleted=True), "id") == ["t"]

    def test_memory_traces_and_checkpoints(self, storage: Storage) -> None:
        open_session(storage)

        async def work() -> None:
            memory = await storage.aput_memory(MemoryRecord(agent_id="a", key="k", value=1))
            assert await storage.adelete_memory(memory.id) is True
            assert await storage.adelete_memory(memory.id) is False
            assert (await storage.ainsert_trace(Trace(id="t", session_id="s"))).ended_at is None
            assert (await storage.aend_trace("t", output="done")).output == "done"
            for number in (1, 2, 3):
                saved = await storage.asave_checkpoint(Checkpoint(id=f"{number}", session_id="s"))
                assert saved.seq_num == number
            assert await storage.adelete_checkpoint("1", session_id="s") is True
            assert await storage.adelete_checkpoints("s", keep_last=1) == 1
            assert (await storage.afork_session("3", id="fork")).id == "fork"

        run(work)
        assert storage.get_trace("t").ended_at is not None
        assert column(storage.list_checkpoints("fork"), "seq_num") == [1]

    def test_the_ledger(self, storage: Storage) -> None:
        open_session(storage)

        async def work() -> None:
            assert (await storage.aappend_event(Event(session_id="s"), expected_seq=0)).seq_num == 1
            assert column(await storage.aappend_events([Event(session_id="s")] * 2), "seq_num") == [2, 3]
            assert (await storage.aappend_audit_log(AuditLog(session_id="s"))).seq_num == 1
            assert (await storage.ainsert_audit_log(AuditLog(session_id="s"))).seq_num == 2
            with pytest.raises(SequenceConflict):
                await storage.aappend_event(Event(session_id="s"), expected_seq=0)

        run(work)
        assert storage.count_events("s") == 3

    def test_fences_holds_and_several_at_once(self, storage: Storage) -> None:
        async def work() -> None:
            assert (await storage.aensure_session(Session(id="s"))).id == "s"
            fence = await storage.aacquire("s", "worker", ttl=PATIENCE)
            assert (await storage.arenew(fence)).token == 1
            await storage.arelease(fence)
            assert (await storage.aset_legal_hold("s", True, actor="a", reason="r")).legal_hold
            assert not (await storage.aset_legal_hold("s", False, actor="a", reason="r")).legal_hold
            assert len((await storage.ainsert_traces([Trace(session_id="s"), Trace(session_id="s")])).new) == 2
            records = [MemoryRecord(agent_id="a", key=key, value=key) for key in "kl"]
            assert column(await storage.aput_memories(records), "value") == ["k", "l"]

        run(work)

    def test_erasing(self, storage: Storage) -> None:
        async def work() -> None:
            await storage.acreate_session(Session(id="s"))
            stored = await storage.aput_artifact(Artifact(name="n"), b"data")
            assert await storage.aerase_artifact(stored.id) is True
            await storage.aerase_content(stored.sha256)
            assert await storage.asweep_erased() == 1
            assert await storage.aerase_session("s") is True

        run(work)
        assert list(storage.scan("session")) == list(storage.scan("artifact")) == []

    def test_containers_images_and_copies(self, storage: Storage) -> None:
        async def work() -> None:
            await storage.asave_container(Container(id="c"))
            await storage.asave_image(Image(id="i"))
            assert (await storage.apatch_image_metadata("i", {"a": 1})).metadata == {"a": 1}
            assert await storage.adelete_container("c") is True
            assert await storage.adelete_image("i") is True
            assert await storage.aload([complete_session()]) == 1
            assert (await storage.ahealth()).ok

        run(work)
        assert column(storage.scan("session"), "id") == ["s"]
        assert list(storage.scan("image")) == []

    def test_artifacts(self, storage: Storage) -> None:
        async def work() -> None:
            stored = await storage.aput_artifact(Artifact(name="n"), b"data")
            with await storage.aopen_artifact(stored.id) as file:
                assert file.read() == b"data"
            await storage.aload_content(b"data", stored.sha256)
            assert await storage.adelete_artifact(stored.id) is True
            assert await storage.asweep_artifacts() == 0

        run(work)

    def test_getting_ready_and_closing(self, storage_committed: Storage) -> None:
        async def work() -> None:
            await storage_committed.amigrate()
            await storage_committed.acreate_session(Session(id="s"))
            await storage_committed.aclose()

        run(work)
        assert storage_committed.get_session("s") is not None

    def test_an_error_comes_through(self, storage: Storage) -> None:
        async def work() -> None:
            with pytest.raises(NotFound):
                await storage.aupdate_session(Session(id="s"))
            with pytest.raises(InvalidRecord):
                await storage.alist_sessions(limit=-1)
            with pytest.raises(InvalidRecord):
                [session async for session in storage.aiter_sessions(status="\x00")]
            await storage.acreate_session(Session(id="s"))
            with pytest.raises(AlreadyExists):
                await storage.acreate_session(Session(id="s"))

        run(work)

    def test_a_walk_over_more_than_a_page_and_one_that_is_broken_off(self, storage: Storage) -> None:
        open_session(storage)
        stored = storage.append_events([Event(session_id="s", payload=number) for number in range(1_100)])

        async def walk() -> None:
            assert [event async for event in storage.aiter_events("s")] == stored
            async for event in storage.aiter_events("s"):
                if event.seq_num == 3:
                    break
            assert (await storage.aappend_event(Event(session_id="s"))).seq_num == 1_101

        run(walk)

    def test_tasks_at_once(self, storage_committed: Storage) -> None:
        storage = storage_committed
        for id in "st":
            open_session(storage, id)

        async def work() -> list[Event]:
            return await asyncio.gather(*[storage.aappend_event(Event(session_id=id)) for id in "st" * 10])

        appended = run(work)
        for id in "st":
            assert sorted(event.seq_num for event in appended if event.session_id == id) == list(range(1, 11))
            assert storage.verify_events(id).intact


class RunAtomicContract:
    def test_it_commits(self, storage: Storage) -> None:
        needs_transactions(storage)

        def make(*ids: str, title: str) -> int:
            for id in ids:
                open_session(storage, id, title=title)
            return len(ids)

        assert run(storage.arun_atomic, make, "a", "b", title="made") == 2
        assert column(storage.list_sessions(), "title") == ["made", "made"]

    def test_it_rolls_back_its_own_work_and_no_other_tasks(self, storage: Storage) -> None:
        needs_transactions(storage)

        def fail() -> None:
            open_session(storage, "undone")
            raise ZeroDivisionError

        async def work() -> list[Any]:
            tasks: list[Any] = [storage.acreate_session(Session(id=f"kept {number}")) for number in range(4)]
            tasks.insert(2, storage.arun_atomic(fail))
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = run(work)
        assert isinstance(results[2], ZeroDivisionError)
        assert column(storage.scan("session"), "id") == [f"kept {number}" for number in range(4)]

    def test_a_function_that_finds_no_next_item_ends_with_an_error(self, storage: Storage) -> None:
        needs_transactions(storage)

        def first() -> Session:
            open_session(storage, "undone")
            return next(session for session in storage.list_sessions() if session.title == "not there")

        async def work() -> None:
            await asyncio.wait_for(storage.arun_atomic(first), PATIENCE)

        with pytest.raises(RuntimeError, match="raised StopIteration"):
            run(work)
        assert storage.get_session("undone") is None

    def test_nothing_runs_where_there_are_no_transactions(self, storage: Storage) -> None:
        if storage.supports_transactions:
            pytest.skip("this backend has transactions")
        with pytest.raises(NotSupported):
            run(storage.arun_atomic, open_session, storage)
        assert storage.get_session("s") is None
