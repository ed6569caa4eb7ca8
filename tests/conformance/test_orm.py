"""The ORM backend keeps the contract, on every database that it depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from chronos_storage.backends.orm import OrmBackend
from chronos_storage.facade import Storage
from chronos_storage.testing import StorageConformance
from chronos_storage.testing.conformance.copies import ScanContract
from chronos_storage.testing.conformance.fidelity import FidelityContract
from chronos_storage.testing.conformance.lists import ListContract
from chronos_storage.testing.conformance.memory import MemoryContract
from tests.conftest import each_database

_BRACKETS = ("SAVEPOINT ", "ROLLBACK TO SAVEPOINT ", "RELEASE SAVEPOINT ")


class TestOrmStorage(StorageConformance):
    @pytest.fixture
    def storage_unasked(self, db: None) -> Iterator[Storage]:
        """On one database alone, as none is asked: no query is sent, but for where a transaction begins and ends."""
        with connection.execute_wrapper(_refuse_queries):
            yield Storage(OrmBackend())


on_oldest_postgres = pytest.mark.parametrize(
    "alias", each_database(without=["default", "postgres", "mariadb"]), indirect=True
)


@on_oldest_postgres
class TestOldestPostgres(FidelityContract, ListContract, MemoryContract, ScanContract):
    """Whatever compares or orders strings; every method is called there by the random comparison of backends."""

    __test__ = "postgres15" in settings.DATABASES and not settings.ROUTED


@on_oldest_postgres
class TestWholeOldestPostgres(StorageConformance):
    """All of it, where the suites run a second way."""

    __test__ = "postgres15" in settings.DATABASES and settings.ROUTED


def _refuse_queries(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
    assert sql.startswith(_BRACKETS), f"sent: {sql}"
    return execute(sql, *rest)
