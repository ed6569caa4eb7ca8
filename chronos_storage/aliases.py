"""Database aliases: the host's, and those that `connect` adds for addresses outside the settings."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import connections

from .compat.connections import add_database
from .exceptions import ConfigurationError

_connected: set[str] = set()


def connected_alias(settings: dict[str, Any]) -> str:
    """The database alias of these settings; the same again for the same."""
    key = hashlib.sha256(repr(sorted(settings.items())).encode()).hexdigest()[:16]
    alias = f"chronos_{key}"
    if alias not in connections:
        add_database(alias, settings)
        _connected.add(alias)
    return alias


def is_connected(alias: str) -> bool:
    """Whether a database alias is one that `connect` made, which the host's settings know nothing of."""
    return alias in _connected


def known_alias(using: str) -> str:
    """The database alias, if there is one of this name.

    Raises:
        ConfigurationError: there is none.
    """
    if using not in connections:
        known = ", ".join(alias for alias in connections if not is_connected(alias))
        raise ConfigurationError(f"DATABASES has no {using!r}; it has {known}")
    return using
