"""The agent under OpenAI's SDK: its session is a session of the storage."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from threading import Event
from typing import Any

import django
from agents import Agent, FunctionTool, Model, ModelResponse, RunConfig, Runner, Usage, UserError
from agents.tool_context import ToolContext
from asgiref.sync import async_to_sync
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from chronos_storage import Storage
from chronos_storage.ids import new_id
from chronos_storage.integrations.openai_agents import ChronosSession
from chronos_storage.records import Session

from ..agent import TOOLS, Stopped
from ..questions import QUESTIONS, Call, decide
from .runs import ask_each, call_tool

#: Whose sessions they are.
AGENT_ID = "django-explorer-openai-agents"


def answer_questions(storage: Storage, stop: Event, say: Callable[[str], None], *, again: bool = False) -> str:
    """Answer what the latest conversation has no answer to yet; returns its session's id.

    Args:
        stop: once it is set, the agent stops before its next question or call of a tool.
        again: begin another conversation.

    Raises:
        Stopped: it was asked to stop; called again, it goes on with the question it was at.
    """
    latest = storage.list_sessions(AGENT_ID, limit=1)
    title = f"{len(QUESTIONS)} questions about Django {django.get_version()}, by OpenAI's SDK"
    kept = latest[0] if latest and not again else storage.create_session(Session(agent_id=AGENT_ID, title=title))
    session = ChronosSession(kept.id, storage=storage)
    tools: list[Any] = [_tool(name, stop, say) for name in TOOLS]
    agent = Agent("explorer", model=_Script(), tools=tools)

    async def ask(question: str) -> str:
        try:
            result = await Runner.run(agent, question, session=session, run_config=RunConfig(tracing_disabled=True))
        except UserError as error:  # as which the SDK raises what a tool does
            if isinstance(error.__cause__, Stopped):
                raise error.__cause__ from None
            raise
        return str(result.final_output)

    async_to_sync(ask_each)(storage, kept.id, QUESTIONS, ask, stop, say)
    return kept.id


def _tool(name: str, stop: Event, say: Callable[[str], None]) -> FunctionTool:
    async def invoke(context: ToolContext[Any], arguments: str) -> str:
        return json.dumps(await call_tool(name, json.loads(arguments), stop, say))

    return FunctionTool(name, name, {"type": "object", "properties": {}}, invoke, strict_json_schema=False)


class _Script(Model):
    """Says what a model would say: the next call of a tool, or the answer."""

    async def get_response(self, system_instructions: Any, input: Any, *more: Any, **options: Any) -> ModelResponse:
        question = ""
        results: list[Any] = []
        for item in input:
            if item.get("role") == "user":
                question, results = item["content"], []
            elif item.get("type") == "function_call_output":
                results.append(json.loads(item["output"]))
        decision = decide(question, results)
        said: Any
        if isinstance(decision, Call):
            arguments = json.dumps(decision.arguments)
            said = ResponseFunctionToolCall(
                call_id=new_id(), name=decision.tool, arguments=arguments, type="function_call"
            )
        else:
            text = ResponseOutputText(text=decision, annotations=[], type="output_text")
            said = ResponseOutputMessage(
                id=new_id(), content=[text], role="assistant", status="completed", type="message"
            )
        return ModelResponse(output=[said], usage=Usage(), response_id=None)

    def stream_response(self, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
        raise NotImplementedError("the demo does not stream")
