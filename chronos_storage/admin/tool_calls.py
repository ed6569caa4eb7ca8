"""Tool calls beside their results, which are messages of their own, or parts of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q
from django.db.models.query import QuerySet

from ..dialects.said import ROLES, Call, Result
from ..models import Message
from .spoken import Spoken, spoken

#: How many numbers away from a page the other half of a call is looked for by its id.
_FAR = 1_000
#: How many messages before and after a page are read for calls and results that no column names.
_NEAR = 20
_CALLERS = [role for role, name in ROLES.items() if name == "assistant"]
_BRINGERS = [role for role, name in ROLES.items() if name in ("user", "tool")]


@dataclass
class Answered:
    """A call that a message makes, and its result.

    Attributes:
        result: what it gave, and the message that says so; None where none was found.
    """

    call: Call
    caller: Spoken
    result: tuple[Result, Spoken] | None = None


class Pairs:
    """The calls and results of some messages, each beside its other half.

    An id may come again and again: a result belongs to the latest call before it. One without an id belongs to the
    first call without a result that names its tool.
    """

    def __init__(self, messages: Iterable[Spoken]) -> None:
        self._calls: list[Answered] = []
        self._asked: dict[str, Answered] = {}
        self._found: dict[int, Answered] = {}
        for message in messages:
            for part in message.parts:
                if isinstance(part, Call):
                    answered = Answered(part, message)
                    self._calls.append(answered)
                    self._found[id(part)] = self._asked[part.id] = answered
                elif isinstance(part, Result) and (asked := self._asked_for(part)):
                    self._found[id(part)] = asked
                    asked.result = asked.result or (part, message)

    def of(self, part: Call | Result) -> Answered | None:
        """The call that a part is, or is the result of; None for a result without a call."""
        return self._found.get(id(part))

    def _asked_for(self, result: Result) -> Answered | None:
        if result.id:
            return self._asked.get(result.id)
        waiting = (each for each in self._calls if each.result is None)
        return next((each for each in waiting if result.name in ("", each.call.name)), None)


def paired(rows: QuerySet[Message], page: list[Spoken]) -> Pairs:
    """The calls and results of a page, with the other halves of those that have them elsewhere.

    Args:
        rows: the session's messages.
        page: those of the page, by number.
    """
    pairs = Pairs(page)
    before: list[Spoken] = []
    after: list[Spoken] = []
    missing = [call.id for message in page for call in message.calls if not _has_result(pairs, call)]
    if missing:
        last = page[-1].row.seq_num
        later = rows.filter(seq_num__gt=last, seq_num__lte=last + _FAR)
        named, near = Q(tool_call_id__in=missing), Q(seq_num__lte=last + _NEAR, tool_call_id="", role__in=_BRINGERS)
        after = spoken(later.filter(named | near).order_by("seq_num")[: len(missing) + _NEAR])
    if any(pairs.of(result) is None for message in page for result in message.results):
        first = page[0].row.seq_num
        earlier = rows.filter(seq_num__lt=first, seq_num__gte=first - _FAR, role__in=_CALLERS)
        before = spoken(earlier.order_by("-seq_num")[:_NEAR])[::-1]
    return Pairs([*before, *page, *after]) if before or after else pairs


def _has_result(pairs: Pairs, call: Call) -> bool:
    found = pairs.of(call)
    return found is not None and found.result is not None
