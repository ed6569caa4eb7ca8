"""Documents apart from the others of a driver, under keys of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime

from .driver import Document, Driver, Entry, Key, Write


class Apart(Driver):
    """What is under keys, and in partitions, that begin with a name; it remembers those that it has written."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self._name = name
        self._written: dict[Key, None] = {}

    def __repr__(self) -> str:
        return f"{self._driver!r} {self._name}"

    def written(self) -> list[Key]:
        """The keys that were written under, whether or not there still is something."""
        return list(self._written)

    def _within(self, key: Key) -> Key:
        return self._name, *key

    def _inside(self, document: Document) -> Document:
        entries = tuple(Entry(self._within(entry.partition), entry.sort) for entry in document.entries)
        return replace(document, key=self._within(document.key), entries=entries)

    def _outside(self, document: Document) -> Document:
        entries = tuple(Entry(entry.partition[1:], entry.sort) for entry in document.entries)
        return replace(document, key=document.key[1:], entries=entries)

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        found = self._driver.read([self._within(key) for key in keys])
        return {key[1:]: self._outside(document) for key, document in found.items()}

    def recall(self, keys: Iterable[Key]) -> dict[Key, Document]:
        found = self._driver.recall([self._within(key) for key in keys])
        return {key[1:]: self._outside(document) for key, document in found.items()}

    def scan(
        self,
        partition: Key,
        *,
        above: str | None = None,
        below: str | None = None,
        reverse: bool = False,
        limit: int,
        size: int,
    ) -> list[tuple[str, Document]]:
        found = self._driver.scan(
            self._within(partition), above=above, below=below, reverse=reverse, limit=limit, size=size
        )
        return [(place, self._outside(document)) for place, document in found]

    def commit(self, writes: Sequence[Write]) -> bool:
        return self._driver.commit(self._inside_all(writes))

    def commit_with(self, writes: Sequence[Write], last: Callable[[], Sequence[Write]]) -> bool:
        return self._driver.commit_with(self._inside_all(writes), lambda: self._inside_all(last()))

    def _inside_all(self, writes: Sequence[Write]) -> list[Write]:
        inside = []
        for key, was, now in writes:
            before = None if was is None else self._inside(was)
            after = before if now is was else None if now is None else self._inside(now)
            inside.append(Write(self._within(key), before, after))
        self._written.update(dict.fromkeys(write.key for write in writes))
        return inside

    def turn(self, keys: Set[Key], patience: float) -> AbstractContextManager[None]:
        return self._driver.turn({self._within(key) for key in keys}, patience)

    def now(self) -> datetime:
        return self._driver.now()

    def describe(self) -> str:
        return self._driver.describe()

    def prepare(self) -> None:
        self._driver.prepare()

    def close(self) -> None:
        self._driver.close()
