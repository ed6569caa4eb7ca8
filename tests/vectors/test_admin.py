"""Collections and embeddings in the admin."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import connections
from django.test import Client
from django.urls import reverse

from chronos_storage.records import Embedding
from chronos_storage.vectors.admin import parse_filter
from chronos_storage.vectors.models import Collection
from chronos_storage.vectors.models import Embedding as EmbeddingRow
from chronos_storage.vectors.stores import database_store
from tests.routers import OneDatabase


@pytest.fixture
def viewer(vector_alias: str, settings) -> Client:
    settings.DATABASE_ROUTERS = [OneDatabase(vector_alias)]
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="chronos_vectors"))
    store = database_store(using=vector_alias)
    for name in ("docs", "others"):
        store.create_collection(name, 3)
        store.upsert(
            name,
            [
                Embedding(
                    id="refunds", vector=[0.9, 0.1, 0.0], content="How <b>refunds</b> work", metadata={"lang": "en"}
                ),
                Embedding(
                    id="money", vector=[0.8, 0.2, 0.0], content="Where money is", metadata={"lang": "de", "n": 3}
                ),
                Embedding(id="seats", vector=[0.0, 0.2, 0.9], content="Choosing a seat", metadata={"lang": "en"}),
            ],
        )
    client = Client()
    client.force_login(user)
    return client


def url(name: str, page: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:chronos_vectors_{name}_{page}", args=[quote(arg) for arg in args])


def search(client: Client, **parameters: str) -> Any:
    pk = Collection.objects.get(name="docs").pk
    return client.get(url("collection", "change", pk), parameters)


def ids(response: Any) -> list[str]:
    return [result.id for result, _ in response.context["results"]]


def test_what_is_similar_or_has_metadata_or_words_is_found(viewer: Client, vector_alias: str) -> None:
    assert ids(search(viewer, similar="refunds")) == ["refunds", "money", "seats"]
    assert ids(search(viewer, similar="refunds", metadata="lang=en")) == ["refunds", "seats"]
    assert ids(search(viewer, metadata="lang=en")) == ["refunds", "seats"]
    assert ids(search(viewer, metadata="n>2")) == ["money"]
    assert ids(search(viewer, metadata='{"$not": {"lang": "en"}}')) == ["money"]
    if connections[vector_alias].vendor != "mysql":  # whose full-text index knows only what is committed
        assert ids(search(viewer, words="seat")) == ["seats"]
        assert ids(search(viewer, words="seat", metadata="lang=de")) == []
        assert ids(search(viewer, words="seat", similar="refunds"))[0] == "seats"
    page = search(viewer, similar="refunds").content.decode()
    assert "How &lt;b&gt;refunds&lt;/b&gt; work" in page
    assert "results" not in search(viewer).context


def test_what_cannot_be_looked_for_is_said(viewer: Client) -> None:
    for parameters, words in (
        ({"similar": "nothing"}, "There is no embedding nothing."),
        ({"metadata": "lang"}, "Write field=value"),
        ({"metadata": "{x"}, "This is no JSON."),
        ({"metadata": '{"$x": 1}'}, "is no operator"),
    ):
        assert words in search(viewer, **parameters).content.decode()


def test_the_size_is_counted_for_who_asks(viewer: Client) -> None:
    pk = Collection.objects.get(name="docs").pk
    text = viewer.get(url("collection", "stats", pk)).content.decode()
    assert "embeddings: 3\nbytes of the vectors: 36\nindex: none" in text
    assert "counting" in search(viewer).content.decode()


def test_embeddings_are_looked_up_within_a_collection(viewer: Client) -> None:
    pk = Collection.objects.get(name="docs").pk
    rows = viewer.get(url("embedding"), {"q": "seats", "collection__id__exact": pk}).context["cl"].result_list
    assert [(row.embedding_id, row.collection_id) for row in rows] == [("seats", pk)]
    response = viewer.get(url("embedding"), {"q": "seats"})
    assert list(response.context["cl"].result_list) == []
    assert "Choose a collection" in response.content.decode()
    assert len(viewer.get(url("embedding")).context["cl"].result_list) == 6
    row = EmbeddingRow.objects.filter(collection=pk, embedding_id="refunds").get()
    page = viewer.get(url("embedding", "change", row.pk)).content.decode()
    assert "How &lt;b&gt;refunds&lt;/b&gt; work" in page
    assert "docs" in page


def test_pages_take_permission_and_change_nothing(viewer: Client) -> None:
    pk = Collection.objects.get(name="docs").pk
    stranger = Client()
    stranger.force_login(User.objects.create_user("stranger", is_staff=True))
    looker = User.objects.create_user("looker", is_staff=True)
    looker.user_permissions.set(Permission.objects.filter(codename="view_collection"))
    looking = Client()
    looking.force_login(looker)
    for address in (
        url("collection"),
        url("collection", "change", pk),
        url("collection", "stats", pk),
        url("embedding"),
    ):
        assert stranger.get(address).status_code == 403
        assert viewer.get(address).status_code == 200
    assert looking.get(url("collection", "stats", pk)).status_code == 403
    page = looking.get(url("collection", "change", pk), {"similar": "refunds"})
    assert "results" not in page.context
    assert viewer.post(url("collection", "change", pk), {"name": "x"}).status_code == 403
    assert viewer.get(url("collection", "add")).status_code == 403


def test_what_is_typed_becomes_a_filter() -> None:
    assert parse_filter(" lang = en ") == {"lang": {"$eq": "en"}}
    assert parse_filter("n>=2.5") == {"n": {"$gte": 2.5}}
    assert parse_filter('a.b!="1"') == {"a.b": {"$ne": "1"}}
    assert parse_filter("done=true") == {"done": {"$eq": True}}
    assert parse_filter("url=a=b") == {"url": {"$eq": "a=b"}}
    assert parse_filter("") is None
    for wrong in ("x", "[1]", "{"):
        with pytest.raises(ValidationError):
            parse_filter(wrong)
