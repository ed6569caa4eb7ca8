"""Hearing of a session's new events: from the queue where they are published on it, else by looking at the ledger."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

from ..ledger.outbox import session_topic
from ..models import Head
from . import outbox
from .handler import queue_handler
from .notifiers import PollingNotifier, Wake
from .readers import Readers

#: Seconds between two looks at the ledger, one for all sessions that are followed.
_INTERVAL = 0.25

#: The threads in which those who follow sessions read.
READERS = Readers()


def watching(using: str, session_ids: list[str], wake: Wake) -> AbstractContextManager[None]:
    """Within the block, have `wake` called when one of the sessions may have new events.

    Args:
        using: the alias of the ledger's database.
        wake: called in any thread; it must return at once.
    """
    if outbox.is_on():
        queue: Any = queue_handler.only
        if outbox.shares_transactions(queue, using):
            topics = [session_topic(session_id) for session_id in session_ids]
            heard: AbstractContextManager[None] = queue.watching(topics, wake)
            return heard
    return poller(using).waiting(session_ids, wake)


@cache
def poller(using: str) -> PollingNotifier:
    """The one that looks at the ledger of a database alias, in this process."""
    return PollingNotifier(partial(_last_numbers, using), _INTERVAL)


def _last_numbers(using: str, session_ids: list[str]) -> dict[str, int]:
    heads = Head.objects.using(using).filter(kind=Head.Kind.EVENT, owner__in=session_ids, namespace="")
    return dict(heads.values_list("owner", "seq_num"))
