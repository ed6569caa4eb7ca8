"""Putting a backup in the place of what a store keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connections

from ..exceptions import InvalidRecord, NotSupported
from ..facade import Storage
from ..records import KINDS, now
from ..sqlite_files import file_of, in_memory
from . import sqlite_copies
from .backing_up import EXPORT, TIME, BackedUp, write
from .dumping import ServerTools
from .importing import load_export
from .server_tools import server_tools
from .verifying import Verified, verify


@dataclass
class Restored:
    """What became of a backup.

    Attributes:
        name: the file's.
        replaced: the path of what the store had before; empty where it had nothing.
        earlier: the path of what it had before another restore, which was killed; empty where none was.
        verified: what the check of all chains found afterwards.
    """

    name: str
    replaced: str = ""
    earlier: str = ""
    verified: Verified = field(default_factory=Verified)

    @property
    def problem(self) -> str:
        """What is wrong; empty if nothing is."""
        return self.verified.problem

    def as_dict(self) -> dict[str, Any]:
        """The same, as JSON's types."""
        return {"name": self.name, "replaced": self.replaced, "earlier": self.earlier, **self.verified.as_dict()}

    def __str__(self) -> str:
        replaced = f" What was there is now {self.replaced}." if self.replaced else ""
        if self.earlier:
            replaced += f" What was there before a restore that was killed is still {self.earlier}."
        return f"Restored: {self.name}.{replaced} {self.verified}"


def replaces(storage: Storage, file: Path) -> bool:
    """Whether there is something that this backup takes the place of: a file, or tables in a server's database."""
    alias = storage.backend.using
    if alias is None or file.name.endswith(EXPORT) or in_memory(connections[alias]):
        return False
    if (tools := server_tools(alias)) is not None:
        return bool(tools.tables())
    path = file_of(connections[alias])
    return path.exists() and path.stat().st_size > 0


def restore(
    storage: Storage, file: Path, *, replace: bool = False, progress: Callable[[Restored], object] | None = None
) -> Restored:
    """Put a backup in the place of what a store keeps, bring its tables up to date, and verify every chain.

    What was there is kept: an SQLite file gets another name, beside it; of a server's database a backup is written
    beside `file` first. An export goes into an empty store alone. End every other process that uses the store before.

    Args:
        replace: whether the store may have something.
        progress: called with the report before the store is changed, and after each chain.

    Raises:
        InvalidRecord: the file is not whole, or of another kind than the store; or the store is not empty.
        NotSupported: a transaction is open.
        StoreFailure: the database is in use, or its program failed.
    """
    report = Restored(str(file))
    if (alias := storage.backend.using) is not None and connections[alias].in_atomic_block:
        raise NotSupported("a backup can't be restored inside a transaction")
    if replaces(storage, file) and not replace:
        raise InvalidRecord("replace", "the store is not empty: say that what it has may be replaced")

    def show(*done: object) -> None:
        if progress is not None:
            progress(report)

    if file.name.endswith(EXPORT):
        storage.migrate()
        if not all(next(storage.scan(kind), None) is None for kind in KINDS):
            raise InvalidRecord(
                "file",
                "is an export, which goes into an empty store: chronos_import adds it to what is there,"
                " and a new database, folder or prefix is empty",
            )
        load_export(storage, file, progress=show)
    else:
        _restore(storage, file, report, show)
        storage.migrate()
    report.verified = verify(storage, progress=lambda verified, verdict: _show(report, verified, show))
    return report


def _show(report: Restored, verified: Verified, show: Callable[[], object]) -> None:
    report.verified = verified
    show()


def _restore(storage: Storage, file: Path, report: Restored, show: Callable[[], object]) -> None:
    alias, aside = storage.backend.using, f"replaced-{now():{TIME}}"
    tools = None if alias is None else server_tools(alias)
    ending = tools.ending if tools else sqlite_copies.ENDING
    if alias is None or not file.name.endswith(ending) or in_memory(connections[alias]):
        raise InvalidRecord("file", f"{file.name} is no backup of such a store, {storage.backend!r}")
    if not (tools or sqlite_copies).check(file):
        raise InvalidRecord("file", f"{file.name} is no backup of a store: it has none of this app's tables")
    if tools is None:
        show()
        storage.close()
        connections[alias].close()
        report.replaced = str(sqlite_copies.restore(alias, file, aside) or "")
    else:
        _replace(storage, tools, file, aside, report, show)


def _replace(
    storage: Storage, tools: ServerTools, file: Path, aside: str, report: Restored, show: Callable[[], object]
) -> None:
    """Put a backup in the place of all that a server's database has, which is in a backup too then."""
    was = tools.put_aside()
    report.earlier = str(was or "")
    if tools.tables():
        if tools.dump is None:
            raise InvalidRecord("file", f"can't take the place of what the database has: {tools.problem}")
        put_aside = file.with_name(f"{aside}-{file.name.removesuffix(tools.ending)}")
        was = write(storage, put_aside, "replaced", BackedUp())
        report.replaced = str(was)
    show()
    try:
        tools.replace(file, was)
    finally:
        storage.close()
