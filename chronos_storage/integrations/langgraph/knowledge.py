"""What a checkpointer knows of the logs that it last read or wrote, so that it need not look again before it writes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from .channels import Known
from .keys import Where

#: Namespaces that are known, at most.
_MOST = 512


class Knowledge:
    """By thread and namespace; the ones that were used last. It is never taken on trust: a write that builds on it says
    where it takes the log to end, and is refused where that is elsewhere.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], Known] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, where: Where) -> Known | None:
        """What is known, if anything."""
        return self._known.get((where.session_id, where.key))

    def has(self, session_id: str) -> bool:
        """Whether anything is known of the root of a thread: it was there."""
        return (session_id, "") in self._known

    def keep(self, where: Where, known: Known) -> None:
        """Know this from now on."""
        with self._lock:
            self._known[where.session_id, where.key] = known
            self._known.move_to_end((where.session_id, where.key))
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Know nothing of a thread any more."""
        with self._lock:
            for key in [key for key in self._known if key[0] == session_id]:
                del self._known[key]
