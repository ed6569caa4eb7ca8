"""The ORM backend keeps the contract, on every database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection

from chronos_storage.backends.orm import OrmStorage
from chronos_storage.testing import StorageConformance

_BRACKETS = ("SAVEPOINT ", "ROLLBACK TO SAVEPOINT ", "RELEASE SAVEPOINT ")


class TestOrmStorage(StorageConformance):
    @pytest.fixture
    def storage_unasked(self, db: None) -> Iterator[OrmStorage]:
        """On one database alone, as none is asked: no query is sent, but for where a transaction begins and ends."""
        with connection.execute_wrapper(_refuse_queries):
            yield OrmStorage()


def _refuse_queries(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
    assert sql.startswith(_BRACKETS), f"sent: {sql}"
    return execute(sql, *rest)
