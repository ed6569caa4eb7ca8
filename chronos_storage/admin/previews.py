"""The start of what may be long, cut off by the database, and all of it for who asks."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.functions import Cast, Left
from django.db.models.query import QuerySet

from ..fields import JSONTextField, MetadataField, TextField
from ..text import visible

JSON_FIELDS = (JSONTextField, MetadataField)
#: How much of a long value a page shows until it is opened, in characters.
LENGTH = 500
_PREFIX = "preview_"
#: The most characters that a cut can leave of an escaped one: of a surrogate pair.
_LONGEST_ESCAPE = 12
#: Escapes in JSON, and those that are better seen than read.
_ESCAPES = re.compile(r"\\(?:u[0-9a-f]{4}|.)")
_WRITTEN = {r"\n": "\n", r"\t": "\t"}
_decoder = json.JSONDecoder()


@dataclass(frozen=True)
class Preview:
    """The start of a text or of a JSON text.

    Attributes:
        complete: whether it is all there is.
    """

    text: str
    complete: bool

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return self.complete and self.text in ("", "null", "{}", "[]")

    @property
    def line(self) -> str:
        """The first words, on one line."""
        words = " ".join(self.text[:300].split())
        return words[:140] + ("…" if len(words) > 140 or not self.complete else "")


def column_of(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    """The field of a column, by its name or as "pk"."""
    field: Any = model._meta.pk if name == "pk" else model._meta.get_field(name)
    found: models.Field[Any, Any] = field
    return found


def large_fields(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The fields whose values may be long."""
    return [field for field in model._meta.concrete_fields if isinstance(field, (*JSON_FIELDS, TextField))]


def whole(field: models.Field[Any, Any]) -> Any:
    """The expression of a field's text as it is stored."""
    return Cast(field.attname, models.TextField()) if isinstance(field, JSON_FIELDS) else models.F(field.attname)


def previewed(
    rows: QuerySet[Any],
    names: Collection[str] | None = None,
    lengths: Mapping[str, int] | None = None,
    kept: Collection[str] = (),
) -> QuerySet[Any]:
    """The rows without what may be long, but with the starts of these of its fields, or of all.

    Args:
        lengths: how much is read of a field, where that is more than is shown.
        kept: the fields that are read whole besides.
    """
    large = large_fields(rows.model)
    starts = {
        _PREFIX + field.attname: Left(whole(field), (lengths or {}).get(field.attname, LENGTH) + 1)
        for field in large
        if names is None or field.attname in names
    }
    found: QuerySet[Any] = rows.defer(*(field.attname for field in large if field.attname not in kept)).annotate(
        **starts
    )
    return found


def shorten(row: Any) -> None:
    """Give the texts of a row that `previewed` gave their starts as values, so that nothing reads all of one."""
    for field in large_fields(type(row)):
        if isinstance(field, TextField) and _PREFIX + field.attname in row.__dict__:
            setattr(row, field.attname, row.__dict__[_PREFIX + field.attname])


def preview(row: Any, name: str) -> Preview:
    """The start of a field of a row that `previewed` gave."""
    text = getattr(row, _PREFIX + name)
    if name == "state" and row.state_size is not None:
        return Preview(visible(_gist(text)), complete=False)
    complete = len(text) <= LENGTH
    is_json = isinstance(row._meta.get_field(name), JSON_FIELDS)
    return Preview(readable(text[:LENGTH], complete) if is_json else visible(text[:LENGTH]), complete)


def _gist(text: str) -> str:
    """What the start of a skeleton's text says of its state: what is in the log is left out."""
    parts: list[str] = []
    at = len("[1,")
    while True:
        try:
            found, at = _decoder.raw_decode(text, at)
        except ValueError:  # the end, or where it was cut
            return "".join(parts) + "…"
        if isinstance(found, str):
            parts.append(found)
        elif isinstance(found, list):
            parts.append("…")
        at += 1


def laid_out(value: Any) -> str:
    """A value of JSON over several lines, in whose texts lines end too: to be looked at, no JSON any more."""
    return _ESCAPES.sub(lambda found: _WRITTEN.get(found[0], found[0]), json.dumps(value, ensure_ascii=False, indent=2))


def readable(text: str, complete: bool = True, *, exactly: bool = False) -> str:
    """A JSON text laid out; a string as what it says. What is no JSON, in a row that was tampered with, stays.

    Args:
        exactly: whether it must still be JSON.
    """
    if complete:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return visible(text)
        if isinstance(value, str):
            return visible(value)
        return visible(json.dumps(value, ensure_ascii=False, indent=2) if exactly else laid_out(value))
    if text.startswith('"'):
        for cut in range(_LONGEST_ESCAPE):
            try:
                return visible(json.loads(text[: len(text) - cut] + '"'))
            except ValueError:
                continue
    return visible(text)
