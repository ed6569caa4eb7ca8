"""An item of a provider's as the fields of a record."""

from __future__ import annotations

from typing import Any

from ..codec import MAX_JSON_BYTES, MAX_RECORD_BYTES, MAX_TOKENS, bytes_of, encode, storable
from ..exceptions import InvalidRecord
from .said import as_text


def plain(item: Any, argument: str) -> tuple[dict[str, Any], dict[str, str]]:
    """An item, a dict or a model of a provider's library, as every store accepts it, and what was changed for that."""
    dump = getattr(item, "model_dump", None)
    # What such a model has without having been given it, the provider did not say.
    given = dump(exclude_unset=True) if callable(dump) else item
    if not isinstance(given, dict):
        raise InvalidRecord(argument, f"must be a dict or a model of the provider's, not {type(item).__name__}")
    made = storable(given)
    return made.value, made.changes


def kept(fields: dict[str, Any], raw: dict[str, Any], changes: dict[str, str], form: str) -> dict[str, Any]:
    """The fields of a message that keeps an item in `raw`, where what is filled from a long one leaves room for it."""
    if changes:
        fields["metadata"] = {**fields.get("metadata", {}), "changes": changes}
    content = fields.get("content")
    if isinstance(content, bool | int | float):
        fields["content"] = as_text(content)
    room = min(MAX_JSON_BYTES, (MAX_RECORD_BYTES - bytes_of(encode(raw))) // 2)
    for name in ("content", "tool_calls"):  # which are nested in something of ours, too
        fields[name] = storable(fields.get(name), limit=room).value
    return {**fields, "raw": raw, "format": form}


def counts(usage: Any, **names: str) -> dict[str, int] | None:
    """The counts of a usage by our names, where theirs are counts; None where nothing is reported."""
    if not isinstance(usage, dict):
        return None
    given = {ours: usage.get(theirs) for ours, theirs in names.items()}
    return {name: count for name, count in given.items() if type(count) is int and 0 <= count <= MAX_TOKENS} or None


def short(value: Any) -> str:
    """A value for a string that is indexed, of which a longer one keeps its beginning; empty where it is no string."""
    return value[:255] if isinstance(value, str) else ""
