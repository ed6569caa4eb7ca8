"""What belongs to one process: threads, and the locks and lists they share.

A forked child has none of its parent's other threads, and a lock that one of them held just then stays locked for good.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from weakref import WeakSet

_objects: WeakSet[PerProcess] = WeakSet()


def in_child(begin: Callable[[], object]) -> None:
    """Have `begin` called in each forked child, where the platform has forks."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=begin)


class PerProcess(ABC):
    """Something with locks, or threads, of its own. A forked child begins with new ones."""

    def __init__(self) -> None:
        self.begin()
        _objects.add(self)

    @abstractmethod
    def begin(self) -> None:
        """Set up the state, without a thread."""


def _begin_anew() -> None:
    with ExitStack() as stack:  # each begins, whatever becomes of another
        for each in list(_objects):
            stack.callback(each.begin)


in_child(_begin_anew)
