"""The agent under Google's ADK: its session service keeps events as a session's messages."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from threading import Event
from typing import Any

from asgiref.sync import async_to_sync
from google.adk.agents import LlmAgent
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.tools.base_tool import BaseTool
from google.adk.tools.tool_context import ToolContext
from google.genai import types

from chronos_storage import Storage
from chronos_storage.integrations.google_adk import ChronosSessionService

from ..agent import TOOLS
from ..questions import QUESTIONS, Call, decide
from .runs import ask_each, call_tool

#: Whose sessions they are: ADK's name of the app.
AGENT_ID = "django-explorer-google-adk"
_USER = "demo"


def answer_questions(storage: Storage, stop: Event, say: Callable[[str], None], *, again: bool = False) -> str:
    """Answer what the latest conversation has no answer to yet; returns its session's id.

    Args:
        stop: once it is set, the agent stops before its next question or call of a tool.
        again: begin another conversation.

    Raises:
        Stopped: it was asked to stop; called again, it goes on with the question it was at.
    """
    service = ChronosSessionService(storage)
    if again or not storage.list_sessions(AGENT_ID, limit=1):
        async_to_sync(service.create_session)(app_name=AGENT_ID, user_id=_USER)
    [session] = storage.list_sessions(AGENT_ID, limit=1)
    agent = LlmAgent(name="explorer", model=_Script(model="script"), tools=[_Tool(name, stop, say) for name in TOOLS])
    runner = Runner(app_name=AGENT_ID, agent=agent, session_service=service)

    async def ask(question: str) -> str:
        given = types.Content(role="user", parts=[types.Part(text=question)])
        said = ""
        async for event in runner.run_async(user_id=_USER, session_id=session.title, new_message=given):
            if event.is_final_response() and event.content and event.content.parts:
                said = event.content.parts[0].text or ""
        return said

    async_to_sync(ask_each)(storage, session.id, QUESTIONS, ask, stop, say)
    return session.id


class _Tool(BaseTool):
    """A tool of the agent's own, which takes its arguments as they come."""

    def __init__(self, name: str, stop: Event, say: Callable[[str], None]) -> None:
        super().__init__(name=name, description=name)
        self._stop, self._say = stop, say

    def _get_declaration(self) -> types.FunctionDeclaration:
        return types.FunctionDeclaration(name=self.name, description=self.description)

    async def run_async(self, *, args: dict[str, Any], tool_context: ToolContext) -> dict[str, Any]:
        return await call_tool(self.name, args, self._stop, self._say)


class _Script(BaseLlm):
    """Says what a model would say: the next call of a tool, or the answer."""

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        question = ""
        results: list[Any] = []
        for content in llm_request.contents:
            for part in content.parts or ():
                if part.function_response:
                    results.append(part.function_response.response)
                elif content.role == "user":
                    question, results = part.text or "", []
        decision = decide(question, results)
        if isinstance(decision, Call):
            part = types.Part.from_function_call(name=decision.tool, args=decision.arguments)
        else:
            part = types.Part(text=decision)
        yield LlmResponse(content=types.Content(role="model", parts=[part]))
