"""Vector stores: how much of the truth a search finds, and how fast, beside bare pgvector and a bare NumPy product."""

from __future__ import annotations

import gzip
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from django.core.management import call_command
from django.db import connections
from pgvector import Vector
from pgvector.psycopg import register_vector
from psycopg.adapt import PyFormat, Transformer
from psycopg.types.json import Jsonb

from chronos_storage.records import Embedding
from chronos_storage.vectors.base import VectorStore
from chronos_storage.vectors.stores import database_store

from .databases import Database, Vendor
from .measure import Figure, Side, always, duration, rate, timed

_DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
_TOP_K, _HELD_OUT = 10, 500
#: In how many turns the queries are asked.
_TURNS = 5
_HYBRID_A_SECOND = 300
#: What the bare index is built and searched with: our own defaults.
_M, _EF_CONSTRUCTION, _EF_SEARCH = 16, 64, 64


def figures(vendor: Vendor, quick: bool) -> Iterator[Figure]:
    """The figures of this group, one by one."""
    if not there_is_data():
        return
    sample = Sample(queries=100 if quick else _HELD_OUT)
    rounds = 2 if quick else 7
    with vendor.database() as database:
        alias: str = database.storage.alias
        call_command("migrate", "chronos_vectors", database=alias, verbosity=0)
        store = database_store(using=alias)
        if database.url.startswith("postgres"):
            yield from _postgres(vendor, database, store, sample, rounds)
        else:
            yield from _exact(store, sample, rounds)
        store.close()


def there_is_data() -> bool:
    """Whether there are the embeddings that vectors are measured with; says so if not."""
    if not _DATA.exists():
        print(f"  no figures of vectors: {_DATA} is not there", file=sys.stderr)
    return _DATA.exists()


class Sample:
    """Real texts and their embeddings, some of them held out as queries."""

    def __init__(self, queries: int) -> None:
        order = np.random.default_rng(3).permutation(15_500)
        vectors = np.load(_DATA / "docs_vectors.npy").astype(np.float32)
        with gzip.open(_DATA / "docs_paragraphs.jsonl.gz", "rt") as lines:
            texts = [json.loads(line) for line in lines]
        stored = order[_HELD_OUT:]
        self.queries = vectors[order[:queries]]
        self.vectors = np.ascontiguousarray(vectors[stored])
        self.texts = [texts[place]["text"] for place in stored]
        self.sources = [texts[place]["source"] for place in stored]

    @cached_property
    def rare(self) -> str:
        """The source that is nearest to having 1% of the rows."""
        counts = Counter(self.sources)
        rare: str = min(counts, key=lambda source: abs(counts[source] - len(self.sources) / 100))
        return rare

    def embeddings(self) -> list[Embedding]:
        """What is stored, with NumPy arrays for vectors."""
        rows = enumerate(zip(self.vectors, self.texts, self.sources, strict=True))
        return [
            Embedding(id=str(place), vector=vector, content=text, metadata={"source": source})
            for place, (vector, text, source) in rows
        ]

    def recall(self, search: Callable[[Any], list[str]], source: str | None = None) -> float:
        """The part of the true nearest that a search finds; all results must be ten."""
        rows = np.array([place for place, each in enumerate(self.sources) if source in (None, each)])
        vectors = self.vectors[rows].astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        hits = 0
        for query in self.queries:
            nearest = np.argsort(-(vectors @ query.astype(np.float64)), kind="stable")[:_TOP_K]
            found = search(query)
            assert len(found) == _TOP_K, f"{len(found)} results"
            hits += len({str(row) for row in rows[nearest]} & set(found))
        return hits / len(self.queries) / _TOP_K


def _postgres(vendor: Vendor, database: Database, store: VectorStore, sample: Sample, rounds: int) -> Iterator[Figure]:
    bare = BareVectors(database.url)
    embeddings = sample.embeddings()

    def load() -> Callable[[], object]:
        store.close()  # waits for the index of the round before
        store.drop_collection("docs")
        store.create_collection("docs", sample.vectors.shape[1])
        return partial(store.upsert, "docs", embeddings)

    def copy() -> Callable[[], object]:
        store.close()
        bare.empty()
        return partial(bare.copy, sample)

    yield rate(
        f"load {len(embeddings):,} NumPy arrays, their texts and metadata",
        len(embeddings),
        load,
        copy,
        rounds=max(2, rounds // 2),
        at_least=vendor.bar(0.4),
    )
    store.close()
    bare.index()
    database.analyze()

    def ours(query: Any, **options: Any) -> list[str]:
        return [result.id for result in store.search("docs", query, _TOP_K, **options)]

    rare = partial(ours, filter={"source": sample.rare})
    for name, search, bare_search, source, least, rate_at_least in (
        ("", ours, bare.search, None, 0.98, 0.85),
        (", filter keeps 1%", rare, bare.filtered(sample), sample.rare, 0.97, 0.6),
    ):
        found, bare_found = sample.recall(search, source), sample.recall(bare_search, source)
        yield Figure(
            name=f"recall@{_TOP_K}{name}",
            unit="",
            ours=found,
            other=bare_found,
            ratio=found,
            against="bare pgvector",
            at_least=vendor.bar(least),
        )
        # In short turns, as what else the machine does changes within a second.
        yield rate(
            f"search{name}",
            len(sample.queries) // _TURNS,
            _each(search, sample, _TURNS),
            _each(bare_search, sample, _TURNS),
            rounds=rounds * _TURNS,
            at_least=vendor.bar(rate_at_least),
        )
    text = " ".join(sample.texts[0].split()[:5])
    hybrid = rate(
        "hybrid search (vector and five words), against by vector alone",
        len(sample.queries) // _TURNS,
        _each(partial(ours, text=text), sample, _TURNS),
        _each(ours, sample, _TURNS),
        rounds=rounds,
    )
    yield hybrid
    yield replace(
        hybrid,
        name=f"hybrid search of {len(embeddings):,} texts",
        other=_HYBRID_A_SECOND,
        ratio=hybrid.ours / _HYBRID_A_SECOND,
        against="what is wanted",
        at_least=vendor.bar(1),
        rounds=[],
    )
    yield from _wire(store, bare, sample, rounds)
    bare.close()


def _wire(store: VectorStore, bare: BareVectors, sample: Sample, rounds: int) -> Iterator[Figure]:
    """What the store's own format of many vectors gains over pgvector's package, which takes one by one."""
    from chronos_storage.vectors import wire

    vectors, binary = sample.vectors[:250], [PyFormat.BINARY]
    own = Transformer(wire.adapters(connections[store.alias]))  # type: ignore[attr-defined]
    theirs = Transformer(bare.connection)
    sent = [Vector(vector).to_binary() for vector in vectors]
    sides: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "writing": (
            lambda: own.dump_sequence([wire.Vectors(vectors)], binary),
            lambda: theirs.dump_sequence([[Vector(vector) for vector in vectors]], binary),
        ),
        "reading": (
            lambda: wire.unpack(sent),
            lambda: np.array([Vector.from_binary(vector).to_numpy() for vector in sent], np.float64),
        ),
    }
    for name, (ours, other) in sides.items():
        yield rate(
            f"{name} {len(vectors)} vectors, without the server",
            40 * len(vectors),
            always(ours, 40),
            always(other, 40),
            rounds=rounds,
            against="pgvector's own",
        )


def _each(search: Callable[[Any], object], sample: Sample, step: int = 1) -> Side:
    def all_of_them() -> None:
        for query in sample.queries[::step]:
            search(query)

    return always(all_of_them)


def _exact(store: VectorStore, sample: Sample, rounds: int) -> Iterator[Figure]:
    store.create_collection("docs", sample.vectors.shape[1])
    store.upsert("docs", sample.embeddings())
    matrix = sample.vectors
    yield duration(
        f"exact search of {len(matrix):,} vectors, warm",
        len(sample.queries),
        _each(partial(store.search, "docs"), sample),
        _each(matrix.__matmul__, sample),
        rounds=rounds,
        against="NumPy product",
        at_most=3,
    )


class BareVectors:
    """A table of one collection's vectors, with the indexes that ids and the filter take, and the bare driver."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        register_vector(self.connection)
        self.connection.execute("CREATE TABLE bare (id text, vector vector(384), content text, metadata jsonb)")
        self.connection.execute("ALTER TABLE bare ADD PRIMARY KEY (id)")
        # As ours has one, it is there while rows are written.
        self.connection.execute("CREATE INDEX ON bare ((metadata ->> 'source'))")
        self.connection.execute(f"SET hnsw.ef_search = {_EF_SEARCH}")

    def empty(self) -> None:
        """Remove all rows."""
        self.connection.execute("TRUNCATE bare")

    def copy(self, sample: Sample) -> None:
        """Store the sample."""
        with (
            self.connection.cursor() as cursor,
            cursor.copy("COPY bare FROM STDIN WITH (FORMAT binary)") as copy,
        ):
            copy.set_types(["text", "vector", "text", "jsonb"])
            rows = zip(sample.vectors, sample.texts, sample.sources, strict=True)
            for place, (vector, text, source) in enumerate(rows):
                copy.write_row((str(place), Vector(vector), text, Jsonb({"source": source})))

    def index(self) -> None:
        """Make the index of the vectors."""
        self.connection.execute(
            "CREATE INDEX ON bare USING hnsw (vector vector_cosine_ops)"
            f" WITH (m = {_M}, ef_construction = {_EF_CONSTRUCTION})"
        )

    def search(self, query: Any) -> list[str]:
        """The ids of the nearest; all their columns are read, as ours are."""
        return self._ids("SELECT * FROM bare ORDER BY vector <=> %s LIMIT 10", Vector(query))

    def filtered(self, sample: Sample) -> Callable[[Any], list[str]]:
        """The same among the rows of the sample's rare source, by the fastest plan there is."""
        wanted = "metadata ->> 'source' = %s"
        sorted_apart = f"SELECT * FROM bare WHERE {wanted} ORDER BY (vector <=> %s) + 0 LIMIT 10"
        in_two_steps = (
            f"WITH few AS MATERIALIZED (SELECT * FROM bare WHERE {wanted})"
            " SELECT * FROM few ORDER BY vector <=> %s LIMIT 10"
        )
        plans = (sorted_apart, in_two_steps)
        searches = [lambda query, plan=plan: self._ids(plan, sample.rare, Vector(query)) for plan in plans]
        return min(searches, key=lambda search: min(timed(_each(search, sample)) for _ in range(3)))

    def _ids(self, sql: str, *parameters: Any) -> list[str]:
        return [row[0] for row in self.connection.execute(sql, parameters, prepare=True, binary=True).fetchall()]

    def close(self) -> None:
        """Disconnect."""
        self.connection.close()
