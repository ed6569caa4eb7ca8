from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..exceptions import InvalidRecord
from . import fields
from .base import Record


@dataclass(slots=True, kw_only=True)
class TokenUsage(Record):
    """Tokens a model reported, each count at most 10¹². None is "not reported", which is not 0."""

    prompt_tokens: int | None = fields.count()
    completion_tokens: int | None = fields.count()
    total_tokens: int | None = fields.count()
    cache_read_tokens: int | None = fields.count()
    cache_creation_tokens: int | None = fields.count()


def usage_or_none(value: Any, field: str) -> TokenUsage | None:
    if value is None:
        return None
    given = TokenUsage.of(value, field)
    try:
        usage = given.cleaned()
    except InvalidRecord as error:
        raise InvalidRecord(f"{field}.{error.field}", error.problem) from None
    return None if usage == TokenUsage() else usage
