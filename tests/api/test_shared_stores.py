"""The API over stores that processes share, where what is read in several steps may change in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from chronos_storage import storages
from chronos_storage.facade import Storage
from tests.api import test_access, test_lists, test_operations, test_repeats, test_resources
from tests.conftest import ONLY_SQLITE, alias_of

URL = os.environ.get("TEST_REDIS_URL", "")

#: Where users are, and sign in.
alias = alias_of(ONLY_SQLITE)

test_pages = test_lists.test_pages_go_through_a_list_and_back
test_owners = test_access.test_memory_and_audit_logs_go_by_their_user_and_their_session
test_deleted = test_access.test_what_belongs_to_a_deleted_session_is_hidden_with_it
test_usage = test_operations.test_usage_of_a_period
test_exports = test_resources.test_an_export_has_all_that_belongs_to_the_session
test_writers_at_once = test_repeats.test_of_several_writers_who_saw_one_version_one_wins
test_batches_at_once = test_repeats.test_of_concurrent_batches_with_one_key_one_is_stored


@pytest.fixture(params=["files", pytest.param("redis", marks=pytest.mark.skipif(not URL, reason="no Redis is found"))])
def site(request: pytest.FixtureRequest, alias: str, settings: Any, tmp_path: Path) -> Iterator[Storage]:
    """The storage of the settings."""
    backends = {
        "files": ("filesystem.FilesystemBackend", {"FOLDER": str(tmp_path)}),
        "redis": ("redis.RedisBackend", {"URL": URL, "BASE": uuid4().hex}),
    }
    path, options = backends[request.param]
    backend = {"BACKEND": f"chronos_storage.backends.document.{path}", "OPTIONS": options}
    settings.CHRONOS_STORAGE = {"STORAGES": {"default": backend}}
    storage = storages["default"]
    storage.migrate()
    yield storage
    storage.close()
