"""Lines of JSON in files, plain or gzip, one at a time."""

from __future__ import annotations

import codecs
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from ..exceptions import InvalidRecord

#: Longest line that is read, in bytes: many of the largest values that can be stored.
MAX_LINE = 64 * 1024 * 1024

_GZIP = b"\x1f\x8b"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a file.

    Attributes:
        path: the file.
        number: the line's, from 1.
        text: its bytes; empty if it could not be read.
        problem: why it could not be read, or nothing.
        position: how many bytes of the file have been read, as they lie on the disk.
    """

    path: Path
    number: int
    text: bytes
    problem: str
    position: int


def read_lines(path: Path) -> Iterator[Line]:
    """The lines of a file that are not blank."""
    with path.open("rb") as file:
        packed = file.peek(len(_GZIP)).startswith(_GZIP)
        number = 0
        try:
            for text in _split(cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file):
                number += 1
                position = file.tell() if file.seekable() else 0
                if text is None:
                    problem = f"is longer than {MAX_LINE:,} bytes"
                    yield Line(path=path, number=number, text=b"", problem=problem, position=position)
                elif text := text.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").rstrip():
                    yield Line(path=path, number=number, text=text, problem="", position=position)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            problem = f"can't be unpacked, nor what comes after it: {error}"
            yield Line(path=path, number=number + 1, text=b"", problem=problem, position=path.stat().st_size)


def _split(file: BinaryIO) -> Iterator[bytes | None]:
    """Each line with its end; None for one that is too long, of which no more than a chunk is kept at a time."""
    while text := file.readline(MAX_LINE):
        if len(text) < MAX_LINE or text.endswith(b"\n"):
            yield text
            continue
        while text and not text.endswith(b"\n"):
            text = file.readline(_CHUNK)
        yield None


def parse(text: bytes) -> Any:
    """The JSON value of a line, nothing more lenient than RFC 8259.

    Raises:
        InvalidRecord: it is none, or an object in it has a key twice.
    """
    try:
        return _decode(text.decode())
    except UnicodeDecodeError as error:
        raise InvalidRecord("line", f"is not UTF-8 at byte {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise InvalidRecord("line", f"is not JSON at character {error.pos + 1}: {error.msg}") from None
    except RecursionError:
        raise InvalidRecord("line", "is nested too deep") from None
    except InvalidRecord:
        raise
    except ValueError as error:  # Python refuses integers of thousands of digits
        raise InvalidRecord("line", f"holds a number that can't be kept: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise InvalidRecord("line", f"has the key {twice!r} twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRecord("line", f"holds {name}, which is not JSON")


_decode = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant).decode
