"""A session's messages for a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import codec
from ..async_variants import async_variant
from ..backends.base import Query
from ..exceptions import InvalidRecord
from ..providers import FIELDS, PROVIDERS, Context, Provider, context, size
from ..records import Message
from .arguments import choice, required
from .base import FacadeBase


class ContextMethods(FacadeBase):
    def context(
        self,
        session_id: str,
        *,
        provider: Provider,
        budget: int | None = None,
        count: Callable[[dict[str, Any]], int] | None = None,
    ) -> Context:
        """A session's messages as a provider's API accepts them: a list to be passed on, which nothing is stored of.

        Whatever is stored, the list keeps the provider's rules. Each call of a tool is followed by its result, or by
        one that says that none was recorded; a result whose call isn't there becomes a text. What the provider has no
        form for is named in its place, and messages that say nothing are left out. Tool names and ids that it would
        refuse are replaced by others.

        A summary, a message of the role ``system`` whose metadata holds ``"summary_of": [first, last]``, stands in the
        place of the messages of these numbers, both included, and of the summaries among them.

        What was given for an answer that is stored by now comes first in all later lists, the same to the byte, until
        a summary or the budget takes from it: then half of the room is freed at once.

        Args:
            provider: ``"openai"`` (Chat Completions), ``"anthropic"`` or ``"gemini"``; the latter two get what the
                system says to begin with in the list's ``system``.
            budget: how much all messages may have together, the system's included; the oldest are left out where it
                isn't enough, but never those the system begins with.
            count: how much a message of the list has, such as its tokens; by default the bytes of its compact JSON,
                of which English text has about four a token.

        Raises:
            InvalidRecord: an unknown provider, or a budget that the last message alone exceeds.
        """
        form = choice(provider, "provider", PROVIDERS)
        if budget is not None:
            budget = codec.integer(budget, "budget")
        counted: Any = size if count is None else count
        if not callable(counted):
            raise InvalidRecord("count", f"must be a function of a message, not {counted!r}")
        query = Query(record=Message, where=required(session_id=session_id), order=("seq_num",), fields=FIELDS)
        messages = self._select(query)
        return context(messages, form, budget, counted)

    @async_variant(context)
    def acontext(self) -> Any: ...
