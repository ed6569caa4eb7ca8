"""Old and new workers go through the checkpoints of five releases, ``SOAK_CHECKPOINTS`` of them, side by side."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from chronos_storage import connect, upcasters
from chronos_storage.operations.state_versions import check_versions
from tests.releases import NEWEST, PER_SESSION, register, side_by_side

COUNT = int(os.environ.get("SOAK_CHECKPOINTS", "100000"))


@pytest.fixture(autouse=True)
def unblocked(django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(upcasters, "_steps", {})
    with django_db_blocker.unblock():
        yield


def test_every_old_checkpoint_is_read_and_every_session_resumed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shop.sqlite3"
    storage, begun = connect(url, migrate=True), time.monotonic()
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = side_by_side(storage, json.dumps({"dsn": url}), environment, COUNT)
    print(f"\n{COUNT:,} checkpoints of five releases: {done}, {time.monotonic() - begun:.0f} s")
    old, new = done[3], done[NEWEST]
    assert (new["left"], new["resumed"]) == (0, -(-COUNT // PER_SESSION))
    assert COUNT <= new["read"] <= COUNT + old["resumed"]
    register(NEWEST)
    assert check_versions(storage).problem == ""
    storage.close()
