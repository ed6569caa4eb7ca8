"""Embeddings: written, read, counted and deleted."""

from __future__ import annotations

import copy
import math
from array import array
from dataclasses import replace
from typing import Any

import pytest

from ...exceptions import InvalidRecord
from ...records import Embedding
from ...vectors.base import Capability, VectorStore
from .helpers import ODD_STRINGS, ids, needs, numbers


class EmbeddingContract:
    def test_what_is_written_comes_back(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 3)
        given = Embedding(
            id="e",
            vector=[0.1, -2, 1e-7],
            content="A text\nwith 'quotes', 100% and \U0001f642",
            metadata={"z": 1, "a": [1.5, None, {"b": True}]},
            user_id="u",
        )
        expected = replace(given, vector=array("f", given.vector))
        assert vector_store.upsert("c", [given]) == [expected]
        assert vector_store.get("c", "e") == expected
        assert given.vector == [0.1, -2, 1e-7]

    def test_the_callers_objects_stay_as_they_were(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        given = Embedding(vector=[1], metadata={"a": [1]})
        before = copy.deepcopy(given)
        [stored] = vector_store.upsert("c", [given])
        stored.metadata["a"].append(2)
        assert given == before
        again = vector_store.get("c", stored.id)
        assert again is not None
        assert again.metadata == {"a": [1]}

    def test_an_array_is_a_vector(self, vector_store: VectorStore) -> None:
        numpy = pytest.importorskip("numpy")
        vector_store.create_collection("c", 3)
        rows = numpy.array(numbers(4, 3))
        for kind in ("float16", "float32", "float64", ">f8"):
            given = rows.astype(kind)
            stored = vector_store.upsert("c", [Embedding(id=f"{place}", vector=row) for place, row in enumerate(given)])
            assert [each.vector for each in stored] == [array("f", row) for row in given.tolist()]
            assert vector_store.get("c", "3") == stored[3]
            assert ids(vector_store.search("c", given[2], 1)) == ["2"]
        strided = numpy.array(numbers(1, 6)[0])[::2]
        assert vector_store.upsert("c", [Embedding(id="s", vector=strided)])[0].vector == pytest.approx(strided)
        vector_store.upsert("c", [Embedding(id="list of scalars", vector=list(rows.astype("float32")[0]))])

        class Tensor:
            """Another library's array, whose memory is not for others to look into."""

            def __array__(self) -> Any:
                return rows[1]

            def tolist(self) -> list[float]:
                return [float(number) for number in rows[1]]

        assert vector_store.upsert("c", [Embedding(id="t", vector=Tensor())])[0].vector == array("f", rows[1])
        with pytest.raises(InvalidRecord, match=r"^query: "):
            vector_store.search("c", numpy.array(["2026-01-01"] * 3, dtype="datetime64[D]"))

    def test_an_id_is_made_where_none_is_given(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        stored = vector_store.upsert("c", [Embedding(vector=[1]), Embedding(vector=[2])])
        assert all(ids(stored))
        assert len(set(ids(stored))) == 2
        assert vector_store.get("c", stored[1].id) == stored[1]

    def test_written_again_it_is_replaced(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1, metric="l2")
        vector_store.upsert("c", [Embedding(id="e", vector=[1], content="old", metadata={"a": 1}, user_id="u")])
        vector_store.upsert("c", [Embedding(id="e", vector=[5])])
        assert vector_store.get("c", "e") == Embedding(id="e", vector=array("f", [5]))
        assert vector_store.count("c") == 1
        assert vector_store.search("c", [5])[0].score == 1.0

    def test_what_a_search_found_is_written_again(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1, metric="l2")
        [stored] = vector_store.upsert("c", [Embedding(id="e", vector=[1], content="old", user_id="u")])
        [hit] = vector_store.search("c", [1], include_vectors=True)
        hit.content = "new"
        again = vector_store.upsert("c", [hit])
        assert again == [replace(stored, content="new")]
        assert vector_store.get("c", "e") == again[0]

    def test_what_is_kept_is_plain(self, vector_store: VectorStore) -> None:
        class Word(str):
            __slots__ = ()

            def __eq__(self, other: object) -> bool:
                return False

            def __hash__(self) -> int:
                return 1

        class Number(float):
            pass

        class Object(dict[Any, Any]):
            pass

        store = vector_store
        store.create_collection(Word("c"), 1)
        given = Embedding(
            id=Word("e"),
            vector=[Number(1)],
            content=Word("text"),
            metadata=Object({Word("k"): Object({Word("n"): [Number(1.5), Word("v")]})}),
            user_id=Word("u"),
        )
        expected = Embedding(
            id="e", vector=array("f", [1]), content="text", metadata={"k": {"n": [1.5, "v"]}}, user_id="u"
        )
        [stored] = store.upsert(Word("c"), [given])
        for record in (stored, store.get(Word("c"), Word("e"))):
            assert record == expected
            assert type(record.metadata) is type(record.metadata["k"]) is dict
            assert {type(word) for word in (record.id, record.content, record.user_id, *record.metadata)} == {str}
        for _ in range(2):
            [hit] = store.search(Word("c"), [Number(1)], filter=Object({Word("k.n"): [Number(1.5), Word("v")]}))
            assert hit.id == "e"
        assert store.count(Word("c")) == 1
        assert store.delete(Word("c"), [Word("e")]) == 1
        assert store.drop_collection(Word("c")) is True

    def test_of_one_id_twice_the_last_counts(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        given = [Embedding(id="e", vector=[1]), Embedding(id="f", vector=[2]), Embedding(id="e", vector=[3])]
        assert ids(vector_store.upsert("c", given)) == ["e", "f", "e"]
        assert vector_store.count("c") == 2
        assert vector_store.get("c", "e") == Embedding(id="e", vector=array("f", [3]))

    def test_any_iterable_is_taken(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        assert vector_store.upsert("c", []) == []
        assert len(vector_store.upsert("c", (Embedding(vector=[place]) for place in (1, 2, 3)))) == 3
        assert vector_store.count("c") == 3

    def test_all_or_none(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        with pytest.raises(InvalidRecord):
            vector_store.upsert("c", [Embedding(id="e", vector=[1]), Embedding(id="f", vector=[1, 2])])
        assert vector_store.count("c") == 0

    def test_any_id_is_an_id(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1, metric="l2")
        given = [
            Embedding(id=id, vector=[place], content=id, metadata={id: id}, user_id=id)
            for place, id in enumerate(ODD_STRINGS)
        ]
        vector_store.upsert("c", given)
        assert vector_store.count("c") == len(ODD_STRINGS)
        for place, id in enumerate(ODD_STRINGS):
            assert vector_store.get("c", id) == replace(given[place], vector=array("f", [place]))
            assert ids(vector_store.search("c", [place], 1)) == [id]
        assert vector_store.delete("c", ODD_STRINGS[::2]) == len(ODD_STRINGS[::2])
        assert all(vector_store.get("c", id) for id in ODD_STRINGS[1::2])

    def test_ids_are_unique_within_a_collection(self, vector_store: VectorStore) -> None:
        for name in ("a", "b"):
            vector_store.create_collection(name, 1)
            vector_store.upsert(name, [Embedding(id="e", vector=[1], content=name)])
        assert vector_store.delete("a", ["e"]) == 1
        assert vector_store.get("a", "e") is None
        assert vector_store.get("b", "e") == Embedding(id="e", vector=array("f", [1]), content="b")

    def test_delete_tells_how_many_were_there(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        vector_store.upsert("c", [Embedding(id=id, vector=[1]) for id in "abc"])
        assert vector_store.delete("c", ["a", "a", "nobody"]) == 1
        assert vector_store.delete("c", []) == 0
        assert vector_store.count("c") == 2
        assert ids(vector_store.search("c", [1])) == ["b", "c"]

    def test_many_are_read_at_once(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 2)
        given = [Embedding(id=id, vector=[1, 2], content=id, metadata={"id": id}, user_id="u") for id in ODD_STRINGS]
        stored = sorted(vector_store.upsert("c", given), key=lambda each: each.id)
        assert vector_store.get_many("c", [*ODD_STRINGS, "nobody", *ODD_STRINGS]) == stored
        assert ids(vector_store.get_many("c", ["x"] * 10_001)) == ["x"]
        assert vector_store.get_many("c", ()) == []
        assert ids(vector_store.get_many("c", iter(["x", "X", "nobody"]))) == ["X", "x"]  # type: ignore[arg-type]

    def test_all_are_listed_by_id(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1)
        given = [Embedding(id=id, vector=[1], metadata={"long": len(id) > 2}) for id in ODD_STRINGS]
        stored = sorted(vector_store.upsert("c", given), key=lambda each: each.id)
        assert vector_store.list("c") == stored
        assert vector_store.list("c", limit=0) == []
        pages, last = [], None
        while page := vector_store.list("c", after=last, limit=7):
            pages += page
            last = page[-1]
        assert pages == stored
        assert vector_store.list("c", after=stored[3].id, limit=2) == stored[4:6]
        long = [each for each in stored if len(each.id) > 2]
        assert vector_store.list("c", filter={"long": True}) == long
        assert vector_store.list("c", filter={"long": True}, after=long[1], limit=3) == long[2:5]
        assert vector_store.list("c", filter={"long": 1}) == []

    def test_more_than_a_page_is_listed(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 1, metric="l2")
        names = [f"{n:04}" for n in range(1_300)]
        vector_store.upsert("c", [Embedding(id=id, vector=[n], metadata={"n": n}) for n, id in enumerate(names)])
        assert ids(vector_store.list("c")) == names
        assert ids(vector_store.list("c", filter={"n": {"$gte": 1_200}}, limit=50)) == names[1_200:1_250]
        assert ids(vector_store.get_many("c", [*reversed(names)])) == names
        assert vector_store.count("c", filter={"n": {"$lt": 1_111}}) == 1_111
        assert vector_store.delete_where("c", {"n": {"$lt": 1_111}}) == 1_111
        assert ids(vector_store.list("c")) == names[1_111:]

    def test_what_a_filter_matches_is_counted_and_deleted(self, vector_store: VectorStore) -> None:
        for name in ("c", "other"):
            vector_store.create_collection(name, 1)
            given = [Embedding(id=id, vector=[1], metadata={"tags": list(id)}) for id in ("a", "ab", "b", "")]
            vector_store.upsert(name, given[:3])
        tagged: dict[str, Any] = {"tags": {"$contains": "a"}}
        for wanted, expected in ((tagged, 2), ({}, 3), (None, 3), ({"tags": []}, 0), ({"$not": tagged}, 1)):
            assert vector_store.count("c", filter=wanted) == expected
        assert vector_store.delete_where("c", {"tags": {"$contains": "z"}}) == 0
        assert vector_store.delete_where("c", tagged) == 2
        assert ids(vector_store.list("c")) == ids(vector_store.search("c", [1])) == ["b"]
        assert vector_store.delete_where("c", tagged) == 0
        assert vector_store.delete_where("c", {}) == 1
        assert vector_store.count("c") == 0
        assert vector_store.count("other") == 3

    def test_large_contents_and_vectors(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 3_000)
        given = [
            Embedding(id=f"{place}", vector=vector, content="long " * 200_000 if place == 1 else "")
            for place, vector in enumerate(numbers(40, 3_000))
        ]
        with needs(vector_store, Capability.LARGE_RECORDS):
            vector_store.upsert("c", given)
        stored = vector_store.get("c", "1")
        assert stored is not None
        assert (len(stored.content), stored.vector) == (1_000_000, array("f", given[1].vector))
        assert ids(vector_store.search("c", given[7].vector, 1)) == ["7"]

    def test_limits_are_for_a_record_and_not_for_a_batch(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 2)
        given = [Embedding(id=f"{n}", vector=[1, n], metadata={"text": "x" * 20_000}) for n in range(250)]
        # The most that a record may hold, of what SQL and JSON escape.
        largest = Embedding(id="z", vector=[1, 1], content="'" * 1_000_000, metadata={"t": '"' * (2**21 - 4)})
        with needs(vector_store, Capability.LARGE_RECORDS):
            stored = vector_store.upsert("c", [*given, largest])
        assert vector_store.count("c") == 251
        assert vector_store.get("c", "z") == stored[-1]
        largest.metadata["t"] += '"'
        with pytest.raises(InvalidRecord, match=r"^metadata: .* at most 4,194,304 .*embeddings\[1\].*'z'") as raised:
            vector_store.upsert("c", [Embedding(id="new", vector=[1, 1]), largest])
        assert raised.value.field == "metadata"
        assert vector_store.count("c") == 251

    def test_an_error_names_the_embedding(self, vector_store: VectorStore) -> None:
        vector_store.create_collection("c", 2)
        good = [Embedding(id=f"{n}", vector=[1, n]) for n in range(3)]
        bad: list[dict[str, Any]] = [{"vector": [1]}, {"vector": [0, 0]}, {"vector": [1e30, 1]}]
        for wrong in (*bad, {"metadata": {"a": math.nan}}):
            with pytest.raises(InvalidRecord, match=r"\(in embeddings\[3\], whose id is 'bad'\)$"):
                vector_store.upsert("c", [*good, Embedding(**{"id": "bad", "vector": [1, 1], **wrong})])

    async def _variants(self, store: VectorStore) -> None:
        await store.acreate_collection("c", 1)
        [stored] = await store.aupsert("c", [Embedding(vector=[1])])
        assert await store.aget("c", stored.id) == stored
        assert ids(await store.asearch("c", [1], text="x")) == [stored.id]
        assert await store.acount("c") == 1
        assert await store.aget_many("c", [stored.id]) == await store.alist("c") == [stored]
        assert await store.adelete_where("c", {"a": 1}) == 0
        assert [each.name for each in await store.alist_collections()] == ["c"]
        assert await store.adelete("c", [stored.id]) == 1
        assert await store.adrop_collection("c") is True

    def test_each_method_has_its_asynchronous_variant(self, vector_store: VectorStore) -> None:
        from asgiref.sync import async_to_sync

        async_to_sync(self._variants)(vector_store)
