"""The API over MongoDB and DynamoDB: a session's life."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from chronos_storage import storages
from chronos_storage.facade import Storage
from tests.api.conftest import Api
from tests.conftest import ONLY_SQLITE, alias_of
from tests.databases import needs_dynamodb, needs_mongodb, new_dynamodb, new_mongodb

#: Where users are, and sign in.
alias = alias_of(ONLY_SQLITE)

ENGINES = [pytest.param("mongodb", marks=needs_mongodb), pytest.param("dynamodb", marks=needs_dynamodb)]


@pytest.fixture(params=ENGINES)
def site(request: pytest.FixtureRequest, alias: str, settings: Any) -> Iterator[Storage]:
    """The storage of the settings."""
    with ExitStack() as end:
        if request.param == "mongodb":
            url, database = end.enter_context(new_mongodb())
            name, options = "MongoBackend", {"URL": url, "DATABASE": database}
        else:
            url, table = new_dynamodb()
            name, options = "DynamoBackend", {"URL": url, "TABLE": table}
        backend = {"BACKEND": f"chronos_storage.backends.document.{request.param}.{name}", "OPTIONS": options}
        settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}}
        storage = storages["default"]
        storage.migrate()
        end.callback(storage.close)
        yield storage


def test_a_session_s_life(ada: Api, bob: Api) -> None:
    path = f"sessions/{ada.post('sessions', {'title': 'one'})['id']}"
    for _ in range(2):  # again it is the same
        numbers = [
            ada.post(f"{path}/events", {"type": "x", "payload": key}, Idempotency_Key=key)["seq_num"] for key in "ab"
        ]
        assert numbers == [1, 2]
    ada.post(f"{path}/messages", {"role": "user", "content": "Hello"})
    page = ada.get(f"{path}/events?page_size=1")
    assert [event["payload"] for event in page["results"]] == ["a"]
    assert page["next"]
    assert [session["title"] for session in ada.get("sessions")["results"]] == ["one"]
    bob.get(path, 404)
    ada.delete(path)
    ada.get(path, 404)
