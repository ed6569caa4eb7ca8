"""Searches: by vector, and by vector and words."""

from __future__ import annotations

from typing import Any

import pytest

from ...exceptions import InvalidRecord
from ...records import Embedding, SearchResult
from ...vectors.base import Metric, VectorStore
from .helpers import METRICS, ids, numbers, similarity


class SearchContract:
    @pytest.mark.parametrize("metric", METRICS)
    def test_the_score_is_a_similarity(self, vector_store: VectorStore, metric: Metric) -> None:
        """Against: vector scores with the sign turned."""
        vector_store.create_collection("c", 24, metric=metric)
        stored = vector_store.upsert(
            "c", [Embedding(id=f"{place:03}", vector=vector) for place, vector in enumerate(numbers(200, 24))]
        )
        for query in numbers(5, 24, seed=1):
            expected = sorted(stored, key=lambda each: -similarity(metric, query, each.vector))[:10]
            results = vector_store.search("c", query, include_vectors=True)
            assert ids(results) == ids(expected)
            assert not any(each.vector for each in vector_store.search("c", query))
            for result, one in zip(results, expected, strict=True):
                assert result.score == pytest.approx(similarity(metric, query, one.vector), abs=1e-5)
                assert (result.vector, result.content) == (one.vector, one.content)

    def test_the_scores_of_known_vectors(self, vector_store: VectorStore) -> None:
        scores = {}
        for metric in METRICS:
            vector_store.create_collection(metric, 2, metric=metric)
            vector_store.upsert(metric, [Embedding(id=id, vector=vector) for id, vector in _COMPASS.items()])
            scores[metric] = {each.id: round(each.score, 6) for each in vector_store.search(metric, [2, 0])}
        assert scores == {
            "cosine": {"east": 1.0, "north": 0.0, "west": -1.0},
            "inner_product": {"east": 2.0, "north": 0.0, "west": -6.0},
            "l2": {"east": 0.5, "north": round(1 / (1 + 5**0.5), 6), "west": round(1 / 6, 6)},
        }

    @pytest.mark.parametrize("metric", METRICS)
    def test_near_duplicates_are_told_apart(self, vector_store: VectorStore, metric: Metric) -> None:
        """Against: an order that float32 is too coarse for, so that a stored vector is not its own nearest."""
        [base] = numbers(1, 96)
        noise = numbers(120, 96, seed=1)
        vectors = [[number + 1e-5 * other for number, other in zip(base, each, strict=True)] for each in noise]
        vector_store.create_collection("c", 96, metric=metric)
        stored = vector_store.upsert("c", [Embedding(id=f"{n:03}", vector=each) for n, each in enumerate(vectors)])
        for query in stored[::10]:
            expected = sorted(stored, key=lambda each: -similarity(metric, query.vector, each.vector))
            results = vector_store.search("c", query.vector, 5)
            assert ids(results) == ids(expected[:5])
            if metric != "inner_product":
                assert (results[0].id, results[0].score) == (query.id, 1.0)

    def test_small_inner_products_are_told_apart(self, vector_store: VectorStore) -> None:
        """Against: a distance of 1 less the product, of which float32 keeps nothing."""
        vectors = [[1e-8 * number for number in each] for each in numbers(60, 8)]
        vector_store.create_collection("c", 8, metric="inner_product")
        stored = vector_store.upsert("c", [Embedding(id=f"{n:02}", vector=each) for n, each in enumerate(vectors)])
        for query in (stored[0].vector, [1e18, *[0.0] * 7]):
            expected = sorted(stored, key=lambda each: -similarity("inner_product", query, each.vector))
            assert ids(vector_store.search("c", query, 5)) == ids(expected[:5])
        assert ids(vector_store.search("c", [0.0] * 8, 2)) == ["00", "01"]

    @pytest.mark.parametrize("metric", METRICS)
    def test_duplicates_come_by_id(self, vector_store: VectorStore, metric: Metric) -> None:
        vectors = numbers(3, 33)
        vector_store.create_collection("c", 33, metric=metric)
        given = [Embedding(id=f"{place % 50:02}-{place // 50}", vector=vectors[place // 50]) for place in range(149)]
        vector_store.upsert("c", given)
        for place, query in enumerate(vectors):
            results = vector_store.search("c", query, 149)
            assert ids(results) == [each.id for each in sorted(results, key=lambda each: (-each.score, each.id))]
            for top_k in (1, 7, 49):
                assert ids(vector_store.search("c", query, top_k)) == [f"{n:02}-{place}" for n in range(top_k)]

    def test_ties_are_broken_by_id(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1, metric="l2")
        vector_store.upsert("c", [Embedding(id=id, vector=[1]) for id in ["b", "a", "B", "\u00e9", "0"]])
        assert ids(vector_store.search("c", [1])) == ["0", "B", "a", "b", "\u00e9"]

    def test_top_k(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1, metric="l2")
        vector_store.upsert("c", [Embedding(id=f"{place:04}", vector=[place]) for place in range(1_500)])
        for top_k in (0, 1, 10, 1_200, 2**63 - 1):
            results = vector_store.search("c", [-1], top_k)
            assert ids(results) == [f"{place:04}" for place in range(min(top_k, 1_500))]

    def test_page_by_page(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 2)
        vectors = numbers(60, 2)
        given = [Embedding(id=f"{n}", vector=each, metadata={"n": n % 2}) for n, each in enumerate(vectors)]
        vector_store.upsert("c", given)
        several: list[dict[str, Any]] = [{}, {"filter": {"n": 1}}]
        for options in several:
            whole = vector_store.search("c", [1, 1], 60, **options)
            pages = [vector_store.search("c", [1, 1], 7, offset=start, **options) for start in range(0, 63, 7)]
            assert [each for page in pages for each in page] == whole
            assert vector_store.search("c", [1, 1], 0, offset=3, **options) == []
            assert vector_store.search("c", [1, 1], 2**63 - 1, offset=2**63 - 1, **options) == []
            assert vector_store.search("c", [1, 1], 2**63 - 1, offset=20, **options) == whole[20:]

    @pytest.mark.parametrize("metric", METRICS)
    def test_the_best_of_each_group(self, vector_store: VectorStore, metric: Metric) -> None:
        """Against: a group with very many hits that keeps others from being found."""
        values: list[Any] = ["a", "A", 1, True, None, [1], {"x": 1}, 1.0, "1"]
        given = [
            Embedding(
                id=f"{n:03}",
                vector=each,
                metadata={"of": {"doc": "near"}, "n": n}
                if n < 200
                else ({"n": n} if n % 10 == 0 else {"of": {"doc": values[n % 9]}, "n": n}),
            )
            for n, each in enumerate([*([9 + n / 1e3, 9.0] for n in range(200)), *numbers(100, 2)])
        ]
        vector_store.create_collection("c", 2, metric=metric)
        vector_store.upsert("c", given)
        filters: list[dict[str, Any]] = [{}, {"n": {"$lt": 260}}, {"of.doc": {"$ne": "near"}}]
        for each in filters:
            options: dict[str, Any] = {"filter": each}
            best: dict[str, SearchResult] = {}
            for hit in vector_store.search("c", [1, 1], 300, **options):
                if "of" in hit.metadata:
                    value = hit.metadata["of"]["doc"]
                    best.setdefault(repr(1 if value == 1 and value is not True else value), hit)
            expected = [*best.values()]
            assert len(expected) in (8, 9)
            for top_k, offset in ((300, 0), (1, 0), (3, 0), (3, 2), (5, 8)):
                found = vector_store.search("c", [1, 1], top_k, offset=offset, group_by="of.doc", **options)
                assert found == expected[offset : offset + top_k]
        assert vector_store.search("c", [1, 1], group_by="nowhere") == []
        assert vector_store.search("c", [1, 1], 0, group_by="of.doc") == []

    def test_a_zero_vector_is_nothing_special_but_under_cosine(self, vector_store: VectorStore) -> None:
        for metric in ("l2", "inner_product"):
            vector_store.create_collection(metric, 2, metric=metric)
            vector_store.upsert(metric, [Embedding(id="zero", vector=[0, 0]), Embedding(id="one", vector=[1, 0])])
            assert len(vector_store.search(metric, [0, 0])) == 2
        assert vector_store.search("l2", [0, 0])[0].id == "zero"


_COMPASS = {"east": [1, 0], "north": [0, 1], "west": [-3, 0]}
_TEXTS = {
    "a": "The quick brown fox",
    "b": "jumps over the lazy dog",
    "c": "Databases migrate slowly",
    "d": "A migration of birds",
    "e": "",
}


class HybridContract:
    @pytest.fixture
    def texts(self, vector_store_committed: VectorStore) -> VectorStore:
        """A collection of texts at 0, 1, 2 …; committed, as some databases find only such words."""
        store = vector_store_committed
        store.create_collection("c", 1, metric="l2")
        store.upsert(
            "c",
            [
                Embedding(id=id, vector=[place], content=text, metadata={"even": place % 2 == 0})
                for place, (id, text) in enumerate(_TEXTS.items())
            ],
        )
        return store

    def test_ranks_are_fused(self, texts: VectorStore) -> None:
        results = texts.search("c", [0], text="DOG")
        assert ids(results) == ["b", "a", "c", "d", "e"]
        assert [each.score for each in results] == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 63, 1 / 64, 1 / 65])

    def test_any_word_counts(self, texts: VectorStore) -> None:
        assert ids(texts.search("c", [4], 2, text="birds unheard-of")) == ["d", "e"]

    def test_words_that_nobody_has_leave_the_vectors(self, texts: VectorStore) -> None:
        for text in (
            "unheard",
            "",
            "  ",
            "?!",
            "'",
            '"',
            "NOT",
            "AND OR",
            "*",
            "zz:*",
            "content: zz",
            "%s",
            "\U0001f642",
        ):
            results = texts.search("c", [4], 3, text=text)
            assert len(results) == 3, text
            assert results[0].id == "e", text

    def test_a_filter_holds_for_both(self, texts: VectorStore) -> None:
        assert ids(texts.search("c", [1], text="dog", filter={"even": True})) == ["a", "c", "e"]
        assert ids(texts.search("c", [0], 1, text="lazy dog", filter={"even": False})) == ["b"]

    def test_words_alone(self, texts: VectorStore) -> None:
        """Against: what has no such word, but is near."""
        [hit] = texts.search("c", None, text="DOG")
        assert (hit.id, hit.content, hit.metadata) == ("b", _TEXTS["b"], {"even": False})
        assert hit.score == pytest.approx(1 / 61)
        assert not hit.vector
        assert ids(texts.search("c", None, text="unheard")) == []
        for text in ("", "  ", "?!", "'", "NOT", "%s", "\U0001f642"):
            assert texts.search("c", None, text=text) == []
        found = texts.search("c", None, text="fox birds unheard", include_vectors=True)
        assert {each.id: [*each.vector] for each in found} == {"a": [0.0], "d": [3.0]}
        assert sorted(each.score for each in found) == pytest.approx([1 / 62, 1 / 61])
        assert texts.search("c", None, 1, text="fox birds", offset=1) == texts.search("c", None, text="fox birds")[1:]
        assert ids(texts.search("c", None, text="fox birds", filter={"even": True})) == ["a"]
        assert texts.search("c", None, 0, text="dog") == []

    def test_groups_of_what_was_found_by_words(self, texts: VectorStore) -> None:
        texts.upsert("c", [Embedding(id=f"n{n}", vector=[n], content="a heron", metadata={"d": 1}) for n in range(150)])
        texts.upsert("c", [Embedding(id="z", vector=[999], content="heron among many others", metadata={"d": 2})])
        for query in (None, [0]):
            assert ids(texts.search("c", query, 5, text="heron", group_by="d")) == ["n0", "z"]
            assert ids(texts.search("c", query, 1, text="heron", group_by="d", offset=1)) == ["z"]
        assert texts.search("c", None, text="dog", group_by="d") == []

    def test_long_questions(self, texts: VectorStore) -> None:
        long = " ".join(f"word{place}" for place in range(3_999))
        for text in (f"{long} dog", "dog-" * 4_000, f"{'x' * 100_000} dog"):
            assert texts.search("c", [0], 1, text=text)[0].id == "b"
        assert texts.search("c", [0], 2**63 - 1, text="dog")[0].id == "b"
        for text in (f"{long} two more", "a_b " * 2_001, "a " * 30_000):
            with pytest.raises(InvalidRecord, match=r"^text: has .* words; at most 4,000"):
                texts.search("c", [0], 1, text=text)

    def test_the_best_of_many_texts(self, texts: VectorStore) -> None:
        """Against: some of the texts that have the word, and among them the best."""
        vectors = range(10, 1_510)
        texts.upsert("c", [Embedding(id=f"n{n}", vector=[n], content=f"a heron and {n} others") for n in vectors])
        texts.upsert("c", [Embedding(id="best", vector=[9_999], content="heron, heron and heron")])
        texts.upsert("c", [Embedding(id=f"o{n}", vector=[n], content=f"heron {n} x y z") for n in vectors])
        scores = {each.id: each.score for each in texts.search("c", [0], 1_000, text="heron")}
        assert scores["best"] == pytest.approx(1 / 61)

    def test_words_follow_changes(self, texts: VectorStore) -> None:
        texts.upsert(
            "c", [Embedding(id="b", vector=[1], content="a cat"), Embedding(id="z", vector=[9], content="hen")]
        )
        texts.delete("c", ["d"])
        assert texts.search("c", [0], text="dog")[0].score == pytest.approx(1 / 61)
        assert texts.search("c", [0], text="cat")[0].id == "b"
        assert {each.id: each.score for each in texts.search("c", [0], text="hen")}["z"] > 1 / 61
        assert "d" not in ids(texts.search("c", [0], text="birds"))
