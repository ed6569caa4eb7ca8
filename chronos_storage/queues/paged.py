"""What a queue needs to be cleaned up and read by pages, over a store that knows nothing of queues."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from .. import records
from ..records import QueueEntry
from . import entries
from .base import HARD_LIMIT, RETENTION, SILENCE, Lag, age_of, page_size
from .cursors import cursor_of, number_of
from .live import LiveQueue

#: Entries that are read, or removed, at once.
_MANY = 500


class PagedQueue(LiveQueue):
    """A queue whose store gives a topic's entries page by page, and removes the first ones."""

    @abstractmethod
    def _some(self, topic: str, after: int, limit: int) -> list[QueueEntry]:
        """The first entries after a number: fewer where they are large, none only where there is none."""

    @abstractmethod
    def _remove(self, topic: str, through: int) -> int:
        """Remove a topic's entries up to and including a number, a few hundred at most; returns how many."""

    def _entries(self, topic: str, after: int | None, limit: int | None) -> list[QueueEntry]:
        found: list[QueueEntry] = []
        while limit is None or len(found) < limit:
            last = number_of(found[-1].cursor, "cursor") if found else after or 0
            page = self._some(topic, last, _MANY if limit is None else min(_MANY, limit - len(found)))
            if not page:
                break
            found += page
        return found

    def recover_page(self, topic: str, after: str | None = None, limit: int = 1000) -> tuple[list[QueueEntry], bool]:
        limit, topic = page_size(limit), entries.topic_name(topic)
        return self._attempt(
            partial(self._page_after, topic, None if after is None else number_of(after, "after"), limit)
        )

    def _page_after(self, topic: str, after: int | None, limit: int) -> tuple[list[QueueEntry], bool]:
        found = self._some(topic, after or 0, limit) if limit else []
        self._require_kept(topic, after, found)
        last, base = self._head(topic)
        reached = found[-1].cursor if found else cursor_of(max(after or 0, base))
        return found, reached < cursor_of(last)

    def lags(self) -> list[Lag]:
        return [lag for topic in sorted(self._attempt(lambda: list(self._topics()))) for lag in self._lags_of(topic)]

    def _lags_of(self, topic: str) -> list[Lag]:
        found = sorted(self._attempt(lambda: list(self._consumers(topic))))
        last, base = self._attempt(partial(self._head, topic)) if found else (0, 0)
        return [Lag(topic, name, max(last - max(number, base), 0), seen) for name, number, seen in found]

    # Care

    def cleanup(self, *, older_than: timedelta = RETENTION) -> int:
        older_than, now = age_of(older_than), records.now()
        return sum(self._clean(topic, now, older_than) for topic in list(self._attempt(lambda: list(self._topics()))))

    def _clean(self, topic: str, now: datetime, older_than: timedelta) -> int:
        """Remove a topic's entries that are old, and not held back by a live consumer."""
        through, removed = self._attempt(partial(self._end, topic, now, older_than)), 0
        while some := self._attempt(partial(self._remove, topic, through)):
            removed += some
        return removed

    def _end(self, topic: str, now: datetime, older_than: timedelta) -> int:
        """The number of the last entry that goes."""
        through = self._last_before(topic, now - older_than)
        alive = [number for _, number, seen in self._consumers(topic) if seen >= now - SILENCE]
        if alive and min(alive) < through:
            through = max(min(alive), self._last_before(topic, now - max(older_than, HARD_LIMIT)))
        return through

    def _last_before(self, topic: str, timestamp: datetime) -> int:
        """The number of the last entry before the first that is not older."""
        # Asked first, so that what is published meanwhile has a higher number.
        last, base = self._head(topic)
        for entry in self._walk(topic, base):
            if entry.created_at and entry.created_at >= timestamp:
                return min(last, number_of(entry.cursor, "cursor") - 1)
        return last

    def list_user_entries(self, user_id: str) -> list[QueueEntry]:
        return self._attempt(partial(self._of_user, entries.named(user_id, "user_id")))

    def _of_user(self, user_id: str) -> list[QueueEntry]:
        return [entry for topic in sorted(self._topics()) for entry in self._walk(topic, 0) if entry.user_id == user_id]

    def _walk(self, topic: str, after: int) -> Iterator[QueueEntry]:
        while page := self._some(topic, after, _MANY):
            yield from page
            after = number_of(page[-1].cursor, "cursor")
