"""The driver that keeps each document in a file of its own."""

from __future__ import annotations

import atexit
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeVar
from weakref import WeakSet

from ....exceptions import ChronosError, StoreFailure
from ....forks import PerProcess
from ..driver import Document, Driver, Key, Unavailable, Write, up_to_size
from . import disk
from .index import Index, Row, entries_of, key_of, text_of
from .journal import make_last, restore, write_noted
from .layout import SUFFIX, body_of, filed, value_in
from .locks import FileLock
from .rebuilding import take_in_all, take_in_one
from .root import INDEX_FOLDER, absolute, make_folders, mark

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class _Changed(Exception):
    """A file is not as the index says.

    Attributes:
        key: of its document, as text.
    """

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class FilesystemDriver(Driver, PerProcess):
    """Documents as files in a folder, which several processes may share.

    Who commits has the folder's lock, notes what is to be in which files in the index's journal, by one write that the
    disk keeps, and then writes the files. Who is killed in between leaves that to the next who commits. Who reads takes
    no lock: what is noted and not written yet is read from the journal, and whether a file is the one that the index
    means is told by its stamp.

    Args:
        folder: made where it isn't there, once it is first used.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = absolute(folder)
        self._index_file = self.folder / INDEX_FOLDER / "index.db"
        self._lock = FileLock(self.folder / INDEX_FOLDER / "lock")
        self._reader: Index | None = None
        self._writer: Index | None = None
        self._of_parents: list[Index | None] = []
        super().__init__()
        _drivers.add(self)

    def begin(self) -> None:
        # What a parent has open with SQLite must not be closed by its child.
        self._of_parents += [self._reader, self._writer]
        self._reader = self._writer = None
        self._inode = 0
        self._reading = threading.RLock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.folder)!r})"

    def read(self, keys: Iterable[Key]) -> dict[Key, Document]:
        wanted = list(map(text_of, keys))

        def read(index: Index) -> dict[Key, Document]:
            found = [self._document(row) for row in map(index.row, wanted) if row is not None]
            return {document.key: document for document in found}

        return self._read(read)

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
        def scan(index: Index) -> list[tuple[str, Document]]:
            rows = index.rows(text_of(partition), above, below, reverse, limit)
            return up_to_size(((place, self._document(row)) for place, row in rows), size)

        return self._read(scan)

    def commit(self, writes: Sequence[Write]) -> bool:
        changes = [(write.key, write.now) for write in writes if write.now is not write.was]
        files = {document.key: filed(document) for _, document in changes if document is not None}
        with self._writing() as index:
            with index.transaction():
                rows = {write.key: index.row(text_of(write.key)) for write in writes}
                for key, was, _ in writes:
                    row = rows[key]
                    if (row and row.version) != (was and was.version):
                        return False
                if not changes:
                    return True
                version = index.next_version()
                for key, document in changes:
                    if (row := rows[key]) is not None:
                        if row.path is not None and (document is None or files[key][0] != row.path):
                            index.note(row.path, row.key, None)
                        if document is None:
                            index.remove(row)
                for key, document in changes:
                    if document is not None:
                        self._note(index, document, *files[key], version, rows[key])
            try:
                write_noted(index, self.folder)
            except OSError as error:  # it is committed, and whoever reads finds it in the journal
                _logger.warning("what is stored in %s is not in its files yet: %s", self.folder, error)
        return True

    @contextmanager
    def turn(self, keys: Set[Key], patience: float) -> Iterator[None]:
        # The lock itself: nobody else commits until what was read here is committed.
        with ExitStack() as stack:
            with suppress(Unavailable, OSError):
                stack.enter_context(self._lock.held(patience))
            yield

    def describe(self) -> str:
        if not self.folder.exists():
            raise StoreFailure(f"there is no folder {self.folder} yet; it is made by migrate(), or with its first use")
        with self._writing():
            return f"files in {self.folder}, found by SQLite {sqlite3.sqlite_version}"

    def prepare(self) -> None:
        """Make the folder, and bring the index up to all that is in it, whoever put it there."""
        with self._writing() as index:
            take_in_all(index, self.folder)

    def close(self) -> None:
        if self._is_open():
            with self._writing() as index:
                make_last(index, self.folder)
                with self._reading:
                    self._close()

    # Reading

    def _read(self, call: Callable[[Index], T]) -> T:
        """What a call reads, once all files that it looks at are as the index says."""
        with self._failures():
            for _ in range(2):  # as another process may just be writing one
                with self._reading:
                    if self._reader is not None and self._is_open():
                        with suppress(_Changed):
                            return call(self._reader)
        with self._writing() as index:
            while True:
                try:
                    return call(index)
                except _Changed as changed:
                    take_in_one(index, self.folder, changed.key)

    def _document(self, row: Row) -> Document:
        return Document(key_of(row.key), self._body(row), entries_of(row.entries), row.version)

    def _body(self, row: Row) -> str:
        if row.path is None:
            return row.body or ""
        if row.text is not None:
            return body_of(value_in(row.text))
        with suppress(ValueError):  # it is no text, or no JSON
            found = disk.read(f"{self.folder}/{row.path}")
            if found is not None and found[1] == (row.mtime, row.size):
                value = value_in(found[0])
                del found  # as it may be long
                return body_of(value)
        raise _Changed(row.key)

    # Writing

    @contextmanager
    def _writing(self) -> Iterator[Index]:
        """The block in which this thread of this process alone writes; what others left undone is done."""
        with self._failures():
            if not self._is_open():
                make_folders(self.folder)
            with self._lock.held():
                if self._writer is None or not self._is_open():
                    self._open()
                assert self._writer is not None
                write_noted(self._writer, self.folder)
                yield self._writer

    def _note(
        self, index: Index, document: Document, path: str | None, text: str, version: int, was: Row | None
    ) -> None:
        """Note a document, and what is to be in its file."""
        key = text_of(document.key)
        if path is not None:
            if was is None or was.path != path:
                path = self._free(index, path, version)
            index.note(path, key, text)
        body = document.body if path is None else None
        index.put(key, version, text_of(document.entries), path=path, body=body, was=was)

    def _free(self, index: Index, path: str, version: int) -> str:
        """The path, or one like it where somebody has put something there."""
        if index.key_at(path) is None and not os.path.lexists(f"{self.folder}/{path}"):
            return path
        return f"{path.removesuffix(SUFFIX)}~{version}{SUFFIX}"

    # Opening

    def _is_open(self) -> bool:
        """Whether the index is open, and still the one that is there."""
        try:
            return self._reader is not None and self._index_file.stat().st_ino == self._inode
        except OSError:
            return False

    def _open(self) -> None:
        """Open the index, and have it fit the files where the process before has left them."""
        with self._reading:
            self._close()
            try:
                mark(self.folder)
                self._writer = index = Index(self._index_file)
                is_new = index.make()
                if is_new:
                    disk.sync(self.folder, [f"{INDEX_FOLDER}/index.db"])
                self._fit(index, is_new)
                self._reader = Index(self._index_file)
                self._inode = self._index_file.stat().st_ino
            except BaseException:
                self._close()
                raise

    def _fit(self, index: Index, is_new: bool) -> None:
        write_noted(index, self.folder)
        place = folder, boot = self.folder.stat().st_ino, disk.boot()
        was_in, was_since = index.place()
        if was_since != boot or not boot:
            restore(index, self.folder)
        make_last(index, self.folder)
        if is_new or was_in != folder:
            take_in_all(index, self.folder)
        if (was_in, was_since) != place:
            with index.transaction():
                index.set_place(*place)

    def _close(self) -> None:
        for index in (self._reader, self._writer):
            if index is not None:
                index.close()
        self._reader = self._writer = None

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise Unavailable(f"the index of {self.folder} is busy: {error}") from error
            damaged = code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
            advice = "; once it is removed it is made anew from the files" if damaged else ""
            raise StoreFailure(f"the index {self._index_file}: {error}{advice}") from error
        except OSError as error:
            raise StoreFailure(f"{error.filename or self.folder}: {error.strerror}") from error


_drivers: WeakSet[FilesystemDriver] = WeakSet()


@atexit.register
def _close_all() -> None:
    """Have the disk keep the files of a process that ends."""
    for driver in list(_drivers):
        with suppress(ChronosError):
            driver.close()
