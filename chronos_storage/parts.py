"""What is written while it is sent: its pieces, put together to parts that are worth sending."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

#: Bytes after which a part is sent, and that may wait in memory for their reader; what is more waits on the disk.
PART = 64 * 1024


def in_parts(pieces: Iterable[bytes | None]) -> Iterator[bytes | None]:
    """The pieces, several as one; None comes as it is, when it is asked for, and so may be a sign between two."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        if piece is None:
            yield None
            continue
        waiting.append(piece)
        size += len(piece)
        if size >= PART:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)
