"""What an answer holds at most: it goes into a model's context, whatever is stored."""

from __future__ import annotations

import json
from typing import Any

from ...exceptions import NotFound

#: Characters of a text, and of all texts of an answer.
TEXT, ANSWER = 4_000, 40_000


class Unknown(NotFound):
    """The owner has nothing of this name."""


def shown(value: Any, most: int = TEXT) -> str:
    """A value as a text of so many characters at most, which says if there is more."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= most else f"{text[:most]}… ({len(text) - most:,} more characters)"


def bounded(items: list[dict[str, Any]], field: str) -> list[dict[str, Any]]:
    """The items with that field as text, each cut to its share of what an answer holds."""
    share = min(TEXT, ANSWER // max(1, len(items)))
    return [{**item, field: shown(item[field], share)} for item in items]
