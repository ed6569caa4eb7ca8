"""Channels of which a checkpoint has nothing but what was written since: LangGraph's suite does not prune them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from asgiref.sync import async_to_sync
from langgraph.channels.delta import DeltaChannel
from langgraph.graph import START, StateGraph

from chronos_storage import Storage
from chronos_storage.integrations.langgraph import ChronosSaver
from tests.frameworks.langgraph.graphs import config


def _joined(state: list[str] | None, writes: Sequence[list[str]]) -> list[str]:
    return [*(state or []), *(word for write in writes for word in write)]


class Words(TypedDict):
    words: Annotated[list[str], DeltaChannel(_joined, list, snapshot_frequency=4)]
    seldom: Annotated[list[str], DeltaChannel(_joined, list, snapshot_frequency=50)]


def _node(state: Words) -> Any:
    count = len(state["words"])
    return {"words": [f"w{count}"], "seldom": [f"s{count}"] if count % 5 == 0 else []}


def test_pruning_keeps_what_the_latest_is_rebuilt_from(storage: Storage) -> None:
    graph = StateGraph(Words)
    graph.add_node("node", _node)
    graph.add_edge(START, "node")

    async def state() -> Any:
        return (await graph.compile(ChronosSaver(storage)).aget_state(config())).values

    async def run() -> None:
        compiled = graph.compile(ChronosSaver(storage))
        for turn in range(9):
            await compiled.ainvoke({"words": [f"in{turn}"], "seldom": []}, config())

    async_to_sync(run)()
    before = async_to_sync(state)()
    saver = ChronosSaver(storage)
    count = len(list(saver.list(config())))
    saver.prune(["t"])

    assert len(before["words"]) == 18
    assert async_to_sync(state)() == before
    assert len(list(saver.list(config()))) <= count
    async_to_sync(run)()
    assert len(async_to_sync(state)()["words"]) == 36


def test_pruning_removes_what_is_before_the_last_snapshot(storage: Storage) -> None:
    class Only(TypedDict):
        words: Annotated[list[str], DeltaChannel(_joined, list, snapshot_frequency=4)]

    graph = StateGraph(Only)
    graph.add_node("node", lambda state: {"words": [f"w{len(state['words'])}"]})
    graph.add_edge(START, "node")
    saver = ChronosSaver(storage)

    async def run() -> Any:
        compiled = graph.compile(saver)
        for turn in range(9):
            await compiled.ainvoke({"words": [f"in{turn}"]}, config())
        return (await compiled.aget_state(config())).values

    before = async_to_sync(run)()
    saver.prune(["t"])

    assert 1 <= len(list(saver.list(config()))) <= 8
    assert async_to_sync(graph.compile(ChronosSaver(storage)).aget_state)(config()).values == before
