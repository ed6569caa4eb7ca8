"""Many embeddings at once on PostgreSQL: new ones by COPY, and over those that are there."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from django.conf import settings
from django.db import connections, transaction

from chronos_storage.exceptions import InvalidRecord
from chronos_storage.records import Embedding
from chronos_storage.vectors.pgvector import PgVectorStore

pytestmark = [
    pytest.mark.skipif("postgres" not in settings.DATABASES, reason="there is no PostgreSQL with pgvector"),
    pytest.mark.django_db(databases=["postgres"], transaction=True),
]


@pytest.fixture
def store() -> Iterator[PgVectorStore]:
    store = PgVectorStore(using="postgres")
    store.create_collection("c", 3, metric="l2")
    yield store
    store.drop_collection("c")
    store.close()


def embeddings(count: int, content: str) -> list[Embedding]:
    return [
        Embedding(
            id=f"é{place}",
            vector=np.array([place, -0.0, 1e-30], np.float32),
            content=f"{content} {place}\t\\N\n\U0001f642" if place % 3 else "",
            metadata={"place": place, 'a "key"': [None, "ü", 1.5]} if place % 2 else {},
            user_id="ada" if place % 5 else "",
        )
        for place in range(count)
    ]


def stored(store: PgVectorStore) -> list[Embedding]:
    return store.list("c")


def by_id(given: list[Embedding]) -> list[Embedding]:
    return sorted((each.cleaned() for each in given), key=lambda each: each.id)


def test_many_embeddings_are_kept_as_they_were_given_new_or_not(store: PgVectorStore) -> None:
    first = embeddings(600, "first")
    twice = [*first, Embedding(id="é7", vector=[7, 7, 7], content="the last of its id counts")]
    assert store.upsert("c", twice) == [each.cleaned() for each in twice]
    assert stored(store) == by_id([each for each in twice if each is not first[7]])
    some_new = embeddings(700, "second")
    store.upsert("c", some_new)
    assert stored(store) == by_id(some_new)
    with pytest.raises(InvalidRecord, match="vector"):
        store.upsert("c", [*embeddings(800, "third"), Embedding(id="x", vector=[1, 2])])
    assert stored(store) == by_id(some_new)


def test_many_embeddings_are_stored_over_one_that_another_writer_stores_at_the_same_time(store: PgVectorStore) -> None:
    given = embeddings(600, "many")
    failures: list[BaseException] = []

    def load() -> None:
        try:
            PgVectorStore(using="postgres").upsert("c", given)
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    with transaction.atomic("postgres"):
        store.upsert("c", [Embedding(id="é300", vector=[1, 2, 3], content="other")])
        thread = threading.Thread(target=load)
        thread.start()
        until_one_waits("COPY%")
    thread.join(60)
    assert not failures
    assert stored(store) == by_id(given)


def until_one_waits(query: str) -> None:
    end = time.monotonic() + 60
    with connections["postgres"].cursor() as cursor:
        waiting = 0
        while not waiting and time.monotonic() < end:
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE %s",
                [query],
            )
            [waiting] = cursor.fetchone()
    assert waiting
