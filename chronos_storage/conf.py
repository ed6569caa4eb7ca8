"""The setting ``CHRONOS_STORAGE``, read when it is needed."""

from __future__ import annotations

from typing import Any

from django.conf import settings

NAME = "CHRONOS_STORAGE"
ORM_BACKEND = "chronos_storage.backends.orm.OrmBackend"
VECTOR_BACKEND = "chronos_storage.vectors.stores.database_store"
QUEUE_BACKEND = "chronos_storage.queues.orm.OrmQueue"

#: Connections for the asynchronous calls on an alias, unless something is said.
ASYNC_CONNECTIONS = 8

#: What the setting may hold: each section's name.
SECTIONS = ("STORAGES", "VECTOR_STORES", "QUEUE", "API", "ADMIN", "ASYNC_CONNECTIONS")
#: What the sections of options may hold, each with the type of its value; numbers are at least 1.
OPTIONS: dict[str, dict[str, type]] = {
    "API": {
        "ACCESS": str,
        "HEARTBEAT": int,
        "MAX_BODY": int,
        "MAX_EXPORTS": int,
        "MAX_STREAMS": int,
        "PAGE_SIZE": int,
        "STALL_TIMEOUT": int,
    },
    #: Whether each look at a session's content is written to the audit log.
    "ADMIN": {"AUDIT_VIEWS": bool},
}


def configured() -> dict[str, Any]:
    """The whole setting; empty if the project has none."""
    return getattr(settings, NAME, {})


def section(name: str) -> dict[str, Any]:
    """One section of the setting; empty if it is not there."""
    found: dict[str, Any] = configured().get(name, {})
    return found


def async_connections(alias: str | None) -> int:
    """How many threads and connections the asynchronous calls on a database alias have, at most."""
    found: Any = configured().get("ASYNC_CONNECTIONS", ASYNC_CONNECTIONS)
    size: int = found.get(alias, ASYNC_CONNECTIONS) if isinstance(found, dict) else found
    return size


def admin_option(name: str) -> bool:
    """Whether an option of the section ADMIN is on."""
    return section("ADMIN").get(name) is True
