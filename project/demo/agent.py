"""An agent that answers questions by calling tools, and keeps every step it takes.

It is a graph of three nodes: ``ask`` takes the next question, ``decide`` picks a tool call or gives the answer, ``act``
makes the call. A checkpoint after each step holds all the agent needs to go on from there, in another process too.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from threading import Event
from typing import Any

import django

from chronos_storage import SessionHandle, Storage, records
from chronos_storage.records import AuditLog, Session

from .library import find_docstrings, index_docstrings
from .questions import QUESTIONS, Call, decide
from .tools import ToolError, count_definitions, read_docstring, search_source

AGENT_ID = "django-explorer"
TOOLS: dict[str, Callable[..., Any]] = {
    tool.__name__: tool
    for tool in (search_source, read_docstring, count_definitions, index_docstrings, find_docstrings)
}


@dataclass(frozen=True, kw_only=True)
class State:
    """Where the agent is, and what it has found out about the question it is at: what a checkpoint keeps."""

    step: int = 0
    node: str = "ask"
    question: int = 0
    call: dict[str, Any] | None = None
    results: list[dict[str, Any]] = field(default_factory=list)
    answer: str = ""


def open_session(storage: Storage, *, again: bool = False) -> Session:
    """The agent's latest session, or a new one: the first, or one more if it is to start `again`."""
    latest = storage.list_sessions(AGENT_ID, limit=1)
    if latest and not again:
        return latest[0]
    version = django.get_version()
    title = f"{len(QUESTIONS)} questions about Django {version}"
    return storage.create_session(Session(agent_id=AGENT_ID, title=title, metadata={"django": version}))


class Stopped(Exception):
    """The agent was asked to stop."""


class Agent:
    """Goes through the questions of one session, from wherever its latest checkpoint is.

    Args:
        stop: once it is set, from a signal handler or another thread, the agent stops before its next step.
        say: where its progress goes, line by line.
    """

    def __init__(self, session: SessionHandle, stop: Event, say: Callable[[str], None] = print) -> None:
        self.session = session
        self.storage = session.storage
        self.stop = stop
        self.say = say

    def run(self) -> None:
        """Answer what is not answered yet. However it ends, the session's status says so.

        Raises:
            Stopped: it was asked to stop; run again, it goes on.
        """
        state = self._resume()
        self.storage.patch_session(self.session.id, status="running")
        status = "failed"
        try:
            while state.question < len(QUESTIONS):
                state = self._answer(state)
            status = "completed"
        except (Stopped, KeyboardInterrupt):
            status = "paused"
            raise
        finally:
            self.storage.patch_session(self.session.id, status=status)

    def _resume(self) -> State:
        # A process that was killed could not end its spans.
        for span in self.storage.list_traces(self.session.id):
            if span.ended_at is None:
                self.storage.end_trace(span.id, error="the process was stopped")
        checkpoint = self.storage.get_latest_checkpoint(self.session.id)
        return State(**checkpoint.state) if checkpoint else State()

    def _answer(self, state: State) -> State:
        number, question = state.question, QUESTIONS[state.question]
        nodes = {"ask": self._ask, "decide": self._decide, "act": self._act}
        self.say(f"[{number + 1:>2}/{len(QUESTIONS)}] {question}")
        with self.session.span(f"question {number + 1}", "graph", input=question) as span:
            while state.question == number:
                if self.stop.is_set():
                    raise Stopped("on request")
                state = nodes[state.node](state)
            span.output = state.answer
        self.say(f"        {state.answer}")
        return state

    def _ask(self, state: State) -> State:
        return self._keep(state, {"role": "user", "content": QUESTIONS[state.question]}, node="decide")

    def _decide(self, state: State) -> State:
        question = QUESTIONS[state.question]
        decision = decide(question, state.results)
        if isinstance(decision, Call):
            function = {"name": decision.tool, "arguments": json.dumps(decision.arguments)}
            call = {"id": f"call-{state.step:03}", "type": "function", "function": function}
            message = {"role": "assistant", "kind": "tool-call", "tool_calls": [call]}
            return self._keep(state, message, node="act", call=call)
        with self.storage.atomic():
            # Facts are for every session to come; the last answer is for this one, and for a day.
            tomorrow = records.now() + timedelta(days=1)
            self.session.remember(question, {"answer": decision})
            self.session.remember("last_answer", decision, kind="short_term", expires_at=tomorrow)
            message, number = {"role": "assistant", "content": decision}, state.question + 1
            return self._keep(state, message, node="ask", question=number, call=None, results=[], answer=decision)

    def _act(self, state: State) -> State:
        assert state.call is not None
        name, arguments = state.call["function"]["name"], json.loads(state.call["function"]["arguments"])
        self.say(f"        {name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})")
        # No transaction is open while a tool runs: it would hold up every other writer.
        try:
            with self.session.span(name, "tool_call", input=arguments) as span:
                span.output = TOOLS[name](**arguments)
            result = {"output": span.output}
        except ToolError as error:
            result = {"error": str(error)}
        message = {"role": "tool", "name": name, "tool_call_id": state.call["id"], "content": json.dumps(result)}
        with self.storage.atomic():
            self.storage.append_audit_log(
                AuditLog(
                    id=f"{self.session.id}:{state.step:03}",
                    session_id=self.session.id,
                    agent_id=AGENT_ID,
                    actor=AGENT_ID,
                    action="tool.failed" if "error" in result else "tool.called",
                    resource=name,
                    detail=arguments,
                )
            )
            return self._keep(state, message, node="decide", call=None, results=[*state.results, result])

    def _keep(self, state: State, message: dict[str, Any], **changes: Any) -> State:
        """Store a step's message, its event and the checkpoint after it, all or none; returns the state after it.

        All three have the step's name for an id: written again, they are found stored, and nothing doubles.
        """
        name = f"{state.step:03}-{state.node}"
        after = replace(state, step=state.step + 1, **changes)
        with self.storage.atomic():
            said = self.session.say(id=name, **message)
            payload = {"node": state.node, "role": said.role, "content": said.content}
            if said.tool_calls:
                payload["tool_calls"] = said.tool_calls
            self.session.event("node_executed" if state.node == "act" else "chat_message", payload, id=name)
            self.session.checkpoint(asdict(after), id=name, node_id=state.node)
        return after
