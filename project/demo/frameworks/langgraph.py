"""The agent as a graph of LangGraph's: its checkpoints are a thread's, its spans are of the thread's session."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

import django
from langchain_core.messages import AnyMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from chronos_storage import Storage
from chronos_storage.integrations.langchain.messages import to_record
from chronos_storage.integrations.langgraph import ChronosSaver
from chronos_storage.integrations.opentelemetry import ChronosSpanExporter
from chronos_storage.records import Session

from ..agent import TOOLS, Stopped
from ..questions import QUESTIONS
from ..tools import ToolError
from .langchain import script

#: Whose sessions they are.
AGENT_ID = "django-explorer-langgraph"


def answer_questions(storage: Storage, stop: Event, say: Callable[[str], None], *, again: bool = False) -> str:
    """Answer what the latest thread has no answer to yet; returns its session's id.

    Args:
        stop: once it is set, the graph is interrupted before its next call of a tool.
        again: begin another thread.

    Raises:
        Stopped: it was asked to stop; called again, it goes on with the call that it was at.
    """
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ChronosSpanExporter(storage)))
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        return _answer_all(storage, stop, say, again)
    finally:
        instrumentor.uninstrument()
        provider.shutdown()


def _answer_all(storage: Storage, stop: Event, say: Callable[[str], None], again: bool) -> str:
    session = _session(storage, again)
    graph = _graph(stop, say).compile(checkpointer=ChronosSaver(storage, agent_id=AGENT_ID))
    config: Any = {"configurable": {"thread_id": session.id}}
    state = graph.get_state(config)
    messages: list[AnyMessage] = state.values.get("messages", [])
    asked = sum(isinstance(each, HumanMessage) for each in messages)
    # What was interrupted goes on where it was; then comes what was not asked yet.
    given: list[Any] = [None] if state.next else []
    given += [{"messages": [HumanMessage(question)]} for question in QUESTIONS[asked:]]
    for number, each in enumerate(given, start=asked + (0 if state.next else 1)):
        say(f"[{number:>2}/{len(QUESTIONS)}] {QUESTIONS[number - 1]}")
        result = graph.invoke(each, config)
        _show(storage, session.id, result["messages"])
        if "__interrupt__" in result:
            storage.patch_session(session.id, status="paused")
            raise Stopped("on request")
        say(f"        {result['messages'][-1].content}")
    storage.patch_session(session.id, status="completed")
    return session.id


def _session(storage: Storage, again: bool) -> Session:
    latest = storage.list_sessions(AGENT_ID, limit=1)
    if latest and not again:
        return latest[0]
    title = f"{len(QUESTIONS)} questions about Django {django.get_version()}, by LangGraph"
    return storage.create_session(Session(agent_id=AGENT_ID, title=title))


def _graph(stop: Event, say: Callable[[str], None]) -> StateGraph[Any]:
    def think(state: MessagesState) -> Any:
        return {"messages": [script(state["messages"])]}

    def act(state: MessagesState) -> Any:
        last: Any = state["messages"][-1]
        call = last.tool_calls[0]
        if stop.is_set():
            interrupt("stopped")
        say(f"        {call['name']}({', '.join(f'{key}={value!r}' for key, value in call['args'].items())})")
        try:
            result = {"output": TOOLS[call["name"]](**call["args"])}
        except ToolError as error:
            result = {"error": str(error)}
        return {"messages": [ToolMessage(json.dumps(result), tool_call_id=call["id"], name=call["name"])]}

    def after(state: MessagesState) -> str:
        last: Any = state["messages"][-1]
        return "act" if last.tool_calls else END

    graph: StateGraph[Any] = StateGraph(MessagesState)
    graph.add_node("think", think)
    graph.add_node("act", act)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", after, ["act", END])
    graph.add_edge("act", "think")
    return graph


def _show(storage: Storage, session_id: str, messages: list[AnyMessage]) -> None:
    """Have the session show the conversation too, beside the thread; what it has already is passed over."""
    storage.add_messages([replace(to_record(each, session_id), id=str(each.id)) for each in messages])
