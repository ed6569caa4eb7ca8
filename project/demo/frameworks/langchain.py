"""The agent as a loop around a chat model of LangChain's: its chat history is a session's messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from threading import Event
from typing import Any

import django
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from chronos_storage import Storage
from chronos_storage.integrations.langchain import ChronosChatMessageHistory
from chronos_storage.records import Session

from ..agent import TOOLS, Stopped
from ..questions import QUESTIONS, Call, decide
from ..tools import ToolError

#: Whose sessions they are.
AGENT_ID = "django-explorer-langchain"


def answer_questions(storage: Storage, stop: Event, say: Callable[[str], None], *, again: bool = False) -> str:
    """Answer what the latest conversation has no answer to yet; returns its session's id.

    Args:
        stop: once it is set, the agent stops before its next question or call of a tool.
        again: begin another conversation.

    Raises:
        Stopped: it was asked to stop; called again, it goes on with the call that it was at.
    """
    latest = storage.list_sessions(AGENT_ID, limit=1)
    title = f"{len(QUESTIONS)} questions about Django {django.get_version()}, by LangChain"
    session = latest[0] if latest and not again else storage.create_session(Session(agent_id=AGENT_ID, title=title))
    history = ChronosChatMessageHistory(session.id, storage=storage)
    model = GenericFakeChatModel(messages=_answers(history))
    while (given := _next(history.messages, stop, say)) is not None:
        history.add_messages(given)
        answer = model.invoke(history.messages)
        history.add_message(answer)
        if not answer.tool_calls:
            say(f"        {answer.content}")
    storage.patch_session(session.id, status="completed")
    return session.id


def _next(messages: Sequence[BaseMessage], stop: Event, say: Callable[[str], None]) -> list[BaseMessage] | None:
    """What the model is given next, beside what was said: a result or a question; None once all are answered."""
    last = messages[-1] if messages else None
    if isinstance(last, HumanMessage | ToolMessage):  # it was stopped before the model's answer
        return []
    asked = sum(isinstance(message, HumanMessage) for message in messages)
    calls = last.tool_calls if isinstance(last, AIMessage) else []
    if not calls and asked == len(QUESTIONS):
        return None
    if stop.is_set():
        raise Stopped("on request")
    if calls:
        return [_result(call, say) for call in calls]
    say(f"[{asked + 1:>2}/{len(QUESTIONS)}] {QUESTIONS[asked]}")
    return [HumanMessage(QUESTIONS[asked])]


def _result(call: Any, say: Callable[[str], None]) -> ToolMessage:
    say(f"        {call['name']}({', '.join(f'{key}={value!r}' for key, value in call['args'].items())})")
    try:
        result = {"output": TOOLS[call["name"]](**call["args"])}
    except ToolError as error:
        result = {"error": str(error)}
    return ToolMessage(json.dumps(result), tool_call_id=call["id"], name=call["name"])


def _answers(history: ChronosChatMessageHistory) -> Iterator[AIMessage]:
    while True:
        yield script(history.messages)


def script(messages: Sequence[BaseMessage]) -> AIMessage:
    """What a model would say: the next call of a tool, or the answer."""
    question = ""
    results: list[Any] = []
    for message in messages:
        if isinstance(message, HumanMessage):
            question, results = str(message.content), []
        elif isinstance(message, ToolMessage):
            results.append(json.loads(str(message.content)))
    decision = decide(question, results)
    if isinstance(decision, Call):
        call = {"name": decision.tool, "args": decision.arguments, "id": f"call-{len(messages):03}"}
        return AIMessage("", tool_calls=[call])
    return AIMessage(decision)
