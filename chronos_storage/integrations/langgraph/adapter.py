"""What the saver and the store have in common: a storage over a database of Django's, where they have tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ...async_threads import from_any_thread
from ...async_variants import async_variant
from ...facade.base import in_our_words
from ...facade.storage import Storage
from ...facade.stores import storage as default_storage
from ...transactions import attempt

T = TypeVar("T")


class Adapter:
    """What works on the adapter's tables in the database of a storage.

    Args:
        storage: over a database of Django's; the one with the alias "default" unless given.
    """

    def __init__(self, storage: Storage | None = None) -> None:
        self.storage: Storage = default_storage if storage is None else storage

    @property
    def alias(self) -> str:
        """The alias of the Django database.

        Raises:
            NotSupported: the storage is no database of Django's.
        """
        return self.storage.alias

    def setup(self) -> None:
        """Make the tables or bring them up to date, as ``manage.py migrate`` does for the settings' databases."""
        from_any_thread(self, self.storage.migrate)

    @async_variant(setup)
    def asetup(self) -> Any: ...

    def _run(self, call: Callable[[], T]) -> T:
        """What a call returns, made again while the database is busy, with a connection that is closed some time."""
        return from_any_thread(self, in_our_words, attempt, self.alias, call)
