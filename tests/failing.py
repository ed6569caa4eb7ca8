"""Statements that fail, of which other threads hear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connections


@contextmanager
def on_failure(alias: str, then: Callable[[], object]) -> Iterator[None]:
    """Within the block, `then` is called for each statement of this thread that the database refuses.

    Who has sent it hears of it afterwards: what `then` waits for has happened before a statement is sent again.
    """

    def wrapper(execute: Any, *arguments: Any) -> Any:
        try:
            return execute(*arguments)
        except DatabaseError:
            then()
            raise

    with connections[alias].execute_wrapper(wrapper):
        yield
