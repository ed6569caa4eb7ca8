"""The queue that belongs beside a storage."""

from __future__ import annotations

from contextlib import suppress

from ..backends.cached import CachedBackend
from ..backends.document import DocumentBackend, MemoryBackend
from ..backends.orm import OrmBackend
from ..exceptions import ConfigurationError
from ..facade import Storage
from ..facade.stores import storages
from .base import EventQueue


def queue_beside(storage: Storage | str = "default") -> EventQueue:
    """A queue that keeps its entries where a storage keeps its records.

    Args:
        storage: the storage, or its alias in the settings.

    Raises:
        ConfigurationError: its backend is one that queues know nothing of.
    """
    storage = storages[storage] if isinstance(storage, str) else storage
    if isinstance(storage.backend, CachedBackend):  # what is published is new to all
        storage = Storage(storage.backend.backend)
    backend = storage.backend
    if isinstance(backend, OrmBackend):
        from .orm import OrmQueue

        return OrmQueue(using=storage.alias)
    if isinstance(backend, MemoryBackend):
        from .memory import MemoryQueue

        return MemoryQueue(backend.name)
    if not isinstance(backend, DocumentBackend):
        raise ConfigurationError(f"a queue needs a database or a store of documents, not {backend!r}")
    with suppress(ImportError):  # without redis-py nobody has such a backend
        from ..backends.document.redis import RedisBackend

        if isinstance(backend, RedisBackend):
            from .redis import RedisQueue

            return RedisQueue(backend=backend)
    from .documents import DocumentQueue

    return DocumentQueue(storage)
