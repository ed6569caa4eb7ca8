"""The bytes of artifacts, in one of Django's file storages: taken in, kept and read in pieces, never whole."""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from django.core.files import File
from django.core.files.storage import InvalidStorageError, Storage, storages

from . import conf
from .exceptions import ChronosError, ConfigurationError, DamagedArtifact, InvalidRecord, StoreFailure
from .ids import new_id

if TYPE_CHECKING:
    _File = File[bytes]  # which is generic for type checkers alone
else:
    _File = File

#: Bytes that are taken in at once, and of what is taken in that stay in memory.
_PIECE, _IN_MEMORY = 64 * 1024, 1024 * 1024
#: The folder of all folders of stores.
_FOLDER = "chronos_artifacts"


@dataclass(slots=True)
class Content:
    """Bytes that were taken in, and can be read as often as it takes.

    Attributes:
        size: how many.
        sha256: their SHA-256 in hexadecimal.
    """

    file: IO[bytes]
    size: int
    sha256: str


@contextmanager
def taken_in(data: Any) -> Iterator[Content]:
    """Bytes, or what a binary file object has from where it is on; large ones are kept in a temporary file meanwhile.

    Raises:
        InvalidRecord: it is neither.
    """
    if isinstance(data, bytes | bytearray | memoryview):
        data = io.BytesIO(data)
    elif not callable(getattr(data, "read", None)):
        raise InvalidRecord("data", f"must be bytes or a binary file object, not {type(data).__name__}")
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        while True:
            piece = data.read(_PIECE)
            if not isinstance(piece, bytes | bytearray | memoryview):
                raise InvalidRecord("data", 'is no binary file: open it with "rb"')
            if not piece:
                break
            digest.update(piece)
            size += len(piece)
            file.write(piece)
        yield Content(file, size, digest.hexdigest())


def new_folder() -> str:
    """The name of a store's own folder: what is in no other's can be told to be of no use any more."""
    return f"{_FOLDER}/{new_id()}"


def new_name(folder: str, sha256: str) -> str:
    """The name of a file that is to have these bytes; none is given twice, so that none is ever written over."""
    return f"{folder}/{sha256[:2]}/{sha256}-{new_id()}"


def digest_of(name: str) -> str:
    """The SHA-256 in the name of a file; anything where it is another's file."""
    return name.rpartition("/")[2].partition("-")[0]


def save(name: str, content: Content) -> None:
    """Keep bytes under a name of `new_name`.

    Raises:
        StoreFailure: the file storage can't.
    """
    with _translated():
        content.file.seek(0)
        kept = _storage().save(name, _Open(content.file, name))
        if kept != name:
            _storage().delete(kept)
            raise StoreFailure(f"the file storage keeps {name!r} under another name: {kept!r}")


def exists(name: str) -> bool:
    """Whether there is a file of this name."""
    with _translated():
        return _storage().exists(name)


def delete(name: str) -> None:
    """Remove a file; if it is gone already, no change."""
    with _translated(), suppress(FileNotFoundError):
        _storage().delete(name)


def names(folder: str) -> Iterator[list[str]]:
    """The names of all files in a store's folder, some at a time; none where the file storage can't list them."""
    with suppress(NotImplementedError):
        for shard in _listed(folder)[0]:
            yield [f"{folder}/{shard}/{name}" for name in _listed(f"{folder}/{shard}")[1]]


def _listed(folder: str) -> tuple[list[str], list[str]]:
    with _translated(NotImplementedError):
        try:
            return _storage().listdir(folder)
        except FileNotFoundError:
            return [], []


def written_at(name: str) -> datetime | None:
    """When a file was written last, as the file storage says; None if it is gone."""
    with _translated():
        try:
            found = _storage().get_modified_time(name)
        except FileNotFoundError:
            return None
        return found if found.tzinfo is not None else found.astimezone()


def read(name: str, size: int, sha256: str) -> io.BufferedReader:
    """A file, opened.

    Raises:
        DamagedArtifact: it is not there; or, of the file object, it turns out to have other bytes.
    """
    with _translated():
        try:
            file = _storage().open(name, "rb")
        except FileNotFoundError as error:
            raise DamagedArtifact(f"the file {name!r} of an artifact is missing") from error
    return io.BufferedReader(_Verified(file, name, size, sha256), _PIECE)


class _Open(_File):
    """A file that stays open, whoever has read it."""

    def close(self) -> None:
        """It may be read again."""


class _Verified(io.RawIOBase):
    """A file that fails where it does not have the bytes that it should, when it is read from its start to its end."""

    def __init__(self, file: Any, name: str, size: int, sha256: str) -> None:
        self._file, self._name, self._size, self._sha256 = file, name, size, sha256
        self._at = self._hashed = 0
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        with _translated():
            self._file.seek(start + offset)
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        with _translated():
            piece = self._file.read(len(buffer))
        before, self._at = self._at, self._at + len(piece)
        if self._at > self._size or (len(buffer) and not piece and before < self._size):
            raise self._damaged()
        if before == self._hashed:
            self._digest.update(piece)
            self._hashed = self._at
        if self._hashed == self._size and self._digest.hexdigest() != self._sha256:
            raise self._damaged()
        buffer[: len(piece)] = piece
        return len(piece)

    def _damaged(self) -> DamagedArtifact:
        return DamagedArtifact(f"the file {self._name!r} of an artifact does not have the bytes that were stored")

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _storage() -> Storage:
    alias = conf.artifact_storage()
    try:
        return storages[alias]
    except InvalidStorageError as error:
        where = f'{conf.NAME}["ARTIFACTS"]["STORAGE"]'
        raise ConfigurationError(f"{where} names {alias!r}, which can't be used: {error}") from error


@contextmanager
def _translated(*others: type[Exception]) -> Iterator[None]:
    """Around what a file storage does: whatever it raises, but for these, is a failure of the store."""
    try:
        yield
    except Exception as error:  # each storage has errors of its own
        if isinstance(error, (ChronosError, *others)):
            raise
        problem = str(error).partition("\n")[0] or type(error).__name__
        raise StoreFailure(f"the file storage can't do what it was asked: {problem}") from error
