"""Several calls as one."""

from __future__ import annotations

from collections.abc import Callable

from ...async_variants import hop
from ...facade import Storage
from ...facade.base import at_once
from ...transactions import again


async def in_one(storage: Storage, work: Callable[[], None]) -> None:
    """Do what is several calls in one transaction, where the store has any; again while it is busy."""

    def whole() -> None:
        with at_once(storage):
            work()

    await hop(storage, again, storage.backend.using, whole)
