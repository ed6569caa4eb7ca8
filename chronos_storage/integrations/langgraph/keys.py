"""LangGraph's ids as columns have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ...ids import composite_id


@dataclass(frozen=True)
class Where:
    """A namespace of a thread.

    Attributes:
        thread_id, name: as LangGraph has them.
    """

    thread_id: str
    name: str = ""

    @cached_property
    def session_id(self) -> str:
        """The id of the thread's session: its own, but for what no id may have, and shortened where it is too long."""
        return composite_id(self.thread_id)

    @cached_property
    def key(self) -> str:
        """What the namespace is found by."""
        return key_of(self.name)


def key_of(text: str) -> str:
    """A string of any length as an indexed column has it."""
    return composite_id(text) if text else ""
