"""Statements that fail, which other threads wait for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections


@contextmanager
def failure_told(alias: str, failed: threading.Event) -> Iterator[None]:
    """Within the block, `failed` is set once the database has refused a statement of this thread."""

    def wrapper(execute: Any, *arguments: Any) -> Any:
        try:
            return execute(*arguments)
        except DatabaseError:
            failed.set()
            raise

    with connections[alias].execute_wrapper(wrapper):
        yield
