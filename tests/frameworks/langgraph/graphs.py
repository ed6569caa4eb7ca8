"""Graphs and checkpoints that the tests run and write, without a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata
from langgraph.checkpoint.base.id import uuid6
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

#: Put's metadata where a test asks for none.
STEP: CheckpointMetadata = {"source": "loop", "step": 0, "parents": {}}


def config(thread_id: str = "t", **more: Any) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


def checkpoint(values: Mapping[str, Any], version: int = 1) -> Checkpoint:
    return {
        "v": 4,
        "id": str(uuid6(clock_seq=version)),
        "ts": "2026-01-01T00:00:00+00:00",
        "channel_values": dict(values),
        "channel_versions": dict.fromkeys(values, version),
        "versions_seen": {},
        "updated_channels": None,
    }


def agent(*, asks: bool = False) -> StateGraph[Any]:
    """An agent that repeats what it is told, and before that asks whether it may."""

    def speak(state: Any) -> Any:
        if asks:
            interrupt("May I?")
        said = state["messages"][-1].content
        return {"messages": [AIMessage(f"You said: {said}", id=f"answer-{len(state['messages'])}")]}

    graph: StateGraph[Any] = StateGraph(MessagesState)
    graph.add_node("speak", speak)
    graph.add_edge(START, "speak")
    graph.add_edge("speak", END)
    return graph
