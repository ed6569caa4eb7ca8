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
    return uuid.UUID(new_id())


def new_id() -> str:
    """The id of a record that came without one: a fresh UUIDv7 (see `uuid7`) in its usual 36 characters."""
    global _last
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    tick = milliseconds << 12 | (nanoseconds << 12) // 1_000_000
    with _lock:
        _last = tick = max(tick, _last + 1)
    time_and_version = f"{tick >> 12:012x}7{tick & 0xFFF:03x}"
    variant_and_random = f"{0b10 << 62 | secrets.randbits(62):016x}"
    return (
        f"{time_and_version[:8]}-{time_and_version[8:12]}-{time_and_version[12:]}-"
        f"{variant_and_random[:4]}-{variant_and_random[4:]}"
    )
