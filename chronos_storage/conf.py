"""The setting ``CHRONOS_STORAGE``, read when it is needed."""

from __future__ import annotations

from typing import Any

from django.conf import settings

NAME = "CHRONOS_STORAGE"
ORM_BACKEND = "chronos_storage.backends.orm.OrmStorage"
VECTOR_BACKEND = "chronos_storage.vectors.stores.database_store"
QUEUE_BACKEND = "chronos_storage.queues.orm.OrmQueue"

#: What the setting may hold: each section's name.
SECTIONS = ("STORAGES", "VECTOR_STORES", "QUEUE", "API")
#: What the section "API" may hold, each with the type of its value; numbers are at least 1.
API_KEYS: dict[str, type] = {"ACCESS": str, "HEARTBEAT": int, "MAX_BODY": int, "PAGE_SIZE": int}


def configured() -> dict[str, Any]:
    """The whole setting; empty if the project has none."""
    return getattr(settings, NAME, {})


def section(name: str) -> dict[str, Any]:
    """One section of the setting; empty if it is not there."""
    found: dict[str, Any] = configured().get(name, {})
    return found
