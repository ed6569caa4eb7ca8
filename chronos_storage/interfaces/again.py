"""Work of several calls that is done again while the database is busy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import connections

from ..compat import in_transaction
from ..exceptions import RetryTransaction
from ..facade import Storage

T = TypeVar("T")

#: Seconds before each further attempt, on average.
_DELAYS = (0.1, 0.5, 2.0)


def again(storage: Storage, work: Callable[[], T]) -> T:
    """Do work that is one transaction, a few times while the database is busy.

    Inside a caller's transaction, which the database may have ended, it is done once.

    Raises:
        RetryTransaction: the database is still busy.
    """
    for delay in (*_DELAYS, None):
        try:
            return work()
        except RetryTransaction:
            alias: str | None = storage.backend.using  # where there are Django's connections
            if delay is None or (alias is not None and in_transaction(connections[alias])):
                raise
        time.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311
    raise AssertionError("the last attempt returns or raises")
