"""`EventQueue`: the interface of every queue.

As in `Storage`, each method is written once, synchronously, and has an asynchronous variant with the prefix ``a``; only
`stream` is asynchronous from the start. `chronos_storage.testing.EventQueueConformance` has the tests of what each
call means.

A topic is any string; it is there once something is published on it. A cursor is opaque text that sorts, bytewise, in
the order of publishing within its topic, whatever the clock does, and is never given twice. What is no topic,
consumer, cursor or event, or a cursor that the topic has not given yet, is refused with `InvalidRecord`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Collection
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import codec
from ..async_variants import async_variant
from ..exceptions import InvalidRecord, NotSupported
from ..records import QueueEntry

if TYPE_CHECKING:
    from .entries import KeptTopic

Handler = Callable[[QueueEntry], object]


class Lag(NamedTuple):
    """How far behind a consumer is.

    Attributes:
        unread: how many of the topic's entries it has not acknowledged, of those that are kept.
        seen_at: when it was last heard of.
    """

    topic: str
    consumer: str
    unread: int
    seen_at: datetime


#: How long entries are kept.
RETENTION = timedelta(hours=24)
#: How long entries are kept that a live consumer has not acknowledged.
HARD_LIMIT = timedelta(hours=48)
#: A consumer that has acknowledged nothing for so long is not live any more.
SILENCE = timedelta(hours=24)
_LONGEST = timedelta(days=365_000)


def age_of(older_than: object) -> timedelta:
    """An age of entries to clean up, checked and plain; at most a thousand years, as nothing is older."""
    if not isinstance(older_than, timedelta):
        raise InvalidRecord("older_than", f"must be a timedelta, not {type(older_than).__name__}")
    age = timedelta(older_than.days, older_than.seconds, older_than.microseconds)
    if age < timedelta(0):
        raise InvalidRecord("older_than", "must not be negative")
    return min(age, _LONGEST)


def page_size(limit: object) -> int:
    """The limit of a page, checked; one more can be asked for, to see whether there are more."""
    return min(codec.integer(limit, "limit"), codec.MAX_INTEGER - 1)


class EventQueue(ABC):
    """Topics with entries that are kept for a while, in order."""

    @abstractmethod
    def publish(self, topic: str, event: Any, *, user_id: str = "", key: str | None = None) -> str:
        """Store an event, any JSON, at the end of a topic, and wake who waits for it; returns its cursor.

        In a caller's transaction it is part of that: nothing is heard of it before the commit, nor ever after a
        rollback, and until then other publishers of the topic wait. So nothing becomes visible behind a cursor that
        was read already.

        Args:
            key: what a repeat finds it by, 1 to 255 characters: where the topic has an entry of this key with the same
                event and user, nothing is published, and that one's cursor comes back. It is known as long as the entry
                is kept (`cleanup`), and to its topic alone. Without one each call publishes, and once even where a
                connection is lost meanwhile.

        Raises:
            AlreadyExists: the key was given on this topic before, with another event or user.
        """

    @async_variant(publish)
    def apublish(self) -> Any: ...

    @abstractmethod
    def subscribe(self, topic: str, handler: Handler) -> Callable[[], None]:
        """Call `handler` with every entry that is committed from now on, by any process, in order, each once.

        It is called in a thread of the subscription's own. What it raises is logged, and the subscription goes on with
        the next entry. The subscription belongs to this process (a fork does not inherit it) and ends with it: what
        must not be missed is read by `recover` or `stream` from an acknowledged cursor.

        Returns:
            A function that ends the subscription. It waits for a call of the handler that is under way, unless the
            handler itself calls it; afterwards there is none.
        """

    @async_variant(subscribe)
    def asubscribe(self) -> Any: ...

    @abstractmethod
    def stream(self, topic: str, after: str | None = None) -> AsyncGenerator[QueueEntry, None]:
        """The entries after the cursor `after`, or all that are there, and then each new one as it is committed.

        There is no gap and no repeat between the two; ``after=queue.last_cursor(topic)`` gives the new ones only.
        While it waits, and while its reader takes its time, it holds no database connection and at most a page of
        entries. It ends when the queue is closed.

        Raises:
            CursorExpired: while iterating, as `recover`.
        """

    @abstractmethod
    def recover(self, topic: str, after: str | None = None, limit: int | None = 1000) -> list[QueueEntry]:
        """The first entries after the cursor `after`, ascending; without one, from where the topic now begins.

        Raises:
            CursorExpired: retention has removed entries after the cursor.
        """

    @async_variant(recover)
    def arecover(self) -> Any: ...

    def recover_page(self, topic: str, after: str | None = None, limit: int = 1000) -> tuple[list[QueueEntry], bool]:
        """`recover`, and whether there are more entries; where they are large, it gives fewer than `limit`."""
        limit = page_size(limit)
        found = self.recover(topic, after, limit + 1)
        return found[:limit], len(found) > limit

    @async_variant(recover_page)
    def arecover_page(self) -> Any: ...

    @abstractmethod
    def last_cursor(self, topic: str) -> str:
        """The cursor of the newest entry; if nothing was published yet, one that all entries come after."""

    @async_variant(last_cursor)
    def alast_cursor(self) -> Any: ...

    @abstractmethod
    def ack(self, consumer: str, topic: str, cursor: str) -> None:
        """Note that a consumer is done with the topic's entries up to and including this one.

        It never moves back: an earlier cursor than the one acknowledged changes nothing. Each call is a sign of life,
        and the consumer's first one is when the queue first knows of it.
        """

    @async_variant(ack)
    def aack(self) -> Any: ...

    @abstractmethod
    def get_cursor(self, consumer: str, topic: str) -> str | None:
        """The cursor that a consumer has acknowledged, or None."""

    @async_variant(get_cursor)
    def aget_cursor(self) -> Any: ...

    @abstractmethod
    def unread_count(self, consumer: str, topic: str) -> int:
        """How many of the topic's entries come after what the consumer has acknowledged; all, if it has nothing."""

    @async_variant(unread_count)
    def aunread_count(self) -> Any: ...

    def lags(self) -> list[Lag]:
        """How far behind each consumer of a topic that something was published on is, by topic and name.

        Raises:
            NotSupported: this queue can't tell who its consumers are.
        """
        raise NotSupported(f"{type(self).__name__} can't tell who its consumers are")

    @async_variant(lags)
    def alags(self) -> Any: ...

    @abstractmethod
    def cleanup(self, *, older_than: timedelta = RETENTION) -> int:
        """Remove entries that are older; returns how many.

        What a live consumer of the topic has not acknowledged is kept until it is 48 hours old. A consumer that has
        acknowledged nothing for 24 hours is not live.
        """

    @async_variant(cleanup)
    def acleanup(self) -> Any: ...

    def list_user_entries(self, user_id: str) -> list[QueueEntry]:
        """The entries that name a user, which it reads all entries for; by topic, ascending."""
        raise NotSupported("this queue doesn't find what names a user")

    @async_variant(list_user_entries)
    def alist_user_entries(self) -> Any: ...

    def erase_user(self, user_id: str, *, but: Collection[str] = ()) -> int:
        """Empty the entries that name a user: of each the cursor and the time stay; returns how many.

        Their event is null from now on, and their keys are forgotten.

        Args:
            but: topics whose entries stay as they are.
        """
        raise NotSupported("this queue doesn't find what names a user")

    @async_variant(erase_user)
    def aerase_user(self) -> Any: ...

    def erase_topic(self, topic: str) -> int:
        """Remove a topic, with its consumers; returns how many entries it had.

        Cursors that it gave are none any more, and one of the name that is made later begins anew.
        """
        raise NotSupported("this queue can't remove a topic")

    @async_variant(erase_topic)
    def aerase_topic(self) -> Any: ...

    # Copying

    def topics(self) -> list[str]:
        """All topics on which something was published, by name."""
        raise NotSupported(f"{type(self).__name__} can't tell its topics")

    @async_variant(topics)
    def atopics(self) -> Any: ...

    def kept(self, topic: str, after: str | None = None, limit: int = 500) -> KeptTopic:
        """A topic with the first of its entries after a cursor: fewer where they are large."""
        raise NotSupported(f"{type(self).__name__} can't tell what it keeps")

    @async_variant(kept)
    def akept(self) -> Any: ...

    def load(self, kept: KeptTopic) -> int:
        """Store entries as they are, cursors, keys and times included; returns how many were new.

        What comes before the topic's end is passed over. Where the part begins after that, what was there is removed,
        as retention did elsewhere. Consumers never move back.

        Raises:
            InvalidRecord: the first that is new is not the next one.
            AlreadyExists: a key that an earlier entry has.
        """
        raise NotSupported(f"{type(self).__name__} can't load what another kept")

    @async_variant(load)
    def aload(self) -> Any: ...

    @abstractmethod
    def close(self) -> None:
        """End this process's subscriptions and streams, and release connections; again, no change.

        The queue can still be used. Called by a handler, it does not wait for that handler's own call.
        """

    @async_variant(close)
    def aclose(self) -> Any: ...
