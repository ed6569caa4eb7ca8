"""Identifiers: UUIDv7 (RFC 9562, section 5.7), whose text sorts by the time it was made."""

from __future__ import annotations

import secrets
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """A UUIDv7 that is greater than every one made before it in this process.

    48 bits hold the Unix time in milliseconds, the next 12 its sub-millisecond fraction (RFC 9562, section 6.2,
    method 3), 62 are random. While the clock stands still or goes back, the fraction counts on instead.
    """
    global _last
    now = time.time_ns()
    milliseconds, nanoseconds = divmod(now, 1_000_000)
    tick = milliseconds << 12 | (nanoseconds << 12) // 1_000_000
    with _lock:
        _last = tick = max(tick, _last + 1)
    value = tick >> 12 << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=value)


def new_id() -> str:
    """The id of a record that came without one: a fresh UUIDv7 in its usual 36 characters."""
    return str(uuid7())
