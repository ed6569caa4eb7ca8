"""What another system keeps, as it is to be stored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ..exceptions import InvalidRecord
from ..records import Message, Record, Session
from .lines import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation of another system.

    Attributes:
        place: where it stands, in words.
        session: gives its session, with its id.
        messages: gives its messages, with their ids, from the beginning with each call.
        deleted: whether the system hides it.
    """

    place: str
    session: Callable[[], Session]
    messages: Callable[[], Iterable[Message]]
    deleted: bool = False


class Source(ABC):
    """What another system keeps. What can't be kept here raises `InvalidRecord` when it is asked for."""

    @abstractmethod
    def count(self) -> int:
        """How many conversations there are."""

    @abstractmethod
    def conversations(self) -> Iterator[Conversation]:
        """All conversations, in a fixed order."""

    def others(self) -> Iterator[tuple[str, Callable[[], Record]]]:
        """Containers and images, each after its place."""
        yield from ()


@contextmanager
def within(place: str) -> Iterator[None]:
    """Around what is read at a place: what is wrong with a field there names the place too."""
    try:
        yield
    except InvalidRecord as error:
        raise InvalidRecord(f"{place}.{error.field}", error.problem) from None


def json_of(value: Any, field: str) -> Any:
    """The JSON value that a column holds, as text or as its driver has read it already; None of an empty one."""
    if not isinstance(value, str):
        return value
    if not value:
        return None
    try:
        return parse(value.encode())
    except InvalidRecord as error:
        raise InvalidRecord(field, error.problem) from None
    except UnicodeEncodeError:
        raise InvalidRecord(field, "is not UTF-8") from None
