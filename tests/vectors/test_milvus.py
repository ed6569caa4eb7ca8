"""The vector store over Milvus keeps the contract, on the server of milvus-lite.

Its client, which imports pandas, is imported by the tests that run and not wherever they are collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from chronos_storage.exceptions import ConfigurationError, NotSupported, StoreFailure
from chronos_storage.records import Embedding
from chronos_storage.testing import VectorStoreConformance
from tests import servers

if TYPE_CHECKING:
    from chronos_storage.vectors.milvus import MilvusVectorStore

needs_server = pytest.mark.skipif(not servers.milvus(), reason="there is no Milvus")


@pytest.fixture
def store() -> Iterator[MilvusVectorStore]:
    from chronos_storage.vectors.milvus import MilvusVectorStore

    store = MilvusVectorStore(servers.milvus() or "", prefix=f"t{uuid4().hex}_")
    yield store
    for each in store.list_collections():
        store.drop_collection(each.name)
    store.close()


@needs_server
class TestMilvus(VectorStoreConformance):
    @pytest.fixture
    def vector_store(self, store: MilvusVectorStore) -> MilvusVectorStore:
        return store

    @pytest.fixture
    def vector_store_committed(self, store: MilvusVectorStore) -> MilvusVectorStore:
        return store


@needs_server
def test_what_is_too_long_is_refused_before_anything_is_sent(store: MilvusVectorStore) -> None:
    store.create_collection("c", 2)
    small, largest = Embedding(id="a", vector=[1, 1]), Embedding(id="b", vector=[1, 1], content="x" * 65_535)
    store.upsert("c", [small, largest])
    assert store.get_many("c", ["a", "b"])[1].content == largest.content
    for wrong in ({"content": "\u00e9" * 32_768}, {"metadata": {"a": "x" * 65_530}}):
        with pytest.raises(NotSupported, match="Milvus keeps at most 65,535"):
            store.upsert("c", [Embedding(id="new", vector=[1, 1]), Embedding(vector=[1, 1], **wrong)])
    assert store.count("c") == 2


def test_a_server_that_is_away_is_said() -> None:
    from chronos_storage.vectors.milvus import MilvusVectorStore

    store = MilvusVectorStore("http://127.0.0.1:1", token="name:secret", timeout=2)
    with pytest.raises(StoreFailure, match=r"^Milvus can't be reached: ") as raised:
        store.list_collections()
    assert "secret" not in f"{raised.value}{store!r}"
    with pytest.raises(ConfigurationError, match=r"^prefix must be of letters"):
        MilvusVectorStore(prefix="a-b")
