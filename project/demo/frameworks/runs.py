"""What the frameworks have in common whose runs begin with a question and call the tools themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from threading import Event
from typing import Any

from asgiref.sync import sync_to_async

from chronos_storage import Storage

from ..agent import TOOLS, Stopped
from ..tools import ToolError


async def ask_each(
    storage: Storage,
    session_id: str,
    questions: Sequence[str],
    ask: Callable[[str], Awaitable[str]],
    stop: Event,
    say: Callable[[str], None],
) -> None:
    """Ask what a session has no answer to yet; a question that was broken off is asked anew.

    Raises:
        Stopped: the agent was asked to stop.
    """
    messages = await storage.alist_messages(session_id)
    said = [message for message in messages if message.role == "assistant" and message.content]
    answers = [message for message in said if not message.tool_calls]
    if answers:
        await storage.atruncate_messages(session_id, answers[-1].id)
    else:
        await storage.adelete_messages(session_id)
    for number, question in enumerate(questions[len(answers) :], start=len(answers) + 1):
        if stop.is_set():
            raise Stopped("on request")
        say(f"[{number:>2}/{len(questions)}] {question}")
        say(f"        {await ask(question)}")
    await storage.apatch_session(session_id, status="completed")


async def call_tool(name: str, arguments: Mapping[str, Any], stop: Event, say: Callable[[str], None]) -> dict[str, Any]:
    """What a tool gives, as ``{"output": …}``, or as ``{"error": …}`` why it gives nothing.

    Raises:
        Stopped: the agent was asked to stop.
    """
    if stop.is_set():
        raise Stopped("on request")
    say(f"        {name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})")
    try:
        return {"output": await sync_to_async(TOOLS[name])(**arguments)}
    except ToolError as error:
        return {"error": str(error)}
