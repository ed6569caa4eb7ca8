"""Several calls as one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from ...async_variants import hop
from ...facade import Storage
from ...transactions import again


async def in_one(storage: Storage, work: Callable[[], None]) -> None:
    """Do what is several calls in one transaction, where the store has any; again while it is busy."""

    def whole() -> None:
        with storage.atomic() if storage.supports_transactions else nullcontext():
            work()

    await hop(storage, again, storage.backend.using, whole)
