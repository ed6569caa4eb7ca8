"""What a server's programs do for backups: they write a database into a file, and read it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import connections

from ..compat.connections import settings_of
from ..ledger.mapping import SESSIONS

#: By which this app's backups are told.
TABLE = SESSIONS.model._meta.db_table


class ServerTools(ABC):
    """A database on a server, and the programs for it.

    Attributes:
        ending: of the names of their files.
        dump: the program that writes them, with its path; None where there is none that is fit.
        problem: why there is none.
        lock_seconds: how long the tables of others' open transactions are waited for.
    """

    ending: str
    lock_seconds = 10

    def __init__(self, alias: str) -> None:
        self.connection: Any = connections[alias]
        self.settings: dict[str, Any] = settings_of(self.connection)
        self.dump: str | None = None
        self.problem = ""
        self._find()

    @abstractmethod
    def _find(self) -> None:
        """Find the program."""

    @abstractmethod
    def write(self, path: Path, progress: Callable[[int], object]) -> None:
        """Write all of the database, as it is at one moment.

        Args:
            progress: called with the number of bytes so far.
        """

    @abstractmethod
    def check(self, path: Path) -> bool:
        """See that a file is whole; whether it has this app's tables.

        Raises:
            InvalidRecord: it isn't.
        """

    @abstractmethod
    def tables(self) -> list[tuple[str, str]]:
        """What the database has: each time what it is, and its name, as SQL has them."""

    def put_aside(self) -> Path | None:
        """The file with what the database had before a `replace` that was killed, if one was, and it is still there."""
        return None

    @abstractmethod
    def replace(self, path: Path, was: Path | None) -> None:
        """Put what stands in a file in the place of all that the database has; where that fails, it is as before.

        Args:
            was: what it has, in such a file; None where that is nothing.
        """
