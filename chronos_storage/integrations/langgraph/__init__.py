"""LangGraph's checkpointer and store over Django's database: a Django app, "chronos_storage.integrations.langgraph".

`ChronosSaver` keeps the checkpoints of graphs and `ChronosStore` their long-term memory. Both need LangGraph, which is
imported with the first use of either; the app's tables and pages do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .saver import ChronosSaver
    from .store import ChronosStore

__all__ = ["ChronosSaver", "ChronosStore"]

_WHERE = {"ChronosSaver": "saver", "ChronosStore": "store"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)
