"""What the API reads: records that are there for a user, whoever keeps them.

Over a Django database these are rows, read by statements of their own (`found_rows`); over any other store what its
backend finds (`found_records`). Views know neither: they narrow what the access rule gives them, and take pages of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from ..backends.base import Operator
from ..records import TokenUsage

#: Those of a backend; "not" for another value than this one, and "where no session is named" for this value, but of
#: what names a session any; "has" for metadata that have a value behind a path of keys, both of which are the
#: condition's value; and for texts, or JSON as text, that have a text in them.
AnyOperator: TypeAlias = Operator | Literal["not", "where no session is named", "has", "has text", "has JSON text"]


class Condition(NamedTuple):
    """What a record must fulfil to be found.

    Attributes:
        field: the record's field, or ``session.`` and a field of the session it names.
    """

    field: str
    operator: AnyOperator
    value: Any


class Found(ABC):
    """Records of one type."""

    @abstractmethod
    def where(self, *conditions: Condition, kept: bool = False) -> Found:
        """Those of them that fulfil all of these.

        Args:
            kept: whether the same is asked for again and again, but for the values.
        """

    @abstractmethod
    def page(
        self, order: Sequence[str], size: int, after: Mapping[str, Any] | None = None, most: int | None = None
    ) -> tuple[list[Any], bool]:
        """The first records, and whether there are more.

        Args:
            order: fields that are unique together, all ascending, or with a leading "-" all descending.
            size: how many, at most; fewer where they are large, but one at least.
            after: what these fields hold of the record to begin after.
            most: characters after which the page ends, instead of `MAX_PAGE`.
        """

    @abstractmethod
    def one(self) -> Any:
        """The record that there is, or None."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is any."""

    @abstractmethod
    def count(self) -> int:
        """How many there are."""

    @abstractmethod
    def ids(self) -> set[str]:
        """Their ids."""

    @abstractmethod
    def some(self, order: Sequence[str], count: int, *names: str) -> Iterator[tuple[Any, ...]]:
        """What these fields hold of the first so many records."""

    @abstractmethod
    def first(self, ids: Sequence[str]) -> list[Any]:
        """The records of the first of these ids, in their order, up to the one with which they get too large."""

    @abstractmethod
    def usage(self) -> TokenUsage:
        """The tokens of messages, added up."""


def place_of(record: Any, order: Sequence[str]) -> dict[str, Any]:
    """What the fields of an order hold of a record, for `Found.page`."""
    return {name: getattr(record, name) for name in (name.removeprefix("-") for name in order)}
