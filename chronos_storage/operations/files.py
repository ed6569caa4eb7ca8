"""Files of lines that are written piece by piece: plain, or packed by gzip or zstd, as the name's ending says.

What is packed is a row of members (zstd calls them frames), each of which is whole lines and is unpacked by itself. So
a file whose writer was killed is cut after its last whole member, and another writer goes on from there.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

from ..exceptions import InvalidRecord
from ..extras import require

#: Bytes of lines after which a member ends, and the longest line there is.
_MEMBER, MAX_LINE = 1 << 20, 1 << 29
_GZIP_LEVEL, _ZSTD_LEVEL = 3, 3
_GZIP_WINDOW = 31  # zlib's word for gzip's header and checksum


class Packing(NamedTuple):
    """How a file is packed.

    Attributes:
        packer: gives what packs one member.
        unpacker: gives what unpacks one member.
        error: what that raises.
        chunk: bytes that are unpacked at a time: whatever they are, to no more than some 32 MiB.
    """

    packer: Callable[[], Any]
    unpacker: Callable[[], Any]
    error: type[Exception]
    chunk: int


def packing_of(path: Path) -> Packing | None:
    """How a file of this name is packed; None for not at all.

    Raises:
        ConfigurationError: by zstd, whose library is not installed.
    """
    match path.suffix:
        case ".gz":
            pack = partial(zlib.compressobj, _GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
            return Packing(pack, partial(zlib.decompressobj, _GZIP_WINDOW), zlib.error, 1 << 15)
        case ".zst":
            require("A file that zstd packs", "zstandard")
            import zstandard

            return Packing(
                lambda: zstandard.ZstdCompressor(_ZSTD_LEVEL).compressobj(),
                lambda: zstandard.ZstdDecompressor().decompressobj(),
                zstandard.ZstdError,
                1 << 10,
            )
    return None


class Writer:
    """Appends lines to a file.

    Args:
        file: open for binary writing, at its end.
    """

    def __init__(self, file: IO[bytes], packing: Packing | None) -> None:
        self._file = file
        self._packing = packing
        self._packer: Any = None
        self._size = 0

    def write(self, line: bytes) -> None:
        """Append a line, with its end, or some that belong together."""
        if self._packing is None:
            self._file.write(line)
            return
        if self._packer is None:
            self._packer = self._packing.packer()
        self._file.write(self._packer.compress(line))
        self._size += len(line)

    def may_cut(self) -> None:
        """Say that another writer could go on from here."""
        if self._size >= _MEMBER:
            self._end()

    def close(self) -> None:
        """See that all is on the disk."""
        self._end()
        self._file.flush()
        os.fsync(self._file.fileno())

    def _end(self) -> None:
        if self._packer is not None:
            self._file.write(self._packer.flush())
            self._packer, self._size = None, 0


def read_lines(file: IO[bytes], name: str, packing: Packing | None) -> Iterator[bytes]:
    """The lines of a file from its beginning, each with its end, in flat memory.

    Args:
        name: the file's, for errors.

    Raises:
        InvalidRecord: it ends in the middle of a line, or has one that is longer than any, or is not packed as its name
            says; the line is named.
    """
    file.seek(0)
    number = 0
    lines = iter(partial(file.readline, MAX_LINE), b"") if packing is None else _unpacked_lines(file, packing)
    damage: type[Exception] = EOFError if packing is None else packing.error
    try:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                raise InvalidRecord(f"{name}:{number}", "is cut off: the file is not whole")
            yield line
    except (EOFError, damage) as error:
        raise InvalidRecord(f"{name}:{number + 1}", f"can't be unpacked: the file is not whole ({error})") from None


def _unpacked_lines(file: IO[bytes], packing: Packing) -> Iterator[bytes]:
    pending: list[bytes] = []
    size = 0
    for piece, _ in _pieces(file, packing):
        *whole, rest = piece.split(b"\n")
        for part in whole:
            yield b"".join([*pending, part, b"\n"])
            pending, size = [], 0
        if rest:
            pending.append(rest)
            size += len(rest)
        if size > MAX_LINE:
            break  # which goes for one that is cut off
    if pending:
        yield pending[-1]


def _pieces(file: IO[bytes], packing: Packing) -> Iterator[tuple[bytes, int]]:
    """What is unpacked, each piece with the place in the file where the last whole member ends."""
    end, data = 0, file.read(packing.chunk)
    while data:
        unpacker = packing.unpacker()
        while True:
            piece = unpacker.decompress(data)
            if unpacker.eof:
                break
            yield piece, end
            if not (data := file.read(packing.chunk)):
                raise EOFError("it ends too early")
        data = unpacker.unused_data
        end = file.tell() - len(data)
        yield piece, end
        data = data or file.read(packing.chunk)


def cut_to_whole(file: IO[bytes], packing: Packing | None, is_part: Callable[[bytes], bool]) -> None:
    """Cut a file whose writer was killed after the last place where another one can go on.

    Args:
        is_part: whether a line belongs together with the one that follows.
    """
    file.seek(0)
    end = 0
    if packing is None:
        place = 0
        for line in iter(partial(file.readline, MAX_LINE), b""):
            place += len(line)
            if line.endswith(b"\n") and not is_part(line):
                end = place
    else:
        try:
            for _, end in _pieces(file, packing):  # noqa: B007 - the last one counts
                pass
        except (EOFError, packing.error):
            pass
    file.truncate(end)
    file.seek(end)
