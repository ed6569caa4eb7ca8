"""What messages say, read from the database as far as pages show it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.db.models.functions import Length
from django.db.models.query import QuerySet

from ..dialects.said import ROLES, Call, Part, Result, said
from ..failures import failed
from ..models import Message
from .previews import previewed, readable, whole

#: How much is read of a message's tool calls, and of its content where that is a text, in characters.
CALLS, TEXT = 20_000, 16_000
#: How many characters of contents are read whole for a page, of those that are too long and no texts: a picture, say.
_WHOLE = 4 * 1024 * 1024
#: How contents begin that are lists of parts.
_PARTS = ("[", '{"parts"')


@dataclass(frozen=True)
class Spoken:
    """A message and what it says.

    Attributes:
        cut: whether there is more.
    """

    row: Any
    parts: list[Part]
    cut: bool

    @property
    def calls(self) -> list[Call]:
        """The calls of tools that it makes."""
        return [part for part in self.parts if isinstance(part, Call)]

    @property
    def results(self) -> list[Result]:
        """The results of calls that it brings."""
        return [part for part in self.parts if isinstance(part, Result)]


def spoken(rows: QuerySet[Any], text: int = TEXT) -> list[Spoken]:
    """What these messages say, in the order of the rows.

    Args:
        text: how much of a content is read that is a text, in characters.
    """
    found = list(previewed(rows.annotate(failed=failed(Message)), lengths={"content": text, "tool_calls": CALLS}))
    read = _read([row for row in found if len(row.preview_content) > text and row.preview_content.startswith(_PARTS)])
    return [_spoken(row, read.get(row.pk), text) for row in found]


def _read(rows: list[Any]) -> dict[Any, str]:
    """All of the contents of these messages, as far as they are not too long."""
    if not rows:
        return {}
    content = whole(type(rows[0])._meta.get_field("content"))
    found = type(rows[0])._default_manager.using(rows[0]._state.db).order_by("seq_num")
    chosen, left = [], _WHOLE
    for pk, size in found.filter(pk__in=[row.pk for row in rows]).values_list("pk", Length(content)):
        if size <= left:
            chosen.append(pk)
            left -= size
    return dict(found.filter(pk__in=chosen).values_list("pk", content))


def _spoken(row: Any, content: str | None, text: int) -> Spoken:
    cut = content is None and len(row.preview_content) > text
    calls = _loads(row.preview_tool_calls)
    message = SimpleNamespace(
        # What somebody says whom no provider knows is theirs, and is not put into words of a user's.
        role=row.role if row.role in ROLES else "user",
        content=readable(row.preview_content[:text], complete=False) if cut else _loads(content or row.preview_content),
        tool_calls=calls if isinstance(calls, list) else None,
        tool_call_id=row.tool_call_id,
        name=row.name,
        seq_num=row.seq_num,
        metadata={},
    )
    return Spoken(row, said(message).parts, cut)


def _loads(text: str) -> Any:
    """A JSON value; what is none, as in a row that was tampered with or a value that was cut off, stays text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
