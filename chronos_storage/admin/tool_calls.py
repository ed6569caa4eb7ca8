"""Tool calls beside their results, which are messages of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.db.models.query import QuerySet

from ..models import Message
from ..text import visible
from .addresses import anchor, timeline_address
from .previews import Preview, preview, previewed

#: How much of a message's tool calls is read to find each of them, in characters.
LENGTH = 20_000
#: How many numbers away from a page the other half of a call is looked for.
_FAR = 1_000
#: How many messages before a page are read for the calls whose results it has.
_BEFORE = 20


@dataclass(frozen=True)
class ToolCall:
    """A call that a message makes, and its result.

    Attributes:
        result: the message with the result; None where none was found.
        text: the start of the result.
        link: where that message is: on the same page, or elsewhere in the timeline.
    """

    id: str
    name: str
    arguments: str
    result: Any = None
    text: Preview | None = None
    link: str = ""


def calls_of(message: Any) -> list[tuple[str, str, str]]:
    """The id, name and arguments of each call a message makes, if they are not too long to be read."""
    found = message.preview_tool_calls
    if found == "null" or len(found) > LENGTH:
        return []
    try:
        given = json.loads(found)
    except (ValueError, RecursionError):
        return []
    calls = [call for call in given if isinstance(call, dict)] if isinstance(given, list) else []
    return [_parts(call) for call in calls]


def _parts(call: dict[str, Any]) -> tuple[str, str, str]:
    """OpenAI nests the function, others have name and arguments, or input, in the call itself."""
    nested = call.get("function")
    function = nested if isinstance(nested, dict) else call
    arguments = next((function[key] for key in ("arguments", "input", "args") if key in function), "")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return str(call.get("id") or ""), str(function.get("name") or ""), text


def paired(rows: QuerySet[Message], page: list[Any]) -> tuple[dict[Any, list[ToolCall]], dict[Any, Any]]:
    """The calls of each message of a page with their results, and for each result the message that made the call.

    An id may come again and again: a result belongs to the latest call before it, a call to the first result after it.

    Args:
        rows: the session's messages.
        page: those of the page, by number, `previewed` with tool calls of up to `LENGTH`.
    """
    if not page:
        return {}, {}
    first, last = page[0].seq_num, page[-1].seq_num
    calls = {message.pk: calls_of(message) for message in page}
    callers = [(id, message) for message in page for id, *_ in calls[message.pk] if id]
    results = [message for message in page if message.tool_call_id]
    if missing := {id for id, caller in callers if _result(id, caller, results) is None}:
        later = rows.filter(seq_num__gt=last, seq_num__lte=last + _FAR, tool_call_id__in=missing).order_by("seq_num")
        results += previewed(later, ["content"])[: len(missing)]
    if any(_caller(result, callers) is None for result in results):
        earlier = rows.filter(seq_num__lt=first, seq_num__gte=first - _FAR, role="assistant").order_by("-seq_num")
        for message in previewed(earlier, ["tool_calls"], {"tool_calls": LENGTH})[:_BEFORE]:
            callers += [(id, message) for id, *_ in calls_of(message) if id]
    here = {message.pk for message in page}
    shown = {
        message.pk: [
            _with_result(id, name, arguments, _result(id, message, results), here)
            for id, name, arguments in calls[message.pk]
        ]
        for message in page
    }
    return shown, {result.pk: _caller(result, callers) for result in results}


def _result(id: str, caller: Any, results: list[Any]) -> Any:
    later = (result for result in results if result.tool_call_id == id and result.seq_num > caller.seq_num)
    return next(later, None)


def _caller(result: Any, callers: list[tuple[str, Any]]) -> Any:
    before = [caller for id, caller in callers if id == result.tool_call_id and caller.seq_num < result.seq_num]
    return max(before, key=lambda caller: caller.seq_num, default=None)


def _with_result(id: str, name: str, arguments: str, answer: Any, here: set[Any]) -> ToolCall:
    link = ""
    if answer is not None:
        elsewhere = timeline_address(answer.session_id, "message", answer.pk)
        link = f"#{anchor('message', answer.pk)}" if answer.pk in here else elsewhere
    return ToolCall(
        id=visible(id),
        name=visible(name),
        arguments=visible(arguments),
        result=answer,
        text=None if answer is None else preview(answer, "content"),
        link=link,
    )
