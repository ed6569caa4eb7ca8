"""Pages of a session's events, which never change: `PAGE` numbers each, from 1, 101 and so on.

A page is kept with the hash before its first event, and so each follows from the one before it. Whether all of them are
what the store has is told by the store's own events after them: the hash of a chain's event covers all before it. So no
page of a session that was removed and made again, or of a chain that somebody has written anew, is ever taken for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from typing import NamedTuple

from ...records import Event
from ..base import Condition, Query
from ..document.serialization import decode, encode
from .cache import Cache, key

PAGE = 100
#: Pages that are asked for at once.
_AT_ONCE = 20


class _Page(NamedTuple):
    """A page as it was kept; the hash before its first event."""

    before: str
    events: list[Event]


def is_long(query: Query[Event]) -> bool:
    """Whether a query is for a run of a session's events, ascending, that may be longer than two pages."""
    fields = [(condition.field, condition.operator) for condition in query.where]
    return (
        fields == [("session_id", "="), ("seq_num", ">")]
        and query.order == ("seq_num",)
        and not query.offset
        and query.after is None
        and query.deleted
        and (query.limit is None or query.limit > 2 * PAGE)
    )


def events(query: Query[Event], select: Callable[[Query[Event]], list[Event]], cache: Cache) -> list[Event]:
    """What a query that `is_long` finds.

    Args:
        select: reads from the store: what comes before the first whole page, and after the last that is kept.
    """
    session, (*_, after) = query.where[0].value, query.where[1]
    limit = query.limit
    found = select(replace(query, limit=min(limit or PAGE, PAGE - after % PAGE)))
    if len(found) < PAGE - after % PAGE:
        return found
    if found[0].seq_num != after + 1:  # what was before it has been purged
        return found + select(_rest(query, found[-1].seq_num, len(found)))
    kept: list[Event] = []
    for page in _following(session, found[-1], cache):
        if limit is not None and len(found) + len(kept) + PAGE > limit:
            break
        kept += page.events
    last = (kept or found)[-1]
    rest = select(_rest(query, last.seq_num - 1, len(found) + len(kept) - 1))
    if not rest or rest[0].hash != last.hash:  # what is kept is of another chain
        kept, last = [], found[-1]
        rest = select(_rest(query, last.seq_num - 1, len(found) - 1))
    if not rest or rest[0].hash != last.hash:  # and what was read first is by now
        return select(query)
    _keep(session, rest, cache)
    return found + kept + rest[1:]


def places(session_id: str, last: int) -> Iterator[str]:
    """The keys of all pages of a session's events, up to a number."""
    return (_place(session_id, start) for start in range(1, last + 1, PAGE))


def forget(events: Iterable[tuple[str, int]], cache: Cache) -> None:
    """Keep no page any more that has one of these events, by session and number."""
    cache.remove({_place(session_id, (seq_num - 1) // PAGE * PAGE + 1) for session_id, seq_num in events})


def _rest(query: Query[Event], after: int, taken: int) -> Query[Event]:
    """What of a query is left after this number, and so many events."""
    where = (query.where[0], Condition("seq_num", ">", after))
    return replace(query, where=where, limit=None if query.limit is None else query.limit - taken)


def _place(session_id: str, start: int) -> str:
    return key("events", session_id, start)


def _following(session_id: str, last: Event, cache: Cache) -> Iterator[_Page]:
    """The pages that are kept, each the next of the one before it; the first begins after this event."""
    while True:
        starts = range(last.seq_num + 1, last.seq_num + 1 + PAGE * _AT_ONCE, PAGE)
        texts = cache.get(_place(session_id, start) for start in starts)
        for start in starts:
            page = _decoded(texts.get(_place(session_id, start)))
            if page is None or page.before != last.hash:
                return
            yield page
            last = page.events[-1]


def _keep(session_id: str, rest: list[Event], cache: Cache) -> None:
    """Keep what pages are whole; the first event is the last of the page before."""
    before = rest[0].hash
    pages = {}
    for _, of_page in groupby(rest[1:], lambda event: (event.seq_num - 1) // PAGE):
        page = list(of_page)
        if len(page) == PAGE:
            pages[_place(session_id, page[0].seq_num)] = "\n".join([before, *map(encode, page)])
        before = page[-1].hash
    cache.set(pages)


def _decoded(text: str | None) -> _Page | None:
    if text is None:
        return None
    before, *bodies = text.split("\n")
    try:
        events = [decode(Event, body) for body in bodies]
    except (ValueError, TypeError, KeyError):  # what somebody else has put there
        return None
    return _Page(before, events) if len(events) == PAGE else None
