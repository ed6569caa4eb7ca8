"""What a store may lack: what it declares is refused before anything is sent, and what it doesn't declare is there."""

from __future__ import annotations

from ...records import Embedding
from ...vectors.base import Capability, VectorStore
from .helpers import ids, needs, numbers


class CapabilityContract:
    def test_statistics(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 3, metric="l2")
        vector_store.upsert("c", [Embedding(vector=each) for each in numbers(5, 3)])
        with needs(vector_store, Capability.STATS):
            found = vector_store.stats("c")
            assert (found.name, found.dimension, found.metric, found.count, found.size) == ("c", 3, "l2", 5, 60)

    def test_recall_is_measured(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 3)
        with needs(vector_store, Capability.RECALL):
            assert vector_store.recall("c") == 1.0
            vector_store.upsert("c", [Embedding(vector=each) for each in numbers(50, 3)])
            assert vector_store.recall("c", top_k=5, sample=10) == 1.0

    def test_an_index_is_built_anew(self, vector_store_committed: VectorStore) -> None:
        store = vector_store_committed
        store.create_collection("c", 3)
        store.upsert("c", [Embedding(id="e", vector=[1, 2, 3])])
        with needs(store, Capability.REINDEX):
            store.reindex("c")
            assert ids(store.search("c", [1, 2, 3])) == ["e"]
