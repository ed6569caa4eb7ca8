"""What a message says as a page shows it: its blocks, and its calls of tools with what came of them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db.models.query import QuerySet

from ..dialects.said import ROLES, SYSTEMS, Call, Result
from ..models import Message
from ..text import name as shown
from ..text import visible
from .addresses import address, anchor, timeline_address
from .blocks import RESULT, Block, Blocks, plain
from .spoken import Spoken
from .tool_calls import Answered, Pairs, paired

#: How much of what the system says is shown before it is opened, in characters.
_SYSTEM = 200


@dataclass(frozen=True)
class Answer:
    """The result of a call.

    Attributes:
        number: that of the message with it.
        place: where that message is: on the same page, elsewhere in the timeline, or where all of its fields are.
        anchor: what it is called within the page, where the message is shown nowhere else; else empty.
    """

    number: int
    place: str
    anchor: str
    failed: bool
    blocks: list[Block]


@dataclass(frozen=True)
class ShownCall:
    """A call of a tool."""

    id: str
    name: str
    arguments: str
    answer: Answer | None


@dataclass
class Speech:
    """What a message says.

    Attributes:
        role: whose it is.
        place: where all of its fields are.
        cut: whether there is more than is shown.
        blocks: what it says beside the calls that it makes, and beside what is shown as the result of one.
        calls: those it makes.
        callers: the number and the place of the messages with the calls whose results it has.
        within: the primary key of the message that all it says is shown with; None where it stands for itself.
        line: how it begins, where that is all that is shown before it is opened; else empty.
        fields: those of the row that this shows.
    """

    role: str
    place: str
    cut: bool
    blocks: list[Block] = field(default_factory=list)
    calls: list[ShownCall] = field(default_factory=list)
    callers: dict[int, str] = field(default_factory=dict)
    within: Any = None
    line: str = ""
    fields: Collection[str] = ()

    @property
    def is_answer(self) -> bool:
        """Whether a model says it."""
        return ROLES.get(self.role) == "assistant"


def speeches_of(rows: QuerySet[Message], page: list[Spoken]) -> dict[Any, Speech]:
    """What each message of a page says, by its primary key.

    Args:
        rows: the session's messages.
        page: those of the page, by number.
    """
    return _Speeches(page, paired(rows, page)).made()


class _Speeches:
    def __init__(self, page: list[Spoken], pairs: Pairs) -> None:
        self._page, self._pairs, self._blocks = page, pairs, Blocks()
        self._here = {message.row.pk for message in page}
        #: What each part is shown as.
        self._shown = {id(part): made for message in page for part, made in self._blocks.of(message)}
        self._within = {message.row.pk: self._caller(message) for message in page}

    def made(self) -> dict[Any, Speech]:
        return {message.row.pk: self._speech(message) for message in self._page}

    def _caller(self, message: Spoken) -> Any:
        """The message of the page with the calls whose results are all that this one says."""
        callers = set()
        for part in message.parts:
            found = self._pairs.of(part) if isinstance(part, Result) else None
            callers.add(found.caller.row.pk if found and found.result and found.result[0] is part else None)
        caller = callers.pop() if len(callers) == 1 else None
        return caller if caller in self._here else None

    def _speech(self, message: Spoken) -> Speech:
        row = message.row
        speech = Speech(row.role, address(row, "change"), message.cut, fields=_fields(message))
        speech.within = self._within[row.pk]
        for part in message.parts:
            found = self._pairs.of(part) if isinstance(part, Call | Result) else None
            if isinstance(part, Call):
                speech.calls.append(self._call(part, found))
            elif found is None:
                speech.blocks += self._shown[id(part)]
            else:
                caller = found.caller.row
                speech.callers[caller.seq_num] = timeline_address(caller.session_id, "message", caller.pk)
                if found.result is None or found.result[0] is not part or caller.pk not in self._here:
                    speech.blocks += self._shown[id(part)]
        text = message.parts[0] if message.parts else None
        if ROLES.get(row.role) in SYSTEMS and isinstance(text, str) and len(text) > _SYSTEM:
            speech.line = shown(text[:_SYSTEM])
        return speech

    def _call(self, call: Call, answered: Answered | None) -> ShownCall:
        given = "" if call.arguments is None else call.arguments
        arguments = given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
        answer = self._answer(*answered.result) if answered and answered.result else None
        return ShownCall(visible(call.id), visible(call.name), plain(arguments, RESULT).text, answer)

    def _answer(self, result: Result, message: Spoken) -> Answer:
        row = message.row
        is_here, is_within = row.pk in self._here, self._within.get(row.pk) is not None
        if not is_here:
            self._shown |= {id(part): made for part, made in self._blocks.of(message)}
        place = f"#{anchor('message', row.pk)}" if is_here else timeline_address(row.session_id, "message", row.pk)
        return Answer(
            number=row.seq_num,
            place=address(row, "change") if is_within else place,
            anchor=anchor("message", row.pk) if is_within and result is message.parts[0] else "",
            failed=result.failed or (row.failed and len(message.results) == 1),
            blocks=self._shown[id(result)],
        )


def _fields(message: Spoken) -> Collection[str]:
    """The fields of the row that its parts are made of."""
    return ("content", "tool_calls") if message.calls or message.row.preview_tool_calls == "null" else ("content",)


def tokens_of(row: Any) -> int | None:
    """The tokens that a row reports; of one without a total, the sum of its parts."""
    if row.total_tokens is not None:
        return int(row.total_tokens)
    reported = [count for count in (row.prompt_tokens, row.completion_tokens) if count is not None]
    return sum(reported) if reported else None
