"""Copies of an SQLite file, made while others write to it; each is whole in itself, without a log beside it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from django.db import connections

from ..backends.document.filesystem import disk
from ..compat.connections import settings_of
from ..exceptions import InvalidRecord, StoreFailure
from ..ledger.mapping import SESSIONS
from ..sqlite_files import file_of

ENDING = ".sqlite3"
#: Pages that are copied at a time.
_PAGES = 4096
#: The endings of what stands beside a file that was not closed.
_BESIDE = ("-wal", "-shm", "-journal")


def write(alias: str, path: Path, progress: Callable[[int], object]) -> None:
    """Write a copy, of one moment, of the file of a database alias.

    Args:
        progress: called with the number of bytes so far.

    Raises:
        StoreFailure: the file is damaged.
    """
    try:
        _copy(alias, path, progress)
    except sqlite3.Error as error:
        raise StoreFailure(f"the database {alias!r} can't be copied: {error}") from error
    if problem := _problem(path):
        raise StoreFailure(f"the database {alias!r} is damaged: {problem}")


def _copy(alias: str, path: Path, progress: Callable[[int], object]) -> None:
    settings = settings_of(connections[alias])
    name, patience = str(settings["NAME"]), settings["OPTIONS"].get("timeout", 5)
    address = name if name.startswith("file:") else f"file:{quote(name)}?mode=rw"
    with (
        closing(sqlite3.connect(address, uri=True, timeout=patience, isolation_level=None)) as source,
        closing(sqlite3.connect(path)) as copy,
    ):
        source.execute("BEGIN")  # what is copied is what the first read sees, or each write would have it begin anew
        [(page,)] = source.execute("PRAGMA page_size").fetchall()
        source.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        source.backup(copy, pages=_PAGES, progress=lambda status, left, total: progress((total - left) * page))
        source.execute("ROLLBACK")
        # A file in WAL mode gets a log beside it when somebody just looks at it.
        copy.execute("PRAGMA journal_mode = DELETE")


def check(path: Path) -> bool:
    """See that a file is whole; whether it has this app's tables, as SQLite takes an empty file for a sound one.

    Raises:
        InvalidRecord: it isn't.
    """
    if problem := _problem(path):
        raise InvalidRecord("file", f"{path} is no sound SQLite file: {problem}")
    with closing(_opened(path)) as database:
        found = database.execute(
            "SELECT 1 FROM sqlite_schema WHERE name = ?", (SESSIONS.model._meta.db_table,)
        ).fetchall()
    return bool(found)


def _problem(path: Path) -> str:
    try:
        with closing(_opened(path)) as database:
            found: list[tuple[str]] = database.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.Error as error:
        return str(error)
    return "" if found == [("ok",)] else found[0][0]


def _opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def restore(alias: str, file: Path, aside: str) -> Path | None:
    """Put a copy in the place of the alias's file, which gets another name, as what stands beside it.

    Args:
        aside: the ending of that name.

    Returns:
        The path of what was there; None where nothing was.

    Raises:
        InvalidRecord: the copy is not whole.
        StoreFailure: another process has the file open.
    """
    path = file_of(connections[alias])
    unfinished = path.with_name(f"{path.name}.unfinished")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        if path.exists():
            unfinished.touch(0o600)  # until it may be read by whom the file may
        shutil.copyfile(file, unfinished)
        check(unfinished)
        disk.sync(path.parent, [unfinished.name])
        was_wal = _require_unused(path)
        if path.exists():
            shutil.copymode(path, unfinished)
        if was_wal:
            with closing(sqlite3.connect(unfinished)) as database:
                database.execute("PRAGMA journal_mode = WAL")
            disk.sync(path.parent, [unfinished.name])
        replaced = _put_aside(path, aside)
        unfinished.replace(path)
        disk.sync(path.parent, [path.name])
    finally:
        unfinished.unlink(missing_ok=True)
    return replaced


def _put_aside(path: Path, aside: str) -> Path | None:
    """Give the file another name too, as there is to be one at its path at any time; what is beside it has that alone.

    A log that was left there, even by a file that is gone, would be applied to the one that comes.
    """
    replaced = path.with_name(f"{path.name}.{aside}")
    for ending in _BESIDE:
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(replaced.with_name(replaced.name + ending))
    if not path.exists():
        return None
    try:
        replaced.hardlink_to(path)
    except FileExistsError:
        raise
    except OSError:  # which not every file system has
        path.rename(replaced)
    return replaced


def _require_unused(path: Path) -> bool:
    """See that no process has the file open, as far as SQLite can tell; whether it is in WAL mode."""
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=1)) as database:
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("BEGIN EXCLUSIVE")
            database.execute("ROLLBACK")
            [(mode,)] = database.execute("PRAGMA journal_mode").fetchall()
            return bool(mode == "wal")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StoreFailure(f"{path} is in use: end every process that has it open, and try again") from None
        return False
    except sqlite3.DatabaseError:  # it is damaged, which may be why
        return False
