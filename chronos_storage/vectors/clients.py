"""A client of an engine, whose connections threads share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from ..forks import PerProcess


class _Closeable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closeable)


class SharedClient(PerProcess, Generic[C]):
    """A client that is made with its first use and, once it is closed, with the next; a forked child makes its own.

    Args:
        make: makes one.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        super().__init__()

    def begin(self) -> None:
        self._lock = threading.RLock()
        self._client: C | None = None
        #: How many use each just now.
        self._users: dict[C, int] = {}

    @contextmanager
    def use(self) -> Iterator[C]:
        """A block that uses it, beside others."""
        with self._lock:
            if self._client is None:
                self._client = self._make()
            client = self._client
            self._users[client] = self._users.get(client, 0) + 1
        try:
            yield client
        finally:
            with self._lock:
                self._users[client] -= 1
                is_last = self._users[client] == 0
                if is_last:
                    del self._users[client]
                is_over = is_last and client is not self._client
            if is_over:
                client.close()

    def close(self) -> None:
        """Close it, when nobody uses it any more."""
        with self._lock:
            client, self._client = self._client, None
            is_over = client is not None and client not in self._users
        if client is not None and is_over:
            client.close()
