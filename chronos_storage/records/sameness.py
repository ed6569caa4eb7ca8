from __future__ import annotations

import dataclasses
from datetime import datetime
from decimal import Decimal

from .. import codec
from ..exceptions import AlreadyExists
from .base import R
from .usage import TokenUsage

#: What the store numbers and hashes: never part of what a caller wrote.
STORE_FIELDS = frozenset({"seq_num", "hash", "version", "erased"})


def require_same(given: R, stored: R) -> R:
    """`stored`, if it holds what `given` says, in canonical form and leaving out what `given` left empty.

    Raises:
        AlreadyExists: the id is taken by other content; the message names the first field that differs.
    """
    for field in dataclasses.fields(given):  # type: ignore[arg-type]
        new = getattr(given, field.name)
        if field.name in STORE_FIELDS or new in field.metadata["empty"]:
            continue
        old = getattr(stored, field.name)
        if isinstance(new, datetime | TokenUsage | Decimal):
            if new == old:
                continue
        elif codec.canonical(new) == codec.canonical(old):
            continue
        kind = type(given).__name__
        raise AlreadyExists(f"{kind} {getattr(given, 'id', '')!r} is stored already, with another {field.name}")
    return stored
