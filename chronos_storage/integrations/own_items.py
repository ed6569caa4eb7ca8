"""A framework's own items in a session's messages, read without what else these have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from ..backends.base import Query
from ..facade import Storage
from ..facade.arguments import page_slice, period, required
from ..facade.base import in_our_words
from ..records import Message

T = TypeVar("T")

_FIELDS = ("seq_num", "raw", "format")


def own_items(
    storage: Storage,
    session_id: str,
    its_format: str,
    read: Callable[[Any], T],
    *,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[tuple[int, T]] | None:
    """The items of a session's latest messages, newest first, each with its message's number.

    None where they are not all the framework's own: what others wrote is read from the whole messages.

    Args:
        its_format: what such messages have for theirs.
        read: makes an item of `Message.raw`; raises ValueError where it can't.
    """
    where = (*required(session_id=session_id), *period(since, None))
    query = Query(record=Message, where=where, order=("-seq_num",), fields=_FIELDS, **page_slice(limit, 0))
    found = in_our_words(storage.backend.run, lambda: storage.backend.select(query))
    if any(message.format != its_format for message in found):
        return None
    try:
        return [(message.seq_num, read(message.raw)) for message in found]
    except ValueError:
        return None
