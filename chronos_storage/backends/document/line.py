"""Turns for those whom a conflict sent round again: among many writers of one key some would hardly ever be first."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Set
from contextlib import contextmanager
from itertools import takewhile

from ...forks import PerProcess
from .driver import Key


class _Place:
    def __init__(self, keys: Set[Key]) -> None:
        self.keys = keys


class Line(PerProcess):
    """The threads of this process that wait for a turn at some keys, first come, first served.

    Each waits for all its keys at once, so that no two wait for each other.
    """

    def begin(self) -> None:
        self._moved = threading.Condition()
        self._places: list[_Place] = []

    @contextmanager
    def turn(self, keys: Set[Key], patience: float) -> Iterator[None]:
        """Wait, so many seconds at most, until all who came earlier for one of these keys are done."""
        mine = _Place(keys)

        def is_first() -> bool:
            return all(keys.isdisjoint(place.keys) for place in takewhile(lambda place: place is not mine, places))

        # Those of this process: in a fork that came in between they are others.
        moved, places = self._moved, self._places
        with moved:
            places.append(mine)
        try:
            with moved:
                moved.wait_for(is_first, patience)
            yield
        finally:
            with moved:
                places.remove(mine)
                moved.notify_all()
