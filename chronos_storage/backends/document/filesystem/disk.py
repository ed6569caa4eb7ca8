"""Files and folders: written as a whole, private, never through a symbolic link, and lasting once they are synced."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from ....batches import batches

#: The ending of what is being written.
_UNFINISHED = ".tmp"
#: So many files are open at once, at most.
_AT_ONCE = 100
#: Bytes that are read at once of a file that has grown.
_CHUNK = 1024 * 1024
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Stamp(NamedTuple):
    """What tells a file from what was there before or is written by others: it is set to the nanosecond."""

    mtime: int
    size: int


def stamp_of(status: os.stat_result) -> Stamp:
    """A file's stamp."""
    return Stamp(status.st_mtime_ns, status.st_size)


def make_folder(folder: Path) -> None:
    """A folder, with those above it, that only its owner may look into; it may be there."""
    for each in (*reversed(folder.parents), folder):
        with suppress(FileExistsError):
            each.mkdir(mode=0o700)


def write(path: str, text: str) -> Stamp:
    """Put a text in the place of what is at a path, at once; whoever reads has the one or the other."""
    unfinished = path + _UNFINISHED
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _NO_LINK
    try:
        file = os.open(unfinished, flags, 0o600)
    except FileNotFoundError:
        make_folder(Path(path).parent)
        file = os.open(unfinished, flags, 0o600)
    try:
        try:
            data = memoryview(text.encode())
            while data:
                data = data[os.write(file, data) :]
            now = time.time_ns()
            os.utime(file if os.utime in os.supports_fd else unfinished, ns=(now, now))
            stamp = stamp_of(os.fstat(file))
        finally:
            os.close(file)
        os.replace(unfinished, path)  # noqa: PTH105 - paths are strings here, which is faster
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(unfinished)  # noqa: PTH108
        raise
    return stamp


def read(path: str) -> tuple[str, Stamp] | None:
    """A file's text and stamp; None where there is none.

    Raises:
        UnicodeDecodeError: it is no text.
    """
    try:
        file = os.open(path, os.O_RDONLY | _NO_LINK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        status = os.fstat(file)
        data = os.read(file, status.st_size + 1)
        while len(data) > status.st_size and (more := os.read(file, _CHUNK)):
            data += more
        return data.decode(), stamp_of(status)
    finally:
        os.close(file)


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)  # noqa: PTH108


def folders_of(paths: Iterable[str]) -> set[str]:
    """The folders that these paths, with slashes, lead through."""
    found = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def remove_empty(root: Path, folders: Iterable[str]) -> None:
    """Remove these folders beneath the root, unless something is in them."""
    for folder in sorted(folders, key=len, reverse=True):  # the innermost first
        with suppress(OSError):
            os.rmdir(f"{root}/{folder}")  # noqa: PTH106


def sync(root: Path, paths: Sequence[str]) -> None:
    """Have the disk keep what is at these paths beneath the root, or that nothing is, with the folders on the way."""
    for some in batches(paths, _AT_ONCE):
        with ExitStack() as stack:
            files = [file for path in some if (file := _opened(f"{root}/{path}", stack)) is not None]
            if hasattr(os, "posix_fadvise"):  # which has the disk begin with all of them
                for file in files:
                    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            for file in files:
                os.fsync(file)
    if os.name != "nt":  # where folders can't be opened, and are kept without
        for folder in ("", *folders_of(paths)):
            with ExitStack() as stack, suppress(PermissionError):  # one above ours
                if (file := _opened(f"{root}/{folder}", stack)) is not None:
                    os.fsync(file)


def _opened(path: str, stack: ExitStack) -> int | None:
    """A file, until the end of the stack; None where there is none, or somebody has put a link."""
    try:
        file = os.open(path, (os.O_RDWR if os.name == "nt" else os.O_RDONLY) | _NO_LINK)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    stack.callback(os.close, file)
    return file


def boot() -> str:
    """What names the time since the system was started, during which it forgets nothing; empty where it has no name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def files_in(root: Path, within: Collection[str], suffix: str) -> Iterator[tuple[str, Stamp]]:
    """The paths, with slashes, and stamps of all files beneath these folders of the root whose names end so.

    Files that were never finished are removed. What is hidden is somebody else's.

    Raises:
        OSError: one of them, or a folder, is a symbolic link, which could lead anywhere.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        with suppress(FileNotFoundError), os.scandir(f"{root}/{folder}") as entries:
            for entry in entries:
                if entry.name.startswith(".") or (not folder and entry.name not in within):
                    continue
                if entry.is_symlink():
                    raise OSError(None, "is a symbolic link, where only files and folders may be", entry.path)
                if entry.is_dir():
                    folders.append(f"{folder}{entry.name}/")
                elif entry.name.endswith(suffix):
                    yield folder + entry.name, stamp_of(entry.stat())
                elif entry.name.endswith(suffix + _UNFINISHED):
                    os.unlink(entry.path)  # noqa: PTH108 - it is a string
