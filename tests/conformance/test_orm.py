"""The ORM backend keeps the contract, on every database."""

from __future__ import annotations

from chronos_storage.testing import StorageConformance


class TestOrmStorage(StorageConformance):
    pass
