"""What the tests share: each test of a storage runs once for every database, and touches only that one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connections

if TYPE_CHECKING:
    from chronos_storage.backends.orm import OrmStorage


def each_database(**options: Any) -> list[object]:
    """The aliases as parameters, each of which lets a test use its database alone, with these options of the mark."""
    return [
        pytest.param(
            alias,
            id="sqlite" if alias == "default" else alias,
            marks=pytest.mark.django_db(databases=[alias], **options),
        )
        for alias in settings.DATABASES
    ]


@pytest.fixture(params=each_database())
def alias(request: pytest.FixtureRequest) -> str:
    """The alias of a database, one after the other; the test may use no other, and what it writes is rolled back."""
    name: str = request.param
    return name


@pytest.fixture
def storage(alias: str) -> OrmStorage:
    """The facade over `alias`, in a transaction that is rolled back."""
    from chronos_storage.backends.orm import OrmStorage

    return OrmStorage(using=alias)


@pytest.fixture
def storage_committed(storage: OrmStorage, transactional_db: None) -> OrmStorage:
    """The facade over `alias`, really committing, for threads and processes; the tables are flushed afterwards."""
    return storage


@pytest.fixture
def other_databases(django_db_blocker: Any) -> Iterator[None]:
    """Lets a test open databases of its own, and closes them."""
    with django_db_blocker.unblock():
        before = set(connections)
        yield
        for alias in set(connections) - before:
            connections[alias].close()
