"""What apps keep beside a storage's records, of persons or for a time: each says how it is found and removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ..facade import Storage


class Further(Protocol):
    """Something that an app keeps in the database of a storage.

    Attributes:
        kind: what it is called in reports and exports.
    """

    kind: str

    def of_user(self, using: str, user_id: str) -> Iterator[tuple[str, Any]]:
        """What is a person's, page by page: the key of each, and what it says, as JSON."""

    def remove(self, using: str, keys: Sequence[str]) -> None:
        """Remove what has these keys."""

    def unknown(self, using: str) -> str:
        """In words, what there is of which it can't tell whose it is; empty where there is none."""

    def expired(self, using: str) -> int:
        """How many have expired and are there still."""

    def sweep(self, using: str) -> int:
        """Remove some that have expired; returns how many, 0 where none is left."""


_registered: list[Further] = []


def register(further: Further) -> None:
    """Have it erased, exported and pruned with the storages' records."""
    _registered.append(further)


def beside(storage: Storage) -> list[tuple[Further, str]]:
    """What is kept beside a storage's records, each with the alias of the database."""
    using = storage.backend.using
    return [] if using is None else [(each, using) for each in _registered]
