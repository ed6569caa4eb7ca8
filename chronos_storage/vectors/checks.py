"""System checks of the vector stores."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register

from ..checks import check_section
from .handler import vector_stores


@register(Tags.compatibility)
def check_numpy(**kwargs: Any) -> list[CheckMessage]:
    if find_spec("numpy"):
        return []
    return [
        Error(
            "chronos_storage.vectors needs NumPy.",
            hint="Install chronos-storage[vectors].",
            id="chronos_vectors.E001",
        )
    ]


@register(Tags.compatibility)
def check_setting(**kwargs: Any) -> list[CheckMessage]:
    return check_section(vector_stores)
