"""System checks of the vector stores."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections

from ..checks import check_section
from .handler import vector_stores


@register(Tags.compatibility)
def check_libraries(**kwargs: Any) -> list[CheckMessage]:
    needed = {"numpy": "NumPy"}
    if any(connections[alias].vendor == "postgresql" for alias in connections):
        needed["pgvector"] = "pgvector's package for PostgreSQL"
    return [
        Error(
            f"chronos_storage.vectors needs {name}.",
            hint="Install chronos-storage[vectors].",
            id="chronos_vectors.E001",
        )
        for library, name in needed.items()
        if not find_spec(library)
    ]


@register(Tags.compatibility)
def check_setting(**kwargs: Any) -> list[CheckMessage]:
    return check_section(vector_stores)
