"""Stores on new databases, on each server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.dsn import connect
from chronos_storage.facade import Storage
from tests.databases import PLACES, new_databases


@pytest.fixture(params=PLACES)
def empty_pair(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[list[Storage]]:
    """Two stores on databases without tables, on one server."""
    with django_db_blocker.unblock(), new_databases(request.param, tmp_path, 2) as addresses:
        yield [_opened(address) for address in addresses]


@pytest.fixture(params=PLACES)
def empty(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[Storage]:
    """A store on a database without tables."""
    with django_db_blocker.unblock(), new_databases(request.param, tmp_path) as [address]:
        yield _opened(address)


@pytest.fixture(params=PLACES, scope="module")
def migrated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Storage]:
    """A store on a database with its tables, shared by a module's tests; each leaves tables and triggers as found."""
    folder = tmp_path_factory.mktemp("migrated")
    with django_db_blocker.unblock(), new_databases(request.param, folder) as [address]:
        store = _opened(address)
        store.migrate()
        yield store


def _opened(address: str) -> Storage:
    store = connect(address)
    assert isinstance(store.backend, OrmBackend)
    return store
