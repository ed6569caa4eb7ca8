"""Rows of chains that were emptied: what an erasure leaves of a row that stands in the middle of what others share.

The row keeps its number, its hash, its time and whose chain it is in. Of all else its `erased` keeps a digest:

- Where the id stays, which is where it is a UUID and so names nobody, it is the digest of the content, 64 digits. The
  row's hash can still be worked out.
- Another id is replaced, as it may name the person. Then there are 128 digits: the SHA-256 of all that the hash covers
  besides the row's place, and a SHA-256 that ties this, the row's place and its hash to the row before it.
"""

from __future__ import annotations

from copy import copy
from hashlib import sha256
from typing import Any, TypeVar
from uuid import UUID

from ..ids import new_id
from . import hashing
from .numbering import Chained

R = TypeVar("R", bound=Any)


def emptied(series: Chained[R], record: R, document: str, previous: str) -> R:
    """A row as an erasure leaves it.

    Args:
        document: the text of its JSON, as it is stored.
        previous: the hash of the row before it.
    """
    content, found = series.digest(record, document), copy(record)
    for name, blank in series.blank.items():
        setattr(found, name, copy(blank))
    if _names_nobody(record.id):
        found.erased = content.hex()
        return found
    all_of_it = sha256(series.fixed_part(record, document)).hexdigest()
    tie = hashing.tie(previous, record.seq_num, record.hash, all_of_it)
    # One that was not as it was appended is to be found still.
    found.erased = all_of_it + (tie if series.follows(previous, record, document) else hashing.ZERO)
    found.id = new_id()
    return found


def nameless(name: str) -> str:
    """What stands in the audit log for an id, or a chain's name, that an erasure removed: who knows it can tell."""
    return f"sha256:{sha256(name.encode()).hexdigest()}"


def removal_entry(
    session_id: str, purged: list[dict[str, Any]], removed: dict[str, int], *, erasing: bool
) -> dict[str, Any]:
    """What the audit entry of the removal of a session says.

    Args:
        purged: what went of its chains.
        removed: how many records of each kind went.
        erasing: whether no trace of the session's id may stay.
    """
    if not erasing:
        detail = {"reason": "the session was deleted", "chains": purged, "removed": removed}
        return {"action": "session.delete", "resource": session_id, "detail": detail}
    purged = [each | {"chain": nameless(each["chain"])} for each in purged]
    detail = {"reason": "the session was erased", "chains": purged, "removed": removed}
    return {"action": "session.erase", "resource": nameless(session_id), "detail": detail}


def _names_nobody(id: str) -> bool:
    """Whether an id is a UUID, as the store makes them."""
    try:
        return str(UUID(id)) == id
    except ValueError:
        return False
