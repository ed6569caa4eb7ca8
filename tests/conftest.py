"""What the tests share: each test of a storage touches one database alone, but the comparison of all, and runs on
those that it depends on.

- Whatever a vendor's SQL, types, locks and errors decide runs on SQLite, PostgreSQL 18 and MariaDB, as `alias` says
  unless a folder or a test says otherwise.
- PostgreSQL 15 is the oldest there is, compares strings as a language does, and has no pgvector. It runs what could
  tell: how strings come back, are found and ordered, every method once and in random order, tables and triggers.
- What stands above the storage and sends no SQL of its own, as the API's table of routes and the other systems'
  interfaces, runs on SQLite, and on PostgreSQL where it meets a transaction that ends with the first error.
- What is refused before anything is sent, and what no database sees, runs once.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings
from django.db import connections

from tests.routers import given

if TYPE_CHECKING:
    from chronos_storage.facade import Storage


def each_database(*, without: Iterable[str] = (), **options: Any) -> list[Any]:
    """The aliases but these as parameters, each of which lets a test use its database alone.

    The other options are those of the mark.
    """
    return [
        pytest.param(
            alias,
            id="sqlite" if alias == "default" else alias,
            marks=pytest.mark.django_db(databases=[alias], **options),
        )
        for alias in settings.DATABASES
        if alias not in without
    ]


def alias_of(databases: list[Any]) -> Any:
    """The fixture `alias` over these databases, for a folder or a module too that needs others than the rest."""

    @pytest.fixture(name="alias", params=databases)
    def fixture(request: pytest.FixtureRequest) -> Any:
        """The alias of a database; the test may use no other, and what it writes is rolled back."""
        return request.param

    return fixture


#: The tests of the adapters run in an environment of their own; see `make frameworks`.
collect_ignore = [] if find_spec("langgraph") else ["frameworks"]

alias = alias_of(each_database(without=["postgres15"]))
#: SQLite and PostgreSQL, for what stands above the storage, and the stricter of them, for what is long.
SQLITE_AND_POSTGRES = each_database(without=["postgres15", "mariadb"])
STRICTEST = SQLITE_AND_POSTGRES[-1:]
ONLY_SQLITE = each_database(without=["postgres15", "mariadb", "postgres", "citus"])


@pytest.fixture
def storage(alias: str) -> Storage:
    """The facade over `alias`, in a transaction that is rolled back."""
    from chronos_storage.backends.orm import OrmBackend
    from chronos_storage.facade import Storage

    return Storage(OrmBackend(using=given(alias)))


@pytest.fixture
def storage_committed(storage: Storage, transactional_db: None) -> Storage:
    """The facade over `alias`, really committing, for threads and processes; the tables are flushed afterwards."""
    return storage


@pytest.fixture
def garbage_goes_soon() -> Iterator[None]:
    """Circles are looked for as often as Python does by itself, for tests of what stays in memory; see tests.plugin."""
    seldom = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*seldom)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings: None) -> None:
    """Before a worker's databases are made: forget those that its first tests opened, for which none is to be made."""
    connections.settings = settings.DATABASES


@pytest.fixture
def other_databases(django_db_blocker: Any) -> Iterator[None]:
    """Lets a test open databases of its own, and closes them."""
    with django_db_blocker.unblock():
        before = set(connections)
        yield
        for alias in set(connections) - before:
            connections[alias].close()
