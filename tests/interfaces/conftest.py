"""Each test of an interface runs in memory, on SQLite and on PostgreSQL, asynchronous ones as they stand."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import pytest
from asgiref.sync import async_to_sync

from tests.conftest import each_database

if TYPE_CHECKING:
    from chronos_storage import Storage


#: Databases in which an interface shows nothing that the storage below it does not show.
OTHERS = ["postgres15", "mariadb"]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run asynchronous tests on the main thread's connections, which is where the test's transaction is."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    async_to_sync(pyfuncitem.obj)(**arguments)
    return True


@pytest.fixture(params=["memory", *each_database(without=OTHERS)])
def store(request: pytest.FixtureRequest) -> Storage:
    """A storage in memory, and one on a database, in a transaction that is rolled back."""
    from chronos_storage.backends.document import MemoryBackend
    from chronos_storage.backends.orm import OrmBackend
    from chronos_storage.facade import Storage

    return Storage(MemoryBackend()) if request.param == "memory" else Storage(OrmBackend(using=request.param))


@pytest.fixture(params=["memory", *each_database(without=OTHERS, transaction=True)])
def store_committed(request: pytest.FixtureRequest) -> Storage:
    """The same, really committing, for what other threads are to see; the tables are flushed afterwards."""
    from chronos_storage.backends.document import MemoryBackend
    from chronos_storage.backends.orm import OrmBackend
    from chronos_storage.facade import Storage

    return (
        Storage(MemoryBackend(request.node.nodeid))
        if request.param == "memory"
        else Storage(OrmBackend(using=request.param))
    )
