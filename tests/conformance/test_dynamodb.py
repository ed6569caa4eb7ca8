"""The backend over DynamoDB keeps the contract, on moto's server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from chronos_storage import Storage
from chronos_storage.backends.document.dynamodb import DynamoBackend
from chronos_storage.backends.document.dynamodb_server import DynamoServer
from chronos_storage.backends.document.dynamodb_table import create
from chronos_storage.testing import StorageConformance
from tests.databases import new_dynamodb, require

require("TEST_DYNAMODB_URL", "moto is not installed")


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[Storage, DynamoServer]]:
    """A storage, and its server; a client takes its time to be made."""
    url, table = new_dynamodb()
    backend = DynamoBackend(url=url, table=table)
    with closing(Storage(backend)) as storage:
        driver: Any = backend.driver
        yield storage, driver.server


class TestDynamoStorage(StorageConformance):
    @pytest.fixture
    def storage(self, store):
        storage, server = store
        _, server.table = new_dynamodb()
        create(server)  # which is all that migrating does here, with fewer requests
        yield storage
        server.ask("delete_table")

    @pytest.fixture
    def storage_committed(self, storage):
        return storage
