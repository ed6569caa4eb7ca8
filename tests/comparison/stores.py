"""The stores that are compared: in memory, and on every database that the tests have."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from chronos_storage import Storage
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.queues.memory import MemoryQueue
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.vectors.stores import database_store
from tests.comparison.methods import QUEUE, STORAGE, Interface


def stores_of(interface: Interface) -> dict[str, Any]:
    """New stores of this interface, by name; those on databases have what is there."""
    aliases = list(settings.DATABASES)
    if interface is STORAGE:
        return {"memory": Storage(MemoryBackend())} | {name: Storage(OrmBackend(using=name)) for name in aliases}
    if interface is QUEUE:
        return {"memory": MemoryQueue()} | {name: OrmQueue(using=name) for name in aliases}
    return {name: database_store(using=name) for name in aliases if name != "postgres15"}  # which has no pgvector
