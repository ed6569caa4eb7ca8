"""A document's places, as drivers read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .driver import Entry


def _read_text(text: str) -> Iterator[Entry]:
    return (Entry(tuple(partition), sort) for partition, sort in json.loads(text))


class Entries(Sequence[Entry]):
    """A document's places, which are read where somebody looks: who reads documents doesn't.

    Args:
        text: as the driver has them.
        read: gives them of it; of JSON, unless told.
    """

    __slots__ = ("_found", "_read", "text")

    def __init__(self, text: Any, read: Callable[[Any], Iterable[Entry]] = _read_text) -> None:
        self.text = text
        self._read = read
        self._found: tuple[Entry, ...] | None = None

    def _entries(self) -> tuple[Entry, ...]:
        if self._found is None:
            self._found = tuple(self._read(self.text))
        return self._found

    def __getitem__(self, index: Any) -> Any:
        return self._entries()[index]

    def __len__(self) -> int:
        return len(self._entries())

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries())
