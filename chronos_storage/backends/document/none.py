"""The storage that keeps nothing, and says so."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ...exceptions import NotSupported
from .driver import Document, Driver, Key, Write
from .storage import DocumentStorage
from .work import Work

_REFUSAL = "the storage backend is 'none': nothing is kept"


class _NoDriver(Driver):
    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        return {}

    def scan(
        self, partition: Key, *, above: str | None = None, below: str | None = None, reverse: bool = False, limit: int
    ) -> list[tuple[str, Document]]:
        return []

    def commit(self, writes: Sequence[Write]) -> bool:
        raise NotSupported(_REFUSAL)

    def describe(self) -> str:
        return "nothing: the backend is 'none'"

    def prepare(self) -> None:
        """There is nothing to make."""

    def close(self) -> None:
        """There is no connection."""


class NoStorage(DocumentStorage):
    """`Storage` for who wants none: it finds nothing, and every write raises `NotSupported`."""

    def __init__(self) -> None:
        super().__init__(_NoDriver())

    @contextmanager
    def work(self) -> Iterator[Work]:
        raise NotSupported(_REFUSAL)
        yield
