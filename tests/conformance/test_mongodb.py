"""The backend over MongoDB keeps the contract, on a real server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from pymongo import MongoClient
from pymongo.collection import Collection

from chronos_storage import Storage, connect
from chronos_storage.testing import StorageConformance
from tests.databases import new_mongodb, require

require("TEST_MONGODB_URL", "MongoDB is not installed")


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[Storage, Collection]]:
    """A storage, and its collection, which is emptied after each test: that is quicker than another for each."""
    with (
        new_mongodb() as (uri, database),
        MongoClient(f"{uri}&w=majority&journal=true") as client,
        closing(connect(uri, database=database, migrate=True)) as storage,
    ):
        yield storage, client[database].storage


class TestMongoStorage(StorageConformance):
    @pytest.fixture
    def storage(self, store):
        storage, collection = store
        yield storage
        collection.delete_many({})

    @pytest.fixture
    def storage_committed(self, storage):
        return storage
