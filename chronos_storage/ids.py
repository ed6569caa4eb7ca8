"""Identifiers: UUIDv7 (RFC 9562, section 5.7), whose text sorts by the time it was made."""

from __future__ import annotations

import os
import threading
import time
import uuid

from .forks import in_child

_lock = threading.Lock()
_last = 0
#: A random digit with its upper two bits made the variant's, 10.
_VARIANT = {f"{digit:x}": f"{0b1000 | digit & 0b11:x}" for digit in range(16)}


def _begin_anew() -> None:
    global _lock
    _lock = threading.Lock()


in_child(_begin_anew)


def uuid7() -> uuid.UUID:
    """A UUIDv7 that is greater than every one made before it in this process.

    48 bits hold the Unix time in milliseconds, the next 12 its sub-millisecond fraction (RFC 9562, section 6.2,
    method 3), 62 are random. While the clock stands still or goes back, the fraction counts on instead.
    """
    return uuid.UUID(new_id())


def new_id() -> str:
    """The id of a record that came without one: a fresh UUIDv7 (see `uuid7`) in its usual 36 characters."""
    global _last
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    tick = milliseconds << 12 | (nanoseconds << 12) // 1_000_000
    with _lock:
        _last = tick = max(tick, _last + 1)
    when = f"{tick:015x}"
    noise = os.urandom(8).hex()
    variant = _VARIANT[noise[0]]
    return f"{when[:8]}-{when[8:12]}-7{when[12:]}-{variant}{noise[1:4]}-{noise[4:]}"
