"""Loading the file that an export is into a store: whole or not at all, and again without doubles."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from ..backends.base import SeriesHead
from ..batches import SIZE
from ..chains.numbering import audit_chain, session_of
from ..exceptions import InvalidRecord
from ..facade import Storage
from ..facade.base import in_our_words
from ..records import KINDS, Artifact, AuditLog, Event, Session, Verdict
from .changed import bring_up, is_later, stored_of
from .checking import check, read
from .exported import KIND_OF, Notes

#: Records that are loaded in one transaction, and the bytes of an artifact that stay in memory.
_BATCH, _IN_MEMORY = 2000, 1 << 20


@dataclass
class Loaded:
    """What became of a file.

    Attributes:
        checked: how many records of each kind the file has, as far as it was gone through.
        counts: how many of these are in the store now, those that were there before too.
        new: how many of them were not there before.
        deleted: the sessions that are soft-deleted here, and not in the file.
        restored: how many of these were brought back.
        chains: how many hash chains were verified.
        broken: the verdicts of those that are not as they were appended.
    """

    checked: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    new: int = 0
    deleted: list[str] = field(default_factory=list)
    restored: int = 0
    chains: int = 0
    broken: list[Verdict] = field(default_factory=list)

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        return "The ledger is not as it was appended." if self.broken else ""

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types."""
        counts = {"checked": dict(self.checked), "counts": dict(self.counts)}
        return vars(self) | counts | {"broken": [asdict(verdict) for verdict in self.broken]}

    def __str__(self) -> str:
        deleted = f", {len(self.deleted):,} deleted here" if self.deleted else ""
        return (
            f"Records: {self.checked.total():,} checked, {self.counts.total():,} loaded, {self.new:,} of them new"
            f"{deleted}. Chains: {self.chains:,} verified, {len(self.broken):,} broken."
        )


def load_export(
    storage: Storage,
    path: Path,
    *,
    restore: bool = False,
    progress: Callable[[Loaded], object] | None = None,
) -> Loaded:
    """Load what `export` wrote, with ids, numbers, times and hashes, after going through the whole file.

    What is stored already stays as it is, but where the file has it as it became later. Broken off, it is called again.

    Args:
        restore: whether sessions that are soft-deleted here, and not in the file, are brought back.
        progress: called after each line with the report as far as it is. What it raises breaks the import off.

    Raises:
        InvalidRecord: the file is not as it was written; the line is named, and nothing was loaded. Or it was
            written to meanwhile, or a chain goes on here in another way than in the file.
        AlreadyExists: a record of the same id says something else here.
    """
    with path.open("rb") as file, closing(Loader(storage, restore, progress)) as loader:
        state = _state_of(file)

        def require_same() -> None:
            if _state_of(file) != state:
                raise InvalidRecord(path.name, "was written to while it was read: import it again")

        for counts in check(file, path):
            loader.report.checked = counts
            loader.show()
        require_same()
        for item in read(file, path):
            require_same()
            loader.take(*item)
        loader.finish()
        return loader.report


def _state_of(file: IO[bytes]) -> tuple[int, int]:
    """What changes with the content of a file."""
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns


class Loader:
    """Loads what an export is made of, line by line, into a store.

    Args:
        restore, progress: as of `load_export`.
    """

    def __init__(self, storage: Storage, restore: bool, progress: Callable[[Loaded], object] | None) -> None:
        self._storage = storage
        self._restore = restore
        self._progress = progress
        self._batch: list[Any] = []
        self._size = 0
        self._touched = Notes()
        self._content = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - it is closed with the object
        self.report = Loaded()

    def close(self) -> None:
        """Forget what is not loaded."""
        self._touched.close()
        self._content.close()

    def take(self, kind: str, value: Any, size: int) -> None:
        """Load what a line says, soon.

        Args:
            value: a record, of a head its line's value, of bytes their SHA-256 and a piece of them.
            size: the line's length.
        """
        if kind in KINDS:
            self._size += size
            self._take(value)
        elif kind == "head":
            self._begin_chain(value[0], SeriesHead(*value[1:]))
        elif kind == "bytes":
            self._content.write(value[1])

    def finish(self) -> None:
        """Load what is left, and verify the chains that something was loaded into."""
        self._load()
        self._verify()

    def is_newer(self, record: Any) -> bool:
        """Whether what is stored under this id was left as it is, as it has changed here since."""
        return self._touched.has(f"newer {KIND_OF[type(record)]}", record.id)

    def show(self) -> None:
        """Tell how far the work is."""
        if self._progress is not None:
            self._progress(self.report)

    def _take(self, record: Any) -> None:
        if isinstance(record, Artifact):
            self._take_content(record)
        elif isinstance(record, Event):
            self._touch("event", record.session_id)
        elif isinstance(record, AuditLog):
            self._touch("audit_log", audit_chain(record.session_id, record.agent_id))
        self._batch.append(record)
        if len(self._batch) >= _BATCH or self._size >= SIZE:
            self._load()

    def _begin_chain(self, kind: str, head: SeriesHead) -> None:
        if head.base_seq:
            self._load()  # its session
            self._storage.backend.set_base(KINDS[kind], head.series, head.base_seq, head.base_hash)

    def _take_content(self, artifact: Artifact) -> None:
        if self._content.tell() or not artifact.size:
            self._content.seek(0)
            self._storage.load_content(self._content, artifact.sha256)
            self._content.seek(0)
            self._content.truncate()

    def _touch(self, kind: str, chain: str) -> None:
        if (kind, chain) != getattr(self, "_chain", None):
            self._chain = kind, chain
            self._touched.add(kind, chain)

    def _load(self) -> None:
        batch, self._batch, self._size = self._batch, [], 0
        known = stored_of(self._storage, batch)
        given = []
        for record in batch:
            stored = known.get((type(record), record.id))
            if stored is not None and is_later(stored, record):
                self._note_newer(record)
            elif stored is not None and is_later(record, stored):
                in_our_words(bring_up, self._storage, stored, record)
            else:
                given.append(record)
        self.report.new += self._storage.load(given)
        self.report.counts.update(KIND_OF[type(record)] for record in batch)
        for record in batch:
            stored = known.get((type(record), record.id))
            if isinstance(stored, Session) and stored.deleted_at is not None and record.deleted_at is None:
                self._note_newer(stored)
                self._note_deleted(stored.id)
        self.show()

    def _note_newer(self, record: Any) -> None:
        self._touched.add(f"newer {KIND_OF[type(record)]}", record.id)

    def _note_deleted(self, id: str) -> None:
        self.report.deleted.append(id)
        if self._restore:
            self._storage.restore_session(id)
            self.report.restored += 1

    def _verify(self) -> None:
        for id in self._touched.all("event"):
            self._note_verdict(self._storage.verify_events(id))
        for chain in self._touched.all("audit_log"):
            if (session_id := session_of(chain)) is not None:
                self._note_verdict(self._storage.verify_audit_logs(session_id))
            else:
                self._note_verdict(self._storage.verify_audit_logs(agent_id=chain.removeprefix("agent:")))

    def _note_verdict(self, verdict: Verdict) -> None:
        self.report.chains += 1
        if not verdict.intact:
            self.report.broken.append(verdict)
        self.show()
