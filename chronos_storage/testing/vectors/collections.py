"""Collections: made, listed and dropped."""

from __future__ import annotations

import pytest

from ...exceptions import AlreadyExists, NotFound
from ...records import Collection, Embedding
from ...vectors.base import Metric, VectorStore
from .helpers import METRICS, ODD_STRINGS


class CollectionContract:
    @pytest.mark.parametrize("metric", METRICS)
    def test_a_collection_has_its_shape(self, vector_store: VectorStore, metric: Metric) -> None:
        made = vector_store.create_collection("c", 3, metric=metric)
        assert made == Collection(name="c", dimension=3, metric=metric)
        assert vector_store.list_collections() == [made]
        assert vector_store.count("c") == 0

    def test_made_again_with_the_same_shape_nothing_changes(self, vector_store: VectorStore) -> None:
        first = vector_store.create_collection("c", 2)
        vector_store.upsert("c", [Embedding(id="e", vector=[1, 2])])
        assert vector_store.create_collection("c", 2, metric="cosine") == first
        assert vector_store.count("c") == 1

    def test_another_shape_is_refused(self, vector_store: VectorStore) -> None:
        made = vector_store.create_collection("c", 2)
        with pytest.raises(AlreadyExists):
            vector_store.create_collection("c", 3)
        with pytest.raises(AlreadyExists):
            vector_store.create_collection("c", 2, metric="l2")
        assert vector_store.list_collections() == [made]

    def test_dropped_it_is_gone(self, vector_store: VectorStore) -> None:
        for name in ("c", "other"):
            vector_store.create_collection(name, 1)
            vector_store.upsert(name, [Embedding(id="e", vector=[1])])
        assert vector_store.drop_collection("c") is True
        assert vector_store.drop_collection("c") is False
        assert [each.name for each in vector_store.list_collections()] == ["other"]
        assert vector_store.count("other") == 1
        with pytest.raises(NotFound):
            vector_store.search("c", [1])
        vector_store.create_collection("c", 2)
        assert vector_store.count("c") == 0
        assert vector_store.search("c", [1, 1]) == []

    def test_any_name_is_a_name(self, vector_store: VectorStore) -> None:
        for place, name in enumerate(ODD_STRINGS, 1):
            vector_store.create_collection(name, place)
        listed = vector_store.list_collections()
        assert {each.name: each.dimension for each in listed} == {
            name: place for place, name in enumerate(ODD_STRINGS, 1)
        }
        assert [each.name for each in listed] == sorted(ODD_STRINGS)

    def test_collections_of_different_dimensions_do_not_mix(self, vector_store: VectorStore) -> None:
        for dimension in (1, 2, 300):
            vector_store.create_collection(f"{dimension}", dimension)
            vector_store.upsert(f"{dimension}", [Embedding(id=f"of {dimension}", vector=[1.0] * dimension)])
        for dimension in (1, 2, 300):
            assert [each.id for each in vector_store.search(f"{dimension}", [0.5] * dimension)] == [f"of {dimension}"]
