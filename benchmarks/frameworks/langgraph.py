"""LangGraph's threads and store, beside its own saver and store for PostgreSQL in a database of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any
from uuid import uuid4

import psycopg
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.base import CheckpointMetadata
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.store.base import GetOp, PutOp
from langgraph.store.postgres import PostgresStore

from chronos_storage import codec
from chronos_storage.integrations.langgraph import ChronosSaver, ChronosStore

from .. import samples
from ..databases import Vendor
from ..measure import Figure, Side, always, duration, rate

_SAVER, _STORE = "PostgresSaver", "PostgresStore"
_METADATA: CheckpointMetadata = {"source": "loop", "step": 1, "parents": {}}
#: Turns after which saving and loading is measured, and how often in a round: each has a thread of its own.
_LENGTHS, _TIMES = (5, 200), 10


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this section, one by one: LangGraph's own are for PostgreSQL alone."""
    if not vendor.has_bars:
        return
    rounds, turns = (5, 100) if quick else (15, 400)
    with ExitStack() as stack:
        ours, theirs = (stack.enter_context(vendor.database()) for _ in range(2))
        saver = ChronosSaver(ours.storage)
        saver.setup()
        other = stack.enter_context(PostgresSaver.from_conn_string(theirs.url))
        other.setup()
        store = ChronosStore(ours.storage)
        other_store = stack.enter_context(PostgresStore.from_conn_string(theirs.url))
        other_store.setup()
        for length in _LENGTHS:
            for what, one in (("save", _Thread.save), ("save and load", _Thread.both), ("load", _Thread.load)):
                yield duration(
                    f"{what} a thread of {length} turns",
                    _TIMES,
                    _of_thread(saver, length, one),
                    _of_thread(other, length, one),
                    rounds=rounds,
                    against=_SAVER,
                    at_most=1,
                )
        yield _disk(saver, other, ours.url, theirs.url, turns)
        for name, count, side in (("put", 50, _puts), ("get", 50, _gets), ("search", 20, _searches)):
            yield rate(
                f"{name} of the store",
                count,
                side(store, count),
                side(other_store, count),
                rounds=rounds,
                against=_STORE,
                at_least=1,
            )
        yield rate(
            "batch of 100 puts, and of 100 gets",
            200,
            _batches(store),
            _batches(other_store),
            rounds=rounds,
            against=_STORE,
            at_least=1,
        )


class _Thread:
    """A thread that grows by a message with each save, which goes on from the one before."""

    def __init__(self, saver: Any, turns: int) -> None:
        self._saver = saver
        self._messages = _conversation(turns)
        self._config: Any = {"configurable": {"thread_id": str(uuid4()), "checkpoint_ns": ""}}
        self._latest = self._config
        self._version: Any = None
        self._step = 0
        self.save()

    def save(self) -> None:
        self._step += 1
        self._messages = [*self._messages, HumanMessage("And then?", id=f"more-{self._step}")]
        self._latest, self._version = _put(self._saver, self._latest, self._messages, self._version, self._step)

    def load(self) -> None:
        assert self._saver.get_tuple(self._config).checkpoint["channel_values"]["messages"]

    def both(self) -> None:
        self.save()
        self.load()


def _of_thread(saver: Any, turns: int, one: Callable[[_Thread], None]) -> Side:
    return lambda: always(partial(one, _Thread(saver, turns)), _TIMES)()


def _put(saver: Any, config: Any, messages: list[AnyMessage], version: Any, step: int) -> tuple[Any, Any]:
    version = saver.get_next_version(version, None)
    checkpoint = {
        "v": 4,
        "id": str(uuid6(clock_seq=step)),
        "ts": "2026-01-01T00:00:00+00:00",
        "channel_values": {"messages": messages},
        "channel_versions": {"messages": version},
        "versions_seen": {"agent": {"messages": version}},
        "updated_channels": ["messages"],
    }
    return saver.put(config, checkpoint, _METADATA, {"messages": version}), version


def _disk(saver: Any, other: Any, mine: str, theirs: str, turns: int) -> Figure:
    """A checkpoint after each turn of a conversation, and its message as a pending write, as a graph has them."""
    conversation = _conversation(turns)
    text = sum(codec.bytes_of(codec.encode(each.model_dump(exclude_defaults=True))) for each in conversation)
    sizes = []
    for each, url in ((saver, mine), (other, theirs)):
        before = _size(url)
        config: Any = {"configurable": {"thread_id": str(uuid4()), "checkpoint_ns": ""}}
        version = None
        for turn in range(turns):
            config, version = _put(each, config, conversation[: 2 * turn + 2], version, turn)
        sizes.append((_size(url) - before) / text)
    return Figure(
        name=f"{turns:,} checkpoints of a conversation on the disk, by its text",
        unit="x",
        ours=sizes[0],
        other=sizes[1],
        ratio=sizes[0],
        against=_SAVER,
        at_most=2.5,
    )


def _size(url: str) -> int:
    """What the tables and indexes take."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM")
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relkind = 'r' AND (relname LIKE 'chronos_langgraph%' OR relname LIKE 'checkpoint%')"
        ).fetchone()
    assert row is not None
    return int(row[0])


def _conversation(turns: int) -> list[AnyMessage]:
    return [_message(each, number) for number, each in enumerate(samples.messages("session", 2 * turns))]


def _message(given: Any, number: int) -> AnyMessage:
    content = given.content or ""
    if given.role == "tool":
        return ToolMessage(content, tool_call_id=given.tool_call_id, name=given.name, id=str(number))
    if given.role == "user":
        return HumanMessage(content, id=str(number))
    calls = [
        {"name": each["function"]["name"], "args": each["function"]["arguments"], "id": each["id"]}
        for each in given.tool_calls or ()
    ]
    return AIMessage(content, id=str(number), tool_calls=calls)


def _puts(store: Any, count: int) -> Side:
    return lambda: partial(_each, count, lambda number: store.put(("users", str(number)), "k", {"n": number}))


def _gets(store: Any, count: int) -> Side:
    store.put(("users", "ada"), "k", {"likes": "tea"})
    return lambda: partial(_each, count, lambda _: store.get(("users", "ada"), "k"))


def _searches(store: Any, count: int) -> Side:
    store.batch([PutOp(("topics", "tea"), str(number), {"n": number % 7}) for number in range(500)])
    return lambda: partial(_each, count, lambda _: store.search(("topics",), filter={"n": 3}, limit=10))


def _batches(store: Any) -> Side:
    def work() -> None:
        store.batch([PutOp(("many",), str(number), {"n": number}) for number in range(100)])
        store.batch([GetOp(("many",), str(number)) for number in range(100)])

    return lambda: work


def _each(count: int, call: Callable[[int], object]) -> None:
    for number in range(count):
        call(number)
