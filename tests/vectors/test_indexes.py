"""Indexes on PostgreSQL: when they are built, what they find, and what is rebuilt."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext
from pgvector.psycopg import register_vector

from chronos_storage import vector_stores
from chronos_storage.exceptions import InvalidRecord
from chronos_storage.records import Embedding
from chronos_storage.testing.vectors.helpers import similarity
from chronos_storage.vectors import builds, models, statements
from chronos_storage.vectors.fusion import depth, fuse
from chronos_storage.vectors.pgvector import PgVectorStore
from chronos_storage.vectors.tsvectors import ALL_WORDS, WORDS, WORDS_TO_KEEP

pytestmark = [
    pytest.mark.skipif("postgres" not in settings.DATABASES, reason="there is no PostgreSQL with pgvector"),
    pytest.mark.django_db(databases=["postgres"], transaction=True),
]

ROWS = 10_000


@pytest.fixture
def store() -> Iterator[PgVectorStore]:
    store = PgVectorStore(using="postgres")
    yield store
    for collection in store.list_collections():
        store.drop_collection(collection.name)
    store.close()


@pytest.fixture
def indexed_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows than it takes get an index, and are searched by it, which makes what is found by it none the other."""
    monkeypatch.setattr(builds, "INDEXED_FROM", 2_000)
    monkeypatch.setattr(statements, "_FEW", 1_000)


def embeddings(count: int, dimension: int = 4, start: int = 0) -> list[Embedding]:
    source = random.Random(start)
    return [
        Embedding(
            id=f"{place}",
            vector=[source.gauss(0, 1) for _ in range(dimension)],
            content=f"number {place}",
            metadata={"even": place % 2 == 0, "n": place},
        )
        for place in range(start, start + count)
    ]


def index_names() -> set[str]:
    with connections["postgres"].cursor() as cursor:
        cursor.execute("SELECT indexname FROM pg_indexes WHERE indexname ~ '^chronos_vectors_[0-9]'")
        return {row[0] for row in cursor.fetchall()}


def test_a_collection_is_indexed_from_ten_thousand_rows_on(store: PgVectorStore) -> None:
    store.create_collection("c", 4)
    store.upsert("c", embeddings(ROWS - 1))
    store.close()
    assert store.stats("c").index == "none"
    assert index_names() == set()
    with transaction.atomic(using="postgres"):
        store.upsert("c", embeddings(1, start=ROWS))
        assert index_names() == set()
    store.close()
    stats = store.stats("c")
    assert (stats.index, stats.count) == ("ready", ROWS)
    assert stats.index_size > 0
    assert len(index_names()) == 2
    assert store.recall("c", sample=50) > 0.9
    assert "Index Scan using" in explained(store)
    store.drop_collection("c")
    store.close()
    assert index_names() == set()


def explained(store: PgVectorStore) -> str:
    """The plans of a search's statements."""
    plans = []

    def explain(execute, sql, parameters, many, context):
        if "FROM chronos_vectors_embedding" in sql:
            execute(f"EXPLAIN {sql}", parameters, many, context)
            plans.extend(row[0].decode() if isinstance(row[0], bytes) else row[0] for row in context["cursor"])
        return execute(sql, parameters, many, context)

    with connections["postgres"].execute_wrapper(explain):
        store.search("c", [1.0] * store.list_collections()[0].dimension)
    return "\n".join(plans)


@pytest.mark.usefixtures("indexed_early")
def test_filters_by_the_index(store: PgVectorStore) -> None:
    store.create_collection("c", 4, metric="l2")
    rows = embeddings(4_000)
    store.upsert("c", rows)
    store.close()
    for wanted, expected in (
        ({"even": True}, 2_000),
        ({"n": {"$lt": 20}}, 20),
        ({"n": {"$gte": 100}}, 3_900),
        ({"n": -1}, 0),
        ({"$not": {"even": True}, "n": {"$lt": 2_600}}, 1_300),
    ):
        for top_k in (10, 1_500):
            results = store.search("c", [0.0, 0, 0, 0], top_k, filter=wanted)
            assert len(results) == min(top_k, expected), (wanted, top_k)
            assert [each.score for each in results] == sorted((each.score for each in results), reverse=True)
    assert len(store.search("c", [0.0, 0, 0, 0], 3_000)) == 3_000


def test_rows_that_match_far_from_the_query(store: PgVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against: what a scan of the index has seen when it comes to its end, for what is nearest."""
    monkeypatch.setattr(statements, "_FEW", 1_000)
    store.create_collection("c", 8, metric="l2")
    rows = embeddings(4_000, 8)
    query = rows[0].vector
    rows.sort(key=lambda row: math.dist(query, row.vector))
    for place, row in enumerate(rows):
        row.metadata = {"place": place}
    store.upsert("c", rows)
    store.reindex("c")
    with connections["postgres"].cursor() as cursor:
        cursor.execute("SET hnsw.max_scan_tuples = 500; SET enable_seqscan = off; SET enable_sort = off")
    for first, last in ((0, 1_500), (600, 2_500), (1_500, 3_500), (2_500, 4_000)):
        matching = [row.id for row in rows[first:last]]
        for top_k in (1, 10, 100):
            found = store.search("c", query, top_k, filter={"place": {"$gte": first, "$lt": last}})
            assert len({each.id for each in found} & {*matching[:top_k]}) >= 0.97 * top_k, (first, top_k)
        # Words that all rows have are no reason to do without the nearest.
        found = store.search("c", query, 10, filter={"place": {"$gte": first, "$lt": last}}, text="number")
        fused = fuse(matching[: depth(10)], sorted(matching)[: depth(10)])
        best = sorted(fused, key=lambda id: (-fused[id], id))[:10]
        assert len({each.id for each in found} & {*best}) >= 9, first
    # What a scan is in vain for is sorted at once, but for a try from time to time.
    scans = []

    def note(execute, sql, parameters, many, context):
        scans.append("hnsw.ef_search" in sql)
        return execute(sql, parameters, many, context)

    with connections["postgres"].execute_wrapper(note):
        for _ in range(30):
            found = store.search("c", query, 10, filter={"place": {"$gte": 2_400}})
            assert [each.id for each in found] == [row.id for row in rows[2_400:2_410]]
    assert 1 < sum(scans) <= 4


@pytest.mark.usefixtures("indexed_early")
def test_a_filter_that_other_rows_match_by_now(store: PgVectorStore) -> None:
    """What is remembered of a filter is how its rows are found, never which."""
    store.create_collection("c", 4, metric="l2")
    rows = embeddings(3_000)
    for row in rows:
        row.metadata = {"kind": "rare" if int(row.id) < 20 else "common"}
    store.upsert("c", rows)
    store.close()

    def found(kind: str, top_k: int) -> list[str]:
        return [each.id for each in store.search("c", [0.0, 0, 0, 0], top_k, filter={"kind": kind})]

    for _ in range(3):
        assert set(found("rare", 100)) == {str(place) for place in range(20)}
        assert len(found("common", 100)) == 100
    for row in rows:
        row.metadata = {"kind": "common" if int(row.id) < 20 else "rare"}
    store.upsert("c", rows)
    for _ in range(3):
        assert set(found("common", 100)) == {str(place) for place in range(20)}
        assert len(set(found("rare", 100))) == 100


@pytest.mark.parametrize("behind_pooler", [False, True])
def test_statements_are_prepared_unless_a_pooler_is_in_between(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch, behind_pooler: bool
) -> None:
    connection = connections["postgres"]
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", behind_pooler)
    store.create_collection("c", 4)
    store.upsert("c", embeddings(600))
    store.reindex("c")
    for _ in range(2):
        assert store.search("c", [1, 0, 0, 0])
        assert store.search("c", [1, 0, 0, 0], filter={"even": True})
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_prepared_statements")
        [prepared] = cursor.fetchone()
    assert (prepared == 0) == behind_pooler
    assert connection.connection.prepare_threshold is None


def test_queries_are_logged_where_the_host_has_values_bound_by_the_server(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against: a log that knows no vectors, and an error of the driver's for whoever counts queries."""
    connection = connections["postgres"]
    connection.close()
    monkeypatch.setattr(connection.features, "uses_server_side_binding", True)  # which Django looks up once
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "server_side_binding", True)
    store.create_collection("c", 2)
    with CaptureQueriesContext(connection) as logged:
        store.upsert("c", [Embedding(id="e", vector=[1, 2], content="word")])
        assert store.search("c", [1, 2])[0].id == store.search("c", [1, 2], text="word")[0].id == "e"
    assert "vectors (1, 2)" in str(logged.captured_queries)
    connection.close()


@pytest.mark.parametrize("registered", [False, True])
def test_what_a_host_reads_itself_stays_as_it_was(store: PgVectorStore, registered: bool) -> None:
    """Against: adapters of ours on the host's connection, or of the host's in our way."""
    connection = connections["postgres"]
    connection.ensure_connection()
    if registered:
        register_vector(connection.connection)

    def read() -> Any:
        with connection.cursor() as cursor:
            cursor.execute("SELECT '[1,2]'::vector")
            return cursor.fetchone()[0]

    before = read()
    assert isinstance(before, str) != registered
    store.create_collection("c", 2)
    [stored] = store.upsert("c", [Embedding(id="e", vector=[1, 2])])
    [found] = store.search("c", [1, 2], include_vectors=True)
    assert (store.get("c", "e"), found.vector) == (stored, stored.vector)
    assert repr(read()) == repr(before)
    connection.close()


def test_what_is_written_again_unchanged_is_not_rewritten(store: PgVectorStore) -> None:
    """A row's new version takes an entry of its own in the HNSW index, which is what a write costs most."""

    def versions() -> dict[str, str]:
        with connections["postgres"].cursor() as cursor:
            cursor.execute("SELECT embedding_id, ctid::text FROM chronos_vectors_embedding")
            return dict(cursor.fetchall())

    store.create_collection("c", 4)
    rows = embeddings(6)
    rows[5].metadata = {"n": 1}
    store.upsert("c", rows)
    before = versions()
    rows[1].vector = [1, 2, 3, 4]
    rows[2].content = "other"
    rows[3].metadata = {"other": True}
    rows[4].user_id = "other"
    rows[5].metadata = {"n": 1.0}  # the same number to a jsonb, but not what comes back
    stored = store.upsert("c", rows)
    assert [id for id, version in versions().items() if version == before[id]] == ["0"]
    assert [store.get("c", row.id) for row in stored] == stored
    assert repr(store.get("c", "5").metadata) == "{'n': 1.0}"


@pytest.mark.usefixtures("indexed_early")
def test_deleted_rows_take_no_places(store: PgVectorStore) -> None:
    store.create_collection("c", 4)
    store.upsert("c", embeddings(3_000))
    store.close()
    nearest = [each.id for each in store.search("c", [1, 0, 0, 0], 500)]
    assert store.delete("c", nearest) == 500
    assert len(store.search("c", [1, 0, 0, 0], 10)) == 10
    store.delete("c", [f"{place}" for place in range(2_995)])
    assert len(store.search("c", [1, 0, 0, 0], 10)) == store.count("c") > 0


@pytest.mark.usefixtures("indexed_early")
def test_words_by_the_index(store: PgVectorStore) -> None:
    store.create_collection("c", 4, metric="l2")
    store.upsert("c", embeddings(5_000))
    store.close()
    results = store.search("c", [9, 9, 9, 9], 5, text="number 4711")
    assert "4711" in [each.id for each in results]


def kept_words() -> tuple[int, int]:
    """Of how many embeddings the words are kept, and how many of these are not those of the content."""
    with connections["postgres"].cursor() as cursor:
        cursor.execute(
            f"SELECT count(*), count(*) FILTER (WHERE e.id IS NULL OR w.words <> {WORDS_TO_KEEP}"
            " OR (w.collection_id, w.embedding_id) <> (e.collection_id, e.embedding_id))"
            " FROM chronos_vectors_words AS w LEFT JOIN chronos_vectors_embedding AS e ON e.id = w.id"
        )
        return tuple(cursor.fetchone())


@pytest.mark.usefixtures("indexed_early")
def test_words_are_kept_of_a_collection_that_is_indexed_whoever_writes(store: PgVectorStore) -> None:
    for name in ("small", "c"):
        store.create_collection(name, 4, metric="l2")
    store.upsert("small", embeddings(100))
    store.upsert("c", embeddings(1_999))
    assert kept_words() == (0, 0)
    store.upsert("c", embeddings(501, start=1_999))
    store.close()
    assert kept_words() == (2_500, 0)
    changed = embeddings(2_600)[2_000:]
    for each in changed:
        each.content = f"the changed number {each.id}"
    store.upsert("c", changed)
    store.delete("c", [f"{place}" for place in range(100)])
    models.Embedding.objects.using("postgres").filter(embedding_id="200").update(content="by hand")
    models.Embedding.objects.using("postgres").filter(embedding_id="201").delete()
    assert kept_words() == (2_499, 0)
    questions: list[tuple[list[float], str, Any]]
    questions = [([9.0, 9, 9, 9], text, None) for text in ("number 4711", "changed numbers", "hand", "300 or 2400")]
    questions += [([1.0, 0, 0, 0], "changed", {"even": True}), ([1.0, 0, 0, 0], "number", {"n": {"$lt": 150}})]

    def answers() -> list[list[tuple[str, float]]]:
        asked = PgVectorStore(using="postgres")
        return [
            [(each.id, each.score) for each in asked.search("c", query, 20, text=text, filter=wanted)]
            for query, text, wanted in questions
        ]

    by_kept = answers()
    models.Collection.objects.using("postgres").update(worded=1)
    assert by_kept == answers()
    store.drop_collection("c")
    assert kept_words() == (0, 0)


@pytest.mark.usefixtures("indexed_early")
def test_migrate_keeps_the_words_of_what_was_indexed_without(store: PgVectorStore) -> None:
    store.create_collection("c", 4, metric="l2")
    store.upsert("c", embeddings(2_000))
    store.close()
    with connections["postgres"].cursor() as cursor:
        cursor.execute("DROP TABLE chronos_vectors_words")
        cursor.execute("UPDATE chronos_vectors_collection SET worded = 0")
        (name,) = index_names()
        words = name.replace("hnsw", "words")
        cursor.execute(f"CREATE INDEX {words} ON chronos_vectors_embedding USING gin (to_tsvector('english', content))")
    call_command("migrate", "chronos_vectors", database="postgres", verbosity=0)
    assert kept_words() == (2_000, 0)
    assert index_names() == {name, words}
    assert store.stats("c").index == "ready"
    assert models.Collection.objects.using("postgres").get().worded == ALL_WORDS
    with connections["postgres"].cursor() as cursor:  # as they were kept before
        cursor.execute("UPDATE chronos_vectors_words SET words = strip(words)")
        cursor.execute("UPDATE chronos_vectors_collection SET worded = 2")
    assert kept_words() == (2_000, 2_000)
    call_command("migrate", "chronos_vectors", database="postgres", verbosity=0)
    assert kept_words() == (2_000, 0)
    assert models.Collection.objects.using("postgres").get().worded == ALL_WORDS
    with connections["postgres"].cursor() as cursor:  # by a trigger of the last release's beside work of this one's
        cursor.execute("SELECT pg_get_functiondef('chronos_vectors_words_keep'::regproc)")
        [function] = cursor.fetchone()
        cursor.execute(function.replace(WORDS_TO_KEEP, WORDS))
    store.upsert("c", [Embedding(id="2000", vector=[1, 1, 1, 1], content="often " * 3)])
    assert kept_words() == (2_001, 1)
    call_command("migrate", "chronos_vectors", database="postgres", verbosity=0)
    assert kept_words() == (2_001, 0)


@pytest.mark.usefixtures("indexed_early")
def test_the_best_texts_are_found_whether_or_not_the_others_are_read(store: PgVectorStore) -> None:
    chosen = random.Random(1)
    words = ["agent", "tool", "model", "it's", "memory", "a/b", "r" * 2_046]
    given = embeddings(2_000)
    for each in given:
        each.content = " ".join(chosen.choices(words, [60, 30, 20, 10, 5, 3, 1], k=chosen.randint(0, 4)))
    store.create_collection("c", 4, metric="l2")
    store.upsert("c", given)
    store.close()
    questions = [" ".join(chosen.choices(words, k=number % 4)) for number in range(20)]
    questions += [" ".join([*words, "and", "others", "that", "nobody", "wrote"]), "nobody"]

    def answers() -> list[list[tuple[str, float]]]:
        asked = PgVectorStore(using="postgres")
        return [[(each.id, each.score) for each in asked.search("c", None, 200, text=text)] for text in questions] + [
            [(each.id, each.score) for each in asked.search("c", [9.0, 9, 9, 9], 20, text=text, filter={"even": True})]
            for text in questions
        ]

    by_kept = answers()
    assert max(map(len, by_kept)) == 200
    models.Collection.objects.using("postgres").update(worded=1)
    assert by_kept == answers()


def test_a_collection_with_the_id_of_an_earlier_one_has_no_index_of_it(store: PgVectorStore) -> None:
    store.create_collection("c", 4)
    store.upsert("c", embeddings(10))
    store.reindex("c")
    with connections["postgres"].cursor() as cursor:  # as flush does
        cursor.execute("TRUNCATE chronos_vectors_collection, chronos_vectors_embedding")
        (name,) = {name for name in index_names() if name.endswith("hnsw")}
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('chronos_vectors_collection', 'id'), %s, FALSE)", [name.split("_")[2]]
        )
    store.create_collection("d", 3, metric="l2")
    assert index_names() == set()
    store.upsert("d", embeddings(10, 3))
    assert store.stats("d").index == "none"


@pytest.mark.parametrize(("dimension", "kind"), [(2_000, "vector"), (2_001, "halfvec"), (4_000, "halfvec")])
def test_many_dimensions(store: PgVectorStore, dimension: int, kind: str) -> None:
    store.create_collection("c", dimension)
    store.upsert("c", rows := embeddings(60, dimension))
    store.reindex("c")
    assert f"{kind}({dimension})" in index_definition()
    with connections["postgres"].cursor() as cursor:
        cursor.execute("SET enable_seqscan = off; SET enable_sort = off")
    for row in rows[:10]:
        [first, *_] = store.search("c", row.vector)
        assert first.id == row.id
        assert first.score == pytest.approx(1, abs=1e-6)
    assert store.recall("c", sample=20) == 1.0


class ByTurns:
    """A router that sends everything to one alias, and later to another, as for a site with a database a customer."""

    alias = "postgres"

    def db_for_write(self, model: object, **hints: object) -> str:
        return ByTurns.alias


@pytest.mark.usefixtures("other_databases")
def test_collections_of_one_name_in_several_databases(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against: a collection's number, known of one database, that is another collection's in the next."""
    known = connections.settings["postgres"]
    elsewhere = known | {"OPTIONS": {**known["OPTIONS"], "options": "-c search_path=elsewhere,public"}}
    monkeypatch.setitem(connections.settings, "elsewhere", elsewhere)
    settings.DATABASE_ROUTERS = [ByTurns()]
    with connections["postgres"].cursor() as cursor:
        cursor.execute("CREATE SCHEMA elsewhere")
        for table in ("collection", "embedding"):
            name = f"chronos_vectors_{table}"
            cursor.execute(f"CREATE TABLE elsewhere.{name} (LIKE public.{name} INCLUDING ALL)")
    try:
        store = PgVectorStore()
        for alias in ("postgres", "elsewhere"):
            monkeypatch.setattr(ByTurns, "alias", alias)
            # In one database "a" has the number that "b" has in the other.
            for number, name in enumerate("ab" if alias == "postgres" else "ba", 10_000):
                models.Collection(id=number, name=name, dimension=2, metric="cosine").save(using=alias)
                store.upsert(name, [Embedding(id=f"{alias} {name}", vector=[1, 0])])
        for alias in ("postgres", "elsewhere"):
            monkeypatch.setattr(ByTurns, "alias", alias)
            assert [each.id for each in store.search("a", [1, 0])] == [f"{alias} a"]
    finally:
        connections["elsewhere"].close()
        del connections["elsewhere"]
        with connections["postgres"].cursor() as cursor:
            cursor.execute("DROP SCHEMA elsewhere CASCADE")


def test_numbers_that_a_halfvec_cannot_hold(store: PgVectorStore) -> None:
    """Against: the database's own error, in the middle of a build or of a batch."""
    store.create_collection("c", 2_001, metric="l2")
    store.upsert("c", embeddings(3, 2_001))
    large = [65_504.0, *[0.0] * 1_999, -70_000.0]
    for indexed in (False, True):
        if indexed:
            store.reindex("c")
        with pytest.raises(InvalidRecord, match=r"^vector: .* at most 65,504 .* embeddings\[1\]"):
            store.upsert("c", [*embeddings(1, 2_001), Embedding(vector=large)])
        with pytest.raises(InvalidRecord, match=r"^query: .* at most 65,504 "):
            store.search("c", large)
    store.upsert("c", [Embedding(id="largest", vector=[65_504.0] * 2_001)])
    assert store.search("c", [65_504.0] * 2_001, 1)[0].id == "largest"


def test_the_index_tells_duplicates_apart(store: PgVectorStore) -> None:
    """What HNSW gives in the order of float32, or of its graph, comes in the order that every store has."""
    store.create_collection("c", 24)
    source = random.Random(3)
    base = [source.gauss(0, 1) for _ in range(24)]
    near = [[number + 1e-5 * source.gauss(0, 1) for number in base] for _ in range(60)]
    rows = [Embedding(id=f"near {place:02}", vector=each) for place, each in enumerate(near)]
    rows += [Embedding(id=f"same {place:02}", vector=[-number for number in base]) for place in range(40)]
    stored = store.upsert("c", [*reversed(rows), *embeddings(200, 24)])
    store.reindex("c")
    with connections["postgres"].cursor() as cursor:
        cursor.execute("SET enable_seqscan = off; SET enable_sort = off")
    for query in [row.vector for row in stored if "near" in row.id and row.id < "near 10"]:
        nearest = sorted(stored, key=lambda row: -similarity("cosine", query, row.vector))[:5]
        assert [each.id for each in store.search("c", query, 5)] == [each.id for each in nearest]
    assert [each.id for each in store.search("c", rows[-1].vector, 3)] == ["same 00", "same 01", "same 02"]


def index_definition() -> str:
    with connections["postgres"].cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname ~ '^chronos_vectors_[0-9]+_hnsw$'")
        return str(cursor.fetchone()[0])


def test_too_many_dimensions(store: PgVectorStore) -> None:
    with pytest.raises(InvalidRecord, match="between 1 and 4,000"):
        store.create_collection("c", 4_001)


def test_an_index_is_rebuilt_with_other_parameters(store: PgVectorStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.create_collection("c", 4)
    store.upsert("c", embeddings(500))
    seen: list[tuple[str, float]] = []
    monkeypatch.setattr(builds, "_POLL_SECONDS", 0.01)
    store.reindex("c", progress=lambda phase, done: seen.append((phase, done)), m=8, ef_construction=40, ef_search=7)
    assert "m='8'" in index_definition()
    assert all(0 <= done <= 1 for _, done in seen)
    store.reindex("c", m=12)
    assert "m='12', ef_construction='40'" in index_definition()
    assert store.stats("c").parameters == {"m": 12, "ef_construction": 40, "ef_search": 7}
    assert len(index_names()) == 2
    for wrong in ({"m": 1}, {"m": 101}, {"ef_search": 0}, {"lists": 3}, {"m": "8"}):
        with pytest.raises(InvalidRecord):
            store.reindex("c", **wrong)


def test_a_rebuild_that_is_stopped_leaves_the_index_as_it_was(
    store: PgVectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create_collection("c", 4)
    store.upsert("c", embeddings(5_000))
    store.reindex("c", m=8)
    monkeypatch.setattr(builds, "_POLL_SECONDS", 0.01)
    phases = []

    def interrupted(phase: str, done: float) -> None:
        phases.append(phase)
        if "building index" in phase:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.reindex("c", progress=interrupted, ef_construction=1_000, m=100)
    assert "building index" in phases[-1]
    assert "m='8'" in index_definition()
    assert len(index_names()) == 2
    store.reindex("c", m=12, ef_construction=24)
    assert "m='12'" in index_definition()


def test_the_command(store: PgVectorStore, settings: pytest.FixtureRequest) -> None:
    settings.CHRONOS_STORAGE = {  # type: ignore[attr-defined]
        "VECTOR_STORES": {
            "default": {
                "BACKEND": "chronos_storage.vectors.pgvector.PgVectorStore",
                "OPTIONS": {"USING": "postgres"},
            }
        }
    }
    vector_stores["default"].create_collection("c", 4)
    vector_stores["default"].upsert("c", embeddings(300))

    def run(*arguments: str) -> str:
        output = StringIO()
        call_command("chronos_vectors", *arguments, stdout=output)
        return output.getvalue()

    assert "300 embeddings of 4 dimensions, cosine" in run("stats")
    assert "index ready" in run("reindex", "c", "--m", "10")
    assert "m 10, ef_construction 64" in run("stats", "c")
    assert run("recall", "c", "--sample", "20", "--at-least", "0.9").startswith("recall@10: ")
    for arguments in (("stats", "nobody"), ("recall", "c", "--at-least", "1.1"), ("reindex", "c", "--m", "1")):
        with pytest.raises(CommandError):
            run(*arguments)
