"""The stores that are compared: in memory, in files, with a cache in front, and on every database of the tests."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import uuid
from typing import Any

from django.conf import settings

from chronos_storage import Storage
from chronos_storage.backends.cached import CachedBackend
from chronos_storage.backends.document import MemoryBackend
from chronos_storage.backends.document.dynamodb import DynamoBackend
from chronos_storage.backends.document.filesystem import FilesystemBackend
from chronos_storage.backends.document.mongodb import MongoBackend
from chronos_storage.backends.document.redis import RedisBackend
from chronos_storage.backends.orm import OrmBackend
from chronos_storage.queues.beside import queue_beside
from chronos_storage.queues.documents import DocumentQueue
from chronos_storage.queues.orm import OrmQueue
from chronos_storage.vectors.base import VectorStore
from chronos_storage.vectors.milvus import MilvusVectorStore
from chronos_storage.vectors.qdrant import QdrantVectorStore
from chronos_storage.vectors.redis import RedisVectorStore
from chronos_storage.vectors.stores import database_store
from tests.comparison.methods import QUEUE, STORAGE, Interface


def documents() -> dict[str, Storage]:
    """New storages over documents, in memory, in files and on every server that the tests have."""
    cached = Storage(CachedBackend(MemoryBackend(), max_staleness=60))
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    found = {"memory": Storage(MemoryBackend()), "cached": cached, "files": Storage(FilesystemBackend(folder))}
    if url := os.environ.get("TEST_REDIS_URL"):
        found["redis"] = Storage(RedisBackend(url=url, base=uuid.uuid4().hex))
    if url := os.environ.get("TEST_MONGODB_URL"):
        found["mongodb"] = Storage(MongoBackend(url, "comparison", uuid.uuid4().hex))
    if url := os.environ.get("TEST_DYNAMODB_URL"):
        found["dynamodb"] = Storage(DynamoBackend(url=url, table=uuid.uuid4().hex))
        found["dynamodb"].migrate()
    for storage in found.values():
        atexit.register(storage.close)
    return found


def stores_of(interface: Interface) -> dict[str, Any]:
    """New stores of this interface, by name; those on databases have what is there."""
    aliases = list(settings.DATABASES)
    if interface is STORAGE:
        return documents() | {name: Storage(OrmBackend(using=name)) for name in aliases}
    if interface is QUEUE:
        others = {name: queue_beside(storage) for name, storage in documents().items()}
        beside = {"documents": DocumentQueue(Storage(MemoryBackend()))}
        return others | beside | {name: OrmQueue(using=name) for name in aliases}
    over_databases = {name: database_store(using=name) for name in aliases if name != "postgres15"}  # without pgvector
    return over_databases | _engines()


def _engines() -> dict[str, VectorStore]:
    """New vector stores over engines, those that the tests have."""
    found: dict[str, VectorStore] = {"qdrant": QdrantVectorStore(path=":memory:")}
    if url := os.environ.get("TEST_REDIS_SEARCH_URL"):
        found["redis"] = RedisVectorStore(url=url, base=uuid.uuid4().hex)
    if url := os.environ.get("TEST_MILVUS_URL"):
        found["milvus"] = MilvusVectorStore(url, prefix=f"t{uuid.uuid4().hex}_")
    return found
