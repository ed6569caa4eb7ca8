"""Many who write, delete and search at once."""

from __future__ import annotations

from functools import partial

from ...exceptions import NotFound
from ...records import Embedding
from ...vectors.base import VectorStore
from ..conformance.helpers import together
from .helpers import ids, numbers

_THREADS = 8


class ConcurrentVectorContract:
    def test_nothing_is_lost(self, vector_store_committed: VectorStore) -> None:
        store = vector_store_committed
        store.create_collection("c", 8)
        vectors = numbers(200, 8)

        def work(thread: int) -> None:
            for turn in range(5):
                mine = [f"{thread} {turn} {place}" for place in range(10)]
                shared = [f"shared {place}" for place in range(5)]
                order = [*mine, *shared] if thread % 2 else [*reversed(shared), *mine]
                store.upsert(
                    "c",
                    [
                        Embedding(id=id, vector=vectors[place + thread], content="word")
                        for place, id in enumerate(order)
                    ],
                )
                assert store.delete("c", mine[5:]) == 5
                found = ids(store.search("c", vectors[turn], 500))
                assert set(mine[:5]) <= set(found)
                assert len(found) == len(set(found))
                assert ids(store.search("c", vectors[turn], 3, text="word"))

        together(store, *(partial(work, thread) for thread in range(_THREADS)))
        assert store.count("c") == _THREADS * 5 * 5 + 5
        expected = {f"{thread} {turn} {place}" for thread in range(_THREADS) for turn in range(5) for place in range(5)}
        found = ids(store.search("c", vectors[0], 1_000))
        assert sorted(found) == sorted(expected | {f"shared {place}" for place in range(5)})

    def test_a_collection_made_by_many_is_one(self, vector_store_committed: VectorStore) -> None:
        store = vector_store_committed
        made = together(store, *[lambda: store.create_collection("c", 2)] * _THREADS)
        assert made == store.list_collections() * _THREADS

    def test_a_collection_dropped_while_others_write(self, vector_store_committed: VectorStore) -> None:
        store = vector_store_committed
        store.create_collection("c", 2)

        def write(thread: int) -> None:
            for turn in range(20):
                try:
                    store.upsert("c", [Embedding(id=f"{thread} {turn}", vector=[1, 1])])
                except NotFound:
                    return

        together(store, *(partial(write, thread) for thread in range(4)), lambda: store.drop_collection("c") and None)
        assert store.list_collections() == []
        store.create_collection("c", 2)
        assert store.count("c") == 0
