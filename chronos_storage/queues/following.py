"""Hearing of a session's new events: from the queue where they are published on it, else by looking at the ledger."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

from ..backends.handler import DEFAULT_ALIAS
from ..chains.numbering import session_topic
from ..facade.stores import storages
from ..ledger.heads import heads_of
from ..models import Head
from . import outbox
from .handler import queue_handler
from .notifiers import PollingNotifier, Wake
from .readers import Readers

#: Seconds between two looks at the ledger, one for all sessions that are followed.
_INTERVAL = 0.25

#: The threads in which those who follow sessions read.
READERS = Readers()


def watching(using: str | None, session_ids: list[str], wake: Wake) -> AbstractContextManager[None]:
    """Within the block, have `wake` called when one of the sessions may have new events.

    Args:
        using: the alias of the ledger's database; None for that of the default storage, which is in none.
        wake: called in any thread; it must return at once.
    """
    if using is not None and outbox.is_on():
        queue: Any = queue_handler.only
        if outbox.shares_transactions(queue, using):
            topics = [session_topic(session_id) for session_id in session_ids]
            heard: AbstractContextManager[None] = queue.watching(topics, wake)
            return heard
    return poller(using).waiting(session_ids, wake)


@cache
def poller(using: str | None) -> PollingNotifier:
    """The one that looks at the ledger of a database alias, or of the default storage, in this process."""
    return PollingNotifier(partial(_last_numbers, using), _INTERVAL)


def _last_numbers(using: str | None, session_ids: list[str]) -> dict[str, int]:
    if using is None:
        return {id: storages[DEFAULT_ALIAS].last_seq(id) for id in session_ids}
    return dict(heads_of(using, Head.Kind.EVENT, session_ids).values_list("series", "seq_num"))
