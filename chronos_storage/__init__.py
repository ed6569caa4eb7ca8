"""The persistence layer for AI agents in Django projects.

`storage` is the store with the alias "default", `storages` all that the settings name, `connect` opens one by its
address; `vector_store`, `vector_stores` and `connect_vectors` are the same for embeddings; `queue` is the event queue.
Importing this package loads no model and no optional library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backends.base import Backend as Backend
    from .dsn import connect as connect
    from .facade import SessionHandle as SessionHandle
    from .facade import Span as Span
    from .facade import Storage as Storage
    from .facade.stores import storage as storage
    from .facade.stores import storages as storages
    from .queues.base import EventQueue as EventQueue
    from .queues.handler import queue as queue
    from .vectors.addresses import connect_vectors as connect_vectors
    from .vectors.base import VectorStore as VectorStore
    from .vectors.handler import vector_store as vector_store
    from .vectors.handler import vector_stores as vector_stores

__all__ = [
    "Backend",
    "EventQueue",
    "SessionHandle",
    "Span",
    "Storage",
    "VectorStore",
    "connect",
    "connect_vectors",
    "queue",
    "storage",
    "storages",
    "vector_store",
    "vector_stores",
]

_HOMES = {
    "Backend": ".backends.base",
    "SessionHandle": ".facade",
    "Span": ".facade",
    "Storage": ".facade",
    "connect": ".dsn",
    "connect_vectors": ".vectors.addresses",
    "storage": ".facade.stores",
    "storages": ".facade.stores",
    "EventQueue": ".queues.base",
    "queue": ".queues.handler",
    "VectorStore": ".vectors.base",
    "vector_store": ".vectors.handler",
    "vector_stores": ".vectors.handler",
}

if not TYPE_CHECKING:  # or type checkers would take any name for one that is here

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(_HOMES[name], __name__), name)
