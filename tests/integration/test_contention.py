"""Many processes write to one session of a store over documents, and some are killed: all have their turn."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chronos_storage import connect
from chronos_storage.records import Session
from tests.integration.test_processes import ROOT, assert_all_is_there, run_and_kill

PROCESSES, EVENTS, VICTIMS = 16, 12, (3, 11)


@dataclass(frozen=True)
class Shared:
    """A store that several processes can share.

    Attributes:
        options: what `connect` is given for a new one, in a folder that is the test's own.
        environment: what a process needs besides to open it.
    """

    name: str
    options: Callable[[Path], dict[str, Any]]
    environment: dict[str, str] = field(default_factory=dict)


EXAMPLES = str(ROOT / "docs" / "examples")
REDIS, MONGODB = os.environ.get("TEST_REDIS_URL"), os.environ.get("TEST_MONGODB_URL")
DYNAMODB = os.environ.get("TEST_DYNAMODB_URL")
#: One is added for each driver of documents.
STORES = [
    Shared(
        "one_table",
        lambda folder: {"dsn": "one_table.OneTable", "path": str(folder / "agents.db")},
        {"PYTHONPATH": os.pathsep.join([str(ROOT), EXAMPLES])},
    ),
    Shared("files", lambda folder: {"dsn": (folder / "data").as_uri()}),
    *([Shared("redis", lambda folder: {"dsn": REDIS, "base": uuid.uuid4().hex})] if REDIS else []),
    *([Shared("mongodb", lambda folder: {"dsn": MONGODB, "collection": uuid.uuid4().hex})] if MONGODB else []),
    *([Shared("dynamodb", lambda folder: {"dsn": DYNAMODB, "table": uuid.uuid4().hex})] if DYNAMODB else []),
]


@pytest.fixture(params=STORES, ids=lambda store: store.name)
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Shared:
    monkeypatch.syspath_prepend(EXAMPLES)
    store: Shared = request.param
    return store


@pytest.fixture
def options(shared: Shared, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """What opens the store, which has a session "s"."""
    given = shared.options(tmp_path)
    with closing(connect(**given, migrate=True)) as storage:
        storage.create_session(Session(id="s"))
        yield given


def test_killed_processes_leave_no_gap_and_lose_nothing(
    shared: Shared, options: dict[str, Any], tmp_path: Path
) -> None:
    """Nobody gives up: who did would end with an error."""
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"} | shared.environment
    run_and_kill(json.dumps(options), environment, tmp_path, "events", EVENTS, VICTIMS, PROCESSES)
    with closing(connect(**options)) as storage:
        assert_all_is_there(storage, tmp_path, EVENTS, VICTIMS, PROCESSES)
