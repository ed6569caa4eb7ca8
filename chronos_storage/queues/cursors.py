"""Cursors: an entry's number within its topic, in hexadecimal digits of one width, so that text sorts as numbers do."""

from __future__ import annotations

import re
from typing import Any

from .. import codec
from ..exceptions import InvalidRecord

_CURSOR = re.compile("[0-7][0-9a-f]{15}")


def cursor_of(number: int) -> str:
    """The cursor of the topic's entry of this number; 0 comes before all."""
    return f"{number:016x}"


def number_of(cursor: Any, field: str) -> int:
    """The number that `cursor_of` made a cursor of."""
    cursor = codec.string(cursor, field)
    if not _CURSOR.fullmatch(cursor):
        raise InvalidRecord(field, "is no cursor of this queue; give one as publish, recover or an entry gives it")
    return int(cursor, 16)
