"""The permit that is open on a connection, which `QuerySet.delete` of the append-only models asks for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query import QuerySet


class Permit(Protocol):
    """What the ledger opens."""

    def delete(self, rows: QuerySet[Any]) -> int:
        """Remove these rows; returns how many."""


_open: WeakKeyDictionary[BaseDatabaseWrapper, Permit] = WeakKeyDictionary()


def current_permit(using: str) -> Permit | None:
    """The permit that is open on this connection, or None."""
    return _open.get(connections[using])


@contextmanager
def opened(connection: BaseDatabaseWrapper, permit: Permit) -> Iterator[None]:
    """Within the block the permit is open; the one that was open before is again after it."""
    outer = _open.get(connection)
    _open[connection] = permit
    try:
        yield
    finally:
        if outer is None:
            del _open[connection]
        else:
            _open[connection] = outer
