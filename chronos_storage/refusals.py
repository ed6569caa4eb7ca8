"""Why a write was refused, for which `Storage` has the words."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

from .records import Record


class Reason(Enum):
    """Why nothing was written."""

    #: There is no record of this id.
    MISSING = auto()
    #: The session of this id is soft-deleted.
    DELETED = auto()
    #: The id, or for a memory its natural key, is another record's, given as `stored` where it can be seen.
    TAKEN = auto()
    #: The number is another record's.
    NUMBER_TAKEN = auto()
    #: The writer's token is not the session's, or there is none where the session requires one: both are `stored`.
    STALE = auto()
    #: Another holder keeps the session: its fence is `stored`.
    HELD = auto()
    #: A condition of a patch does not hold for what is `stored`.
    CONDITION = auto()


class Refused(Exception):
    """Nothing was written.

    Attributes:
        record: the type of what was looked for, or is in the way.
        id: its id.
        stored: how it is stored, where that tells more.
    """

    def __init__(self, reason: Reason, record: type[Record], id: str = "", stored: Any = None) -> None:
        super().__init__(reason, record, id)
        self.reason, self.record, self.id, self.stored = reason, record, id, stored
