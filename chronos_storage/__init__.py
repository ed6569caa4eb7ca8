"""The persistence layer for AI agents in Django projects.

`storage` is the store with the alias "default", `storages` all that the settings name, `connect` opens one by its
address. Importing this package loads no model and no optional library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backends.base import Storage as Storage
    from .backends.handler import storage as storage
    from .backends.handler import storages as storages
    from .dsn import connect as connect

__all__ = ["Storage", "connect", "storage", "storages"]

_HOMES = {
    "Storage": ".backends.base",
    "connect": ".dsn",
    "storage": ".backends.handler",
    "storages": ".backends.handler",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
