"""The package as its users' type checkers see it: nothing here runs, `make lint` has mypy and basedpyright read it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, assert_type

from asgiref.sync import async_to_sync

import chronos_storage
from chronos_storage import (
    EventQueue,
    SessionHandle,
    Span,
    Storage,
    VectorStore,
    connect,
    ledger,
    queue,
    storage,
    storages,
    vector_store,
    vector_stores,
)
from chronos_storage.records import (
    Checkpoint,
    Embedding,
    Event,
    MemoryRecord,
    Message,
    QueueEntry,
    SearchResult,
    Session,
    TokenUsage,
    Trace,
    Verdict,
)


async def tasks() -> None:
    appended = asyncio.create_task(storage.aappend_event(Event(session_id="s", type="t", payload={}), expected_seq=0))
    found = asyncio.create_task(storage.aget_session("s", include_deleted=True))
    searched = asyncio.create_task(vector_store.asearch("docs", [1.0], top_k=1, filter={"lang": "en"}))
    published = asyncio.create_task(queue.apublish("topic", {"any": "JSON"}, user_id="u", key="k"))
    atomic = asyncio.create_task(storage.arun_atomic(storage.delete_session, "s", hard=True))
    assert_type(await appended, Event)
    assert_type(await found, Session | None)
    assert_type(await searched, list[SearchResult])
    assert_type(await published, str)
    assert_type(await atomic, bool)

    async with asyncio.TaskGroup() as group:
        forked = group.create_task(storage.afork_session("checkpoint", session_id="s", title="again"))
        patched = group.create_task(storage.apatch_session("s", title="other"))
        usage = group.create_task(storage.atoken_usage("s"))
    assert_type((forked.result(), patched.result(), usage.result()), tuple[Session, Session, TokenUsage])
    gathered = await asyncio.gather(storage.acount_events("s"), storage.averify_events("s"))
    assert_type(gathered, tuple[int, Verdict])


async def iteration() -> None:
    async for message in storage.aiter_messages("s", roles=["user"], order="desc"):
        assert_type(message, Message)
    async for entry in queue.stream("topic", after=None):
        assert_type(entry, QueueEntry)
    async with aclosing(storage.aiter_events("s", after_seq=3)) as events:
        assert_type(events, AsyncGenerator[Event, None])
        assert_type([event.seq_num async for event in events], list[int])
    assert_type([verdict async for verdict in storage.averify_all()], list[Verdict])


def methods() -> None:
    """Bound methods keep their parameters, so that they can be handed on."""
    _call: Callable[[Message], Coroutine[Any, Any, Message]] = storage.aadd_message
    assert_type(async_to_sync(storage.acount_messages)("s"), int)
    _unbound: Callable[[Storage, str], Coroutine[Any, Any, int]] = Storage.acount_messages
    storage.aadd_message("no message")  # type: ignore[arg-type, unused-coroutine]  # pyright: ignore[reportArgumentType, reportUnusedCoroutine]
    storage.aget_session("s", deleted=True)  # type: ignore[call-arg, unused-coroutine]  # pyright: ignore[reportCallIssue, reportUnusedCoroutine]


class Native(Storage):
    """A backend that is asynchronous by nature overrides the variant."""

    async def aget_session(self, id: str, *, include_deleted: bool = False) -> Session | None:
        return await super().aget_session(id, include_deleted=include_deleted)


def names() -> None:
    assert_type(chronos_storage.storage, Storage)
    print(chronos_storage.storge)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    with ledger.purge_permit(reason="the retention period is over", using="other") as permit:
        permit.purge_audit_logs("s")


def synchronous() -> None:
    assert_type(storages["archive"], Storage)
    assert_type(vector_stores["default"], VectorStore)
    assert_type(storage, Storage)
    assert_type(vector_store, VectorStore)
    assert_type(queue, EventQueue)
    with connect("sqlite:///notes.db", migrate=True).atomic():
        assert_type(storage.list_sessions(agent_id="a", order="-last_activity_at", limit=None), list[Session])
    with storage.purge_permit(reason="the retention period is over") as permit:
        assert_type(permit.purge_events("s", through_seq=10), int)
    assert_type(queue.subscribe("topic", lambda entry: print(entry.cursor)), Callable[[], None])
    assert_type(vector_store.upsert("docs", [Embedding(id="x", vector=[0.5])]), list[Embedding])


def charge(amount: int, *, currency: str = "EUR") -> dict[str, int]:
    return {currency: amount}


async def charge_later(amount: int) -> str:
    return f"{amount}"


async def handles() -> None:
    """A step takes its function's parameters, and gives its result."""
    with storage.session("s", agent_id="a", holder="worker", ttl=60) as session:
        assert_type(session, SessionHandle)
        assert_type(session.say("user", "hello", name="ada"), Message)
        assert_type(session.event("t", {}), Event)
        assert_type(session.checkpoint({}), Checkpoint)
        assert_type(session.remember("k", 1), MemoryRecord)
        assert_type(session.once("charge", charge, 7, currency="EUR"), dict[str, int])
        session.once("charge", charge, "7")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        session.once("charge", charge, 7, money="EUR")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        session.settle("charge", happened=True, result={})
        with session.span("plan", "node", input={}) as span:
            assert_type(span, Span)
            span.usage = TokenUsage(total_tokens=1)
            span.cost = Decimal("0.01")
    async with storage.session("s") as session:
        assert_type(await session.asay("user", "hello"), Message)
        assert_type(await session.aonce("charge", charge_later, 7), str)
        session.aonce("charge", charge, 7)  # type: ignore[arg-type, unused-coroutine]  # pyright: ignore[reportArgumentType, reportUnusedCoroutine]
        async with session.span("plan", parent=span) as inner:
            assert_type(inner.output, Any)


def records() -> None:
    session = Session(id="s", metadata={"a": 1}, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert_type(session.deleted_at, datetime | None)
    assert_type(Message(session_id="s", content=["part"], usage=TokenUsage(total_tokens=3)).role, str)
    assert_type(MemoryRecord(agent_id="a", key="k", value=None).key, str)
    assert_type(Checkpoint(session_id="s", state={}).state, dict[str, Any])
    assert_type(Trace(session_id="s").ended_at, datetime | None)
    Session("s")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Event(session="s")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
