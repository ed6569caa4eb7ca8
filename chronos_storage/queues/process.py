"""State that belongs to one process: threads, and the locks and lists they share."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from weakref import WeakSet

_objects: WeakSet[PerProcess] = WeakSet()


class PerProcess(ABC):
    """Something with threads of its own. A forked child has none of them, and begins anew."""

    def __init__(self) -> None:
        self.begin()
        _objects.add(self)

    @abstractmethod
    def begin(self) -> None:
        """Set up the state, without a thread."""


def _begin_anew() -> None:
    for each in list(_objects):
        each.begin()


os.register_at_fork(after_in_child=_begin_anew)
