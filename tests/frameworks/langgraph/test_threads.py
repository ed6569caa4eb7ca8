"""Many workers on one thread of LangGraph's, its executors' threads, and event loops in synchronous code."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections, transaction
from langchain_core.messages import HumanMessage

from chronos_storage import Storage
from chronos_storage.exceptions import FenceHeld, StaleWriter, TransactionOpen
from chronos_storage.integrations.langgraph import ChronosSaver
from chronos_storage.records import Session
from chronos_storage.testing.conformance.helpers import together
from tests.frameworks.langgraph.graphs import STEP, agent, checkpoint, config

WORKERS = 16


def _together(storage: Storage, work: Any) -> list[Any]:
    """What 16 workers return that begin at once, each with a number."""
    return together(storage, *(partial(work, number) for number in range(WORKERS)))


def _said(saver: ChronosSaver, given: Any) -> list[str]:
    found = saver.get_tuple(given)
    assert found is not None
    return [each.content for each in found.checkpoint["channel_values"]["messages"]]


def test_nothing_of_sixteen_workers_on_a_new_thread_is_lost_or_reordered(storage_committed: Storage) -> None:
    shared = ChronosSaver(storage_committed)

    def work(number: int) -> Any:
        saver = shared if number % 2 else ChronosSaver(storage_committed)
        given, messages, stored = config(), [], []
        for step in range(4):
            messages.append(HumanMessage(f"{number} {step} " * 100, id=f"{number}-{step}"))
            state = checkpoint({"messages": list(messages)}, step + 1)
            given = saver.put(given, state, STEP, {"messages": step + 1})
            saver.put_writes(given, [("messages", f"{number} {step}")], f"task-{number}")
            stored.append(given)
        return stored

    every = _together(storage_committed, work)

    reader = ChronosSaver(storage_committed)
    for number, stored in enumerate(every):
        for step, given in enumerate(stored):
            assert _said(reader, given) == [f"{number} {each} " * 100 for each in range(step + 1)]
            found = reader.get_tuple(given)
            assert found is not None
            assert found.pending_writes == [(f"task-{number}", "messages", f"{number} {step}")]
            before = stored[step - 1] if step else None
            assert found.parent_config == before
    assert len(list(reader.list(config()))) == 4 * WORKERS


def test_of_sixteen_workers_that_take_the_thread_from_each_other_the_stale_are_refused(
    storage_committed: Storage,
) -> None:
    storage = storage_committed
    storage.create_session(Session(id="t", require_fence=True))
    acknowledged: list[tuple[int, str]] = []
    lock = threading.Lock()

    def work(number: int) -> int:
        saver, refused = ChronosSaver(storage), 0
        for _ in range(3):
            try:
                fence = storage.acquire("t", f"worker-{number}", force=True)
            except FenceHeld:
                continue
            given = config(fence=fence)
            found = saver.get_tuple(config())
            messages = list(found.checkpoint["channel_values"]["messages"]) if found else []
            if found:
                given["configurable"]["checkpoint_id"] = found.config["configurable"]["checkpoint_id"]
            said = f"{number} {fence.token}"
            state = checkpoint({"messages": [*messages, said]}, len(messages) + 1)
            try:
                saver.put(given, state, STEP, {"messages": len(messages) + 1})
            except StaleWriter:
                refused += 1
                continue
            with lock:
                acknowledged.append((fence.token, said))
        return refused

    assert sum(_together(storage_committed, work)) + len(acknowledged) == 3 * WORKERS
    reader = ChronosSaver(storage)
    found = list(reader.list(config()))
    latest = max(found, key=lambda each: len(each.checkpoint["channel_values"]["messages"]))
    # Each had read what the one before it had written, as nobody came between its fence and its write.
    assert latest.checkpoint["channel_values"]["messages"] == [said for _, said in sorted(acknowledged)]


def test_a_thread_of_an_executor_leaves_no_connection_open(storage_committed: Storage) -> None:
    saver = ChronosSaver(storage_committed)
    saver.put(config(), checkpoint({"x": 1}), STEP, {"x": 1})

    def call() -> Any:
        return saver.get_tuple(config()), connections[saver.alias].connection

    with ThreadPoolExecutor(1) as pool:
        found, connection = pool.submit(call).result(60)
    assert found is not None
    assert connection is None


def test_a_graph_runs_synchronously_and_in_an_event_loop_of_synchronous_code(storage_committed: Storage) -> None:
    graph = agent().compile(ChronosSaver(storage_committed))
    said = {"messages": [HumanMessage("hello", id="1")]}

    assert len(graph.invoke(said, config())["messages"]) == 2
    assert len(asyncio.run(graph.ainvoke({"messages": [HumanMessage("again", id="2")]}, config()))["messages"]) == 4
    with transaction.atomic(using=storage_committed.alias):
        storage_committed.get_session("t")
        with pytest.raises(TransactionOpen):
            asyncio.run(graph.aget_state(config()))


def test_a_graph_invoked_within_a_transaction_neither_waits_for_it_nor_writes_beside_it(
    storage_committed: Storage,
) -> None:
    """Its executor's threads would wait for the session, and who has that locked would wait for them."""
    storage = storage_committed
    graph = agent().compile(ChronosSaver(storage))
    said = {"messages": [HumanMessage("hello", id="1")]}

    with transaction.atomic(using=storage.alias):
        storage.create_session(Session(id="t"))
        with pytest.raises(TransactionOpen, match="async_to_sync"):
            graph.invoke(said, config())
        assert len(async_to_sync(graph.ainvoke)(said, config())["messages"]) == 2
        graph.update_state(config(), {"messages": [HumanMessage("more", id="2")]})
        assert len(graph.get_state(config()).values["messages"]) == 3
    assert len(graph.invoke(said, config())["messages"]) == 4
