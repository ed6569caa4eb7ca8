"""The document backend keeps the contract over Redis."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import closing

import pytest

from chronos_storage import Storage
from chronos_storage.backends.document.redis import RedisBackend
from chronos_storage.testing import StorageConformance
from tests.databases import require

require("TEST_REDIS_URL", "no Redis is found")
URL = os.environ["TEST_REDIS_URL"]


class TestRedisStorage(StorageConformance):
    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        with closing(Storage(RedisBackend(url=URL, base=uuid.uuid4().hex))) as storage:
            storage.migrate()
            yield storage

    @pytest.fixture
    def storage_committed(self, storage: Storage) -> Storage:
        return storage
