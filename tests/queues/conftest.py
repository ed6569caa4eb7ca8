"""A queue on each database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from chronos_storage.queues.orm import OrmQueue


@pytest.fixture
def event_queue(alias: str) -> Iterator[OrmQueue]:
    """The queue over a database, in a transaction that is rolled back."""
    from chronos_storage.queues.orm import OrmQueue

    queue = OrmQueue(using=alias)
    yield queue
    queue.close()


@pytest.fixture
def event_queue_committed(event_queue: OrmQueue, transactional_db: None) -> Iterator[OrmQueue]:
    """The queue over a database, really committing; the tables are flushed afterwards."""
    yield event_queue
    event_queue.close()
