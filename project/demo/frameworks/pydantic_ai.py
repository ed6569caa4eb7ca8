"""The agent under Pydantic AI: its conversation, the steps of its runs and its spans are kept in the storage."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from threading import Event
from typing import Any

from asgiref.sync import async_to_sync
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from pydantic_ai import Agent, InstrumentationSettings, Tool
from pydantic_ai.capabilities import Instrumentation
from pydantic_ai.conversation import Conversation
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart, ToolReturnPart, UserPromptPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai_harness import StepPersistence

from chronos_storage import Storage
from chronos_storage.ids import new_id
from chronos_storage.integrations.opentelemetry import ChronosSpanExporter
from chronos_storage.integrations.pydantic_ai import ChronosConversationStore, ChronosStepStore

from ..agent import TOOLS, Stopped
from ..questions import QUESTIONS, Call, decide
from .runs import call_tool

#: Whose sessions they are.
AGENT_ID = "django-explorer-pydantic-ai"


def answer_questions(storage: Storage, stop: Event, say: Callable[[str], None], *, again: bool = False) -> str:
    """Answer what the latest conversation has no answer to yet; returns its session's id.

    Args:
        stop: once it is set, the agent stops before its next call of a tool.
        again: begin another conversation.

    Raises:
        Stopped: it was asked to stop; called again, it goes on with the question it was at.
    """
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ChronosSpanExporter(storage)))
    told = Instrumentation(settings=InstrumentationSettings(tracer_provider=provider))
    agent = Agent(
        FunctionModel(_script),
        name="explorer",
        tools=[Tool(_tool(name, stop, say), name=name, takes_ctx=False) for name in TOOLS],
        capabilities=[told, StepPersistence(store=ChronosStepStore(storage), agent_name=AGENT_ID)],
    )
    try:
        return async_to_sync(_answer_all)(agent, ChronosConversationStore(storage, agent_id=AGENT_ID), stop, say, again)
    finally:
        provider.shutdown()


async def _answer_all(
    agent: Agent, store: ChronosConversationStore, stop: Event, say: Callable[[str], None], again: bool
) -> str:
    known = await store.list_conversations(limit=1)
    conversation = None if again or not known else await store.load(known[0].conversation_id)
    if conversation is None:
        conversation = Conversation(conversation_id=new_id())
        await store.save(conversation)  # so that it is gone on with, whatever becomes of its first question
    asked = [part.content for each in conversation.messages for part in each.parts if isinstance(part, UserPromptPart)]
    for number, question in enumerate(QUESTIONS[len(asked) :], start=len(asked) + 1):
        if stop.is_set():
            raise Stopped("on request")
        say(f"[{number:>2}/{len(QUESTIONS)}] {question}")
        result = await agent.run(question, conversation=conversation)
        await store.save(result)
        conversation = result.conversation
        say(f"        {result.output}")
    return conversation.conversation_id


def _tool(name: str, stop: Event, say: Callable[[str], None]) -> Callable[..., Awaitable[dict[str, Any]]]:
    """A tool whose arguments are those of the agent's own."""

    async def call(**arguments: Any) -> dict[str, Any]:
        return await call_tool(name, arguments, stop, say)

    return call


def _script(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """What a model would say: the next call of a tool, or the answer."""
    question = ""
    results: list[Any] = []
    for part in (part for message in messages for part in message.parts):
        if isinstance(part, UserPromptPart):
            question, results = str(part.content), []
        elif isinstance(part, ToolReturnPart):
            results.append(part.content)
    decision = decide(question, results)
    if isinstance(decision, Call):
        return ModelResponse([ToolCallPart(decision.tool, decision.arguments)])
    return ModelResponse([TextPart(decision)])
