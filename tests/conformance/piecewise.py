"""A driver that can do hardly anything at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from chronos_storage.backends.document.driver import Document, Entry, Key, Write
from chronos_storage.backends.document.memory import MemoryDriver
from chronos_storage.backends.document.pieces import InPieces


class PiecewiseDriver(InPieces):
    """Documents of a memory driver, which other such drivers may share as processes share a server.

    Attributes:
        before: called before whatever is done at once.
    """

    most = (2, 2_000)
    piece = (2, 1_000)

    def __init__(self, kept: MemoryDriver | None = None) -> None:
        self.kept = kept or MemoryDriver()
        self.before: Callable[[], object] = lambda: None

    def read_kept(self, keys: Iterable[Key]) -> dict[Key, Document]:
        return self.kept.read(keys)

    def scan_kept(
        self, partition: Key, *, above: str | None, below: str | None, reverse: bool, limit: int, size: int
    ) -> list[tuple[str, Document]]:
        return self.kept.scan(partition, above=above, below=below, reverse=reverse, limit=limit, size=size)

    def commit_at_once(self, writes: Sequence[Write], *, in_turn: bool = True) -> bool:
        self.before()
        with self.kept.transaction():
            places = [entry for write in writes if write.now for entry in write.now.entries]
            changed = {write.key for write in writes}
            return all(self._is_free(entry, changed) for entry in places) and self.kept.commit(writes)

    def _is_free(self, entry: Entry, keys: set[Key]) -> bool:
        """Whether no document has a place, as one may that is marked, but those that are changed too."""
        found = self.kept.scan(entry.partition, below=f"{entry.sort}\x00", reverse=True, limit=1, size=1)
        return all(place != entry.sort or document.key in keys for place, document in found)

    def describe(self) -> str:
        return "a memory, in pieces"

    def prepare(self) -> None:
        self.take_away_marks()

    def close(self) -> None:
        pass
