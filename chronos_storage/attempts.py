"""What a thread has under way: calls that are made again as a whole where they fail, with all that they call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_state = threading.local()


def under_way() -> set[str]:
    """The database aliases that this thread has an attempt under way on; to be changed by whoever makes one."""
    aliases: set[str] = _state.__dict__.setdefault("aliases", set())
    return aliases


@contextmanager
def nothing_under_way() -> Iterator[None]:
    """Within the block calls are attempts of their own: what is called there is not made again with the outer one."""
    before = under_way()
    _state.aliases = set()
    try:
        yield
    finally:
        _state.aliases = before
