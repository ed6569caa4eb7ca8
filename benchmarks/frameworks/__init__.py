"""The adapters to agent frameworks beside the frameworks' own stores, as far as the frameworks are installed.

``make frameworks`` makes an environment that has all of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from importlib.util import find_spec

from ..databases import Vendor
from ..measure import Figure

#: The modules here, and what each needs.
_SECTIONS = {
    "google_adk": "asyncpg",
    "langchain": "langchain_community",
    "langgraph": "langgraph",
    "openai_agents": "agents",
    "pydantic_ai": "pydantic_ai_harness",
}


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    for name, library in _SECTIONS.items():
        if find_spec(library):
            yield from importlib.import_module(f".{name}", __package__).figures(vendor, quick)
