"""Identifiers: UUIDv7 (RFC 9562, section 5.7), whose text sorts by the time it was made, and those made of others."""

from __future__ import annotations

import hashlib
import os
import re
import threading
import time
import uuid

from . import codec
from .exceptions import InvalidRecord
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


#: Between the parts of a composite id, and before the characters that it takes the place of.
_JOINT, _ESCAPE = "~", "%"
_ESCAPED = re.compile(f"[\x00{_JOINT}{_ESCAPE}\ud800-\udfff]")


def composite_id(*parts: str) -> str:
    """One id for several strings, which any store accepts: other strings give another id.

    It reads as the parts joined by ``~``, in which ``%``, ``~`` and what no store accepts are escaped as in an address:
    ``composite_id("app", "user:1", "a~b")`` is ``app~user:1~a%7Eb``. Where that is longer than 255 characters it is
    its beginning, ``%~`` and the SHA-256 of all.

    Raises:
        InvalidRecord: there is no part, all there is is one empty string, or a part is no string.
    """
    for part in parts:
        if not isinstance(part, str):
            raise InvalidRecord("parts", f"must be strings, not {type(part).__name__}")
    joined = _JOINT.join(_ESCAPED.sub(_escaped, str.__str__(part)) for part in parts)
    if not joined:
        raise InvalidRecord("parts", "are empty; an id needs something that tells it from others")
    if len(joined) <= codec.MAX_INDEXED:
        return joined
    # No escape begins like that.
    end = f"{_ESCAPE}{_JOINT}{hashlib.sha256(joined.encode()).hexdigest()}"
    return joined[: codec.MAX_INDEXED - len(end)] + end


def _escaped(match: re.Match[str]) -> str:
    return "".join(f"{_ESCAPE}{byte:02X}" for byte in match[0].encode("utf-8", "surrogatepass"))
