"""Backups: all that a store keeps in one file, whose name says when it was written."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.core.files import locks
from django.db import connections

from ..backends.document.filesystem import disk
from ..exceptions import ConfigurationError, InvalidRecord
from ..facade import Storage
from ..records import now
from ..sqlite_files import in_memory
from . import sqlite_copies
from .exporting import export
from .server_tools import server_tools

#: The ending of exports' names.
EXPORT = ".jsonl.gz"
#: A time in a name: to the microsecond, as two of one name would leave only what the second one replaced.
TIME = "%Y%m%dT%H%M%S.%fZ"
_ENDINGS = (sqlite_copies.ENDING, ".pgdump", ".sql.gz", EXPORT)
_LOCK = "lock"


@dataclass
class BackedUp:
    """A backup.

    Attributes:
        name: the file's path.
        by: what wrote it: ``sqlite``, ``pg_dump``, ``mysqldump``, or ``export``.
        size: its bytes; while it is written, as far as it is.
        lacks: what of the store is not in it, a sentence each.
        removed: the paths of older ones that were removed.
    """

    name: str = ""
    by: str = ""
    size: int = 0
    lacks: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types."""
        return {name: value for name, value in asdict(self).items() if name != "problem"}

    def __str__(self) -> str:
        removed = f" Older backups: {len(self.removed):,} removed." if self.removed else ""
        return f"Backup: {self.name or 'not whole yet'}, {self.size / 1e6:,.1f} MB.{removed}"


def backup(
    storage: Storage,
    folder: Path,
    *,
    name: str = "default",
    keep_days: int | None = None,
    progress: Callable[[BackedUp], object] | None = None,
) -> BackedUp:
    """Write all that a store keeps into a new file, as it is at one moment after the call, while others write.

    An SQLite file is copied, and the copy checked. PostgreSQL, MariaDB and MySQL write their whole database by their
    own programs, where these are installed and fit the server. Any other store is exported. What is not whole never
    has the name of a backup.

    Args:
        folder: where the file goes; it is made if need be.
        name: of the store, which the file's name begins with.
        keep_days: backups of this name that are older, by the time in their names, are removed once this one is there.
        progress: called now and then with the report as far as it is. What it raises breaks the backup off.

    Raises:
        InvalidRecord: `keep_days` is negative, or more than there were.
        StoreFailure: the database is damaged, or its program failed.
        DamagedArtifact: in an export, the bytes of an artifact are missing.
    """
    begun = now()
    oldest = None if keep_days is None else _oldest(begun, keep_days)
    folder.mkdir(parents=True, exist_ok=True)
    report = BackedUp()
    path = write(storage, folder / f"{_beginning(name)}{begun:{TIME}}", name, report, progress)
    report.name = str(path)
    if oldest is not None:
        for old, time in backups(folder, name):
            if time < oldest:
                old.unlink(missing_ok=True)
                report.removed.append(str(old))
    return report


def _oldest(begun: datetime, keep_days: int) -> datetime:
    try:
        if keep_days >= 0:
            return begun - timedelta(days=keep_days)
    except OverflowError:
        pass
    raise InvalidRecord("keep_days", f"is {keep_days}; give 0 or more, and not more days than there were")


def backups(folder: Path, name: str = "default") -> list[tuple[Path, datetime]]:
    """The backups of a store in a folder, with their times, the oldest first."""
    pattern = re.compile(
        rf"{re.escape(_beginning(name))}(\d{{8}}T\d{{6}}\.\d{{6}}Z)({'|'.join(map(re.escape, _ENDINGS))})"
    )
    found = []
    for path in folder.iterdir():
        if (match := pattern.fullmatch(path.name)) and path.is_file():
            with suppress(ValueError):  # digits that are no time: it is not ours
                found.append((path, datetime.strptime(match[1], TIME).replace(tzinfo=UTC)))
    return sorted(found, key=lambda each: each[1])


def write(
    storage: Storage,
    path: Path,
    name: str,
    report: BackedUp,
    progress: Callable[[BackedUp], object] | None = None,
) -> Path:
    """Write all that a store keeps into a file that has its name once it is whole, and that nobody else may read.

    Args:
        path: the file's, without the ending, which says how it is written.
        name: of the store, which is part of the name of what is not whole.

    Returns:
        The path.
    """
    with _unfinished(path.parent, name) as inside:
        written = _write(storage, inside / "backup", report, progress)
        whole = path.with_name(path.name + written.name.removeprefix("backup"))
        written.chmod(0o600)
        disk.sync(inside, [written.name])
        report.size = written.stat().st_size  # before it can be an older one of another call's
        written.rename(whole)
    disk.sync(whole.parent, [whole.name])
    return whole


def _write(storage: Storage, path: Path, report: BackedUp, progress: Callable[[BackedUp], object] | None) -> Path:
    def show(size: int) -> None:
        report.size = size
        if progress is not None:
            progress(report)

    alias = storage.backend.using
    tools = None if alias is None else server_tools(alias)
    if alias is not None and connections[alias].vendor == "sqlite" and not in_memory(connections[alias]):
        report.by, written = "sqlite", path.with_name(path.name + sqlite_copies.ENDING)
        sqlite_copies.write(alias, written, show)
    elif tools is not None and tools.dump is not None:
        report.by, written = Path(tools.dump).name, path.with_name(path.name + tools.ending)
        tools.write(written, show)
        tools.check(written)
    else:
        report.by, written = "export", path.with_name(path.name + EXPORT)
        export(storage, written, progress=lambda exported: show(exported.size))
        why = f"{tools.problem}: " if tools is not None else ""
        report.lacks.append(f"{why}only the storage's records are in it, not vectors, the queue, or other tables.")
        return written
    with suppress(ConfigurationError):  # there are no tables yet, and so no artifacts
        if next(storage.scan("artifact"), None) is not None:
            report.lacks.append("The bytes of artifacts are not in it: they are in their file storage.")
    return written


def _beginning(name: str) -> str:
    return f"chronos-{quote(name, safe='')}-"


@contextmanager
def _unfinished(folder: Path, name: str) -> Iterator[Path]:
    """A folder for what is not whole; those of processes that were killed are removed."""
    beginning = f"unfinished-{_beginning(name)}"
    for left in folder.glob(f"{beginning}*/{_LOCK}"):
        with suppress(FileNotFoundError), left.open("rb") as file:  # another one was faster
            if locks.lock(file, locks.LOCK_EX | locks.LOCK_NB):
                shutil.rmtree(left.parent, ignore_errors=True)
    with ExitStack() as stack:
        inside = _locked(folder, beginning, stack)
        stack.callback(shutil.rmtree, inside, ignore_errors=True)
        yield inside


def _locked(folder: Path, beginning: str, stack: ExitStack) -> Path:
    while True:
        inside = Path(tempfile.mkdtemp(prefix=beginning, dir=folder))
        file = stack.enter_context((inside / _LOCK).open("wb"))
        if locks.lock(file, locks.LOCK_EX | locks.LOCK_NB) and inside.exists():
            return inside
        # Another call found it before it was locked, and removes it.
