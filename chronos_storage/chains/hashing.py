"""What each row's hash says.

A row's hash is SHA-256 over a version byte, the hash before it, its number, its chain's name, its id and the digest of
its content. Strings hold no NUL character, so joining them with one is unambiguous.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

#: The hash before a chain's first row.
ZERO = "0" * 64

_VERSION = b"\x01"
#: What a digest begins as: to copy it takes half as long as to have OpenSSL look for the algorithm each time.
_BEGUN = sha256()


def digest(*parts: str) -> bytes:
    """SHA-256 of a row's content, given as its strings, JSON texts and times (see `time_text`) in a fixed order."""
    begun = _BEGUN.copy()
    begun.update("\x00".join(parts).encode())
    return begun.digest()


def time_text(timestamp: datetime) -> str:
    """A time as `digest` takes it: ISO 8601 in UTC, with six digits of microseconds."""
    in_utc = timestamp if timestamp.tzinfo is UTC else timestamp.astimezone(UTC)
    # Python writes them by itself where there are any, and reads the argument longer than it writes.
    return in_utc.isoformat() if in_utc.microsecond else in_utc.isoformat(timespec="microseconds")


def fixed_part(chain: str, id: str, content: bytes) -> bytes:
    """The part of what is hashed that does not depend on the row's place."""
    return b"\x00".join((chain.encode(), id.encode(), content))


def tie(previous: str, seq_num: int, own: str, erased: str) -> str:
    """What ties a row that was emptied, and whose id was replaced, to its place and to the row before it."""
    return sha256(b"\x02" + f"{previous} {seq_num} {own} {erased}".encode()).hexdigest()


def row_hash(previous: str, seq_num: int, fixed: bytes) -> str:
    """The hash, in hexadecimal, of the row with this number that follows the hash `previous`.

    PostgreSQL computes the same in `ledger.postgresql.append_function`.
    """
    return sha256(_VERSION + bytes.fromhex(previous) + seq_num.to_bytes(8, "big") + fixed).hexdigest()
