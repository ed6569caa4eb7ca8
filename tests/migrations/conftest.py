"""Stores on new databases, on each server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from chronos_storage.backends.orm import OrmStorage
from chronos_storage.dsn import connect
from tests.databases import PLACES, new_databases


@pytest.fixture(params=PLACES)
def empty_pair(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[list[OrmStorage]]:
    """Two stores on databases without tables, on one server."""
    with django_db_blocker.unblock(), new_databases(request.param, tmp_path, 2) as addresses:
        yield [_opened(address) for address in addresses]


@pytest.fixture(params=PLACES)
def empty(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[OrmStorage]:
    """A store on a database without tables."""
    with django_db_blocker.unblock(), new_databases(request.param, tmp_path) as [address]:
        yield _opened(address)


@pytest.fixture(params=PLACES, scope="module")
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[OrmStorage]:
    """A store on a database with its tables, shared by a module's tests; each leaves tables and triggers as found."""
    folder = tmp_path_factory.mktemp("migrated")
    with django_db_blocker.unblock(), new_databases(request.param, folder) as [address]:
        store = _opened(address)
        store.migrate()
        yield store


def _opened(address: str) -> OrmStorage:
    store = connect(address)
    assert isinstance(store, OrmStorage)
    return store
