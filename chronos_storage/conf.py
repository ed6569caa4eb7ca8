"""The setting ``CHRONOS_STORAGE``, read when it is needed."""

from __future__ import annotations

import os
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings

NAME = "CHRONOS_STORAGE"
ORM_BACKEND = "chronos_storage.backends.orm.OrmBackend"
VECTOR_BACKEND = "chronos_storage.vectors.stores.database_store"
QUEUE_BACKEND = "chronos_storage.queues.orm.OrmQueue"

#: Connections for the asynchronous calls on an alias, unless something is said.
ASYNC_CONNECTIONS = 8

#: What the setting may hold: each section's name.
SECTIONS = (
    "STORAGES",
    "VECTOR_STORES",
    "QUEUE",
    "API",
    "ADMIN",
    "ARTIFACTS",
    "ANCHORS",
    "REDACT",
    "OBSERVE",
    "RETENTION",
    "LANGGRAPH",
    "ASYNC_CONNECTIONS",
)
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
    #: Whether each look at a session's content is written to the audit log, and how many tokens a session may take
    #: before it is marked.
    "ADMIN": {"AUDIT_VIEWS": bool, "TOKEN_BUDGET": int},
    #: Which of Django's STORAGES has the bytes.
    "ARTIFACTS": {"STORAGE": str},
    #: The file of the private key that signs heads, and which of Django's STORAGES is handed each file of them.
    "ANCHORS": {"KEY": str, "STORAGE": str},
    #: Which label of a namespace of LangGraph's store, from 1 on, is the id of the user whose the items are.
    "LANGGRAPH": {"USER_LABEL": int},
    #: Who is told of the storages' calls; a write is slow from so many milliseconds on.
    "OBSERVE": {"OPENTELEMETRY": bool, "REFUSED_WRITES": bool, "SLOW_WRITES": int},
}


def has_settings() -> bool:
    """Whether there are settings of Django's, which a storage that is no database may lack."""
    return settings.configured or bool(os.environ.get(ENVIRONMENT_VARIABLE))


def configured() -> dict[str, Any]:
    """The whole setting; empty if the project has none, or no settings."""
    found: dict[str, Any] = getattr(settings, NAME, {}) if has_settings() else {}
    return found


def section(name: str) -> dict[str, Any]:
    """One section of the setting; empty if it is not there."""
    found: dict[str, Any] = configured().get(name, {})
    return found


def async_connections(alias: str | None) -> int:
    """How many threads and connections the asynchronous calls on a database alias have, at most."""
    found: Any = configured().get("ASYNC_CONNECTIONS", ASYNC_CONNECTIONS)
    size: int = found.get(alias, ASYNC_CONNECTIONS) if isinstance(found, dict) else found
    return size


def artifact_storage() -> str:
    """The alias in Django's STORAGES of what has the bytes of artifacts."""
    alias: str = section("ARTIFACTS").get("STORAGE", "default")
    return alias


def admin_option(name: str) -> bool:
    """Whether an option of the section ADMIN is on."""
    return section("ADMIN").get(name) is True


def token_budget() -> int | None:
    """How many tokens a session may take before the admin marks it; None where any number will do."""
    found = section("ADMIN").get("TOKEN_BUDGET")
    return found if type(found) is int else None
